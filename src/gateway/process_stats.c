#include "gateway/process_stats.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

/* The first two numbers of the file are pages that are mapped, and that are resident. */
static void read_memory(struct cla_process_stats *stats)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    char text[128] = "", *rest = text;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file == NULL)
        return;
    if (fgets(text, sizeof text, file) != NULL) {
        stats->virtual_bytes = strtoull(rest, &rest, 10) * page;
        stats->resident_bytes = strtoull(rest, NULL, 10) * page;
    }
    fclose(file);
}

/* Since Linux 6.2 the size of the folder is their number; to read it takes longer. */
static uint64_t count_fds(void)
{
    struct stat st;
    uint64_t count = 0;
    DIR *folder;

    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size;
    folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    for (const struct dirent *each; (each = readdir(folder)) != NULL;)
        count += each->d_name[0] != '.';
    closedir(folder);
    return count > 0 ? count - 1 : 0; /* but for the folder's own */
}

static uint64_t ns_of(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * CLA_NS_PER_S + (uint64_t)time->tv_usec * 1000;
}

void cla_process_stats_read(struct cla_process_stats *stats)
{
    struct rusage usage;
    struct rlimit limit;

    *stats = (struct cla_process_stats){.open_fds = count_fds()};
    read_memory(stats);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        stats->max_fds = limit.rlim_cur;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        stats->cpu_ns = ns_of(&usage.ru_utime) + ns_of(&usage.ru_stime);
}
