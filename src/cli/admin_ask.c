/* Finding a gateway's admin socket, and one question to it. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/admin.h"
#include "cli/cli.h"
#include "gateway/admin.h"

/* How long an answer may take. */
#define PATIENCE_S 5
#define FOUND_MAX 16

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd;

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* --- The one that runs. --- */

struct found {
    char paths[FOUND_MAX][CLA_LISTEN_PATH];
    unsigned count; /* of those that answer */
    int fd;         /* of the last */
};

static void try_socket(struct found *found, const char *folder, const char *name)
{
    char *path = found->paths[found->count];
    size_t n = strlen(name);
    int length, fd;

    if (found->count == FOUND_MAX || n <= 5 || strcmp(name + n - 5, ".sock") != 0)
        return;
    length = snprintf(path, sizeof found->paths[0], "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof found->paths[0])
        return;
    fd = connect_to(path);
    if (fd < 0)
        return; /* left by one that was killed */
    if (found->fd >= 0)
        close(found->fd);
    found->fd = fd;
    found->count++;
}

static void look_in(struct found *found, const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL)
        try_socket(found, folder, entry->d_name);
    closedir(dir);
}

/* The connection, or -1 after a message. */
static int connect_to_the_one(void)
{
    struct found found = {.fd = -1};
    char folder[CLA_LISTEN_PATH] = "";

    if (cla_admin_folder(folder, sizeof folder) == 0)
        look_in(&found, folder);
    if (found.count == 1)
        return found.fd;
    if (found.count == 0) {
        fprintf(stderr,
                "cancela: no gateway of this user runs here (looked in %s): name its socket with "
                "--admin PATH\n",
                folder);
        return -1;
    }
    fputs("cancela: several gateways run: choose one with\n", stderr);
    for (unsigned i = 0; i < found.count; i++)
        fprintf(stderr, "  --admin %s\n", found.paths[i]);
    close(found.fd);
    return -1;
}

/* --- The question. --- */

static bool send_all(int fd, struct cla_slice bytes)
{
    while (bytes.n > 0) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes = cla_slice(bytes.p + n, bytes.n - (size_t)n);
    }
    return true;
}

/* Reads to the newline, and takes that off. */
static bool receive_line(int fd, struct cla_buf *line)
{
    char bytes[4096];

    for (;;) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || cla_buf_append(line, bytes, (size_t)n) != 0)
            return false;
        if (line->p[line->n - 1] == '\n') {
            line->n--;
            return true;
        }
    }
}

int cla_admin_ask(const char *path, struct cla_slice line, struct cla_buf *answer)
{
    int fd = path != NULL ? connect_to(path) : connect_to_the_one();
    bool answered;

    if (fd < 0 && path != NULL)
        fprintf(stderr, "cancela: cannot connect to the admin socket %s: %s\n", path,
                strerror(errno));
    if (fd < 0)
        return CLA_EXIT_NETWORK;
    answered = send_all(fd, line) && receive_line(fd, answer);
    close(fd);
    if (answered)
        return 0;
    fputs("cancela: the gateway did not answer\n", stderr);
    return CLA_EXIT_NETWORK;
}
