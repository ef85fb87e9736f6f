/* Runs the binary that CANCELA_STORMED names with the arguments given, in a storm of the watchdog's
 * signal: one every 100 microseconds. To be given to tests in the binary's place, as CANCELA_BIN.
 *
 * The process becomes the binary; a child of it, which ends with it, sends the signals. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static void storm(pid_t stormed)
{
    const struct timespec pause = {.tv_nsec = 100000};

    while (getppid() == stormed && kill(stormed, SIGURG) == 0)
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* Whoever reads what the binary writes is to see its end. */
static void let_go_of_output(void)
{
    int nowhere = open("/dev/null", O_RDWR);

    for (int fd = 0; fd <= 2; fd++)
        (void)dup2(nowhere, fd);
}

int main(int argc, char **argv)
{
    const char *binary = getenv("CANCELA_STORMED");
    pid_t self = getpid();

    if (binary == NULL || argc < 1) {
        fputs("storm: CANCELA_STORMED does not name a binary\n", stderr);
        return 2;
    }
    switch (fork()) {
    case -1:
        perror("storm: fork");
        return 2;
    case 0:
        (void)prctl(PR_SET_TIMERSLACK, 1UL);
        let_go_of_output();
        storm(self);
        _exit(0);
    default:
        execv(binary, argv);
        perror(binary);
        return 2;
    }
}
