#include "gateway/passed.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

/* The first one: SD_LISTEN_FDS_START. */
#define FIRST_FD 3

/* A number without a sign; 0: it is none, or too large. */
static unsigned read_number(const char *text)
{
    char *end;
    unsigned long value;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return 0;
    value = strtoul(text, &end, 10);
    return *end == '\0' && value <= INT_MAX - FIRST_FD ? (unsigned)value : 0;
}

/* Keeps them from programs that are started later. Returns how many there are, at most 'most'. */
static unsigned close_on_exec(unsigned most)
{
    unsigned count = 0;

    while (count < most && fcntl(FIRST_FD + (int)count, F_SETFD, FD_CLOEXEC) == 0)
        count++;
    return count;
}

int cla_passed_take(struct cla_passed *passed)
{
    const char *names = getenv("LISTEN_FDNAMES");
    unsigned count = read_number(getenv("LISTEN_FDS"));
    bool own = read_number(getenv("LISTEN_PID")) == (unsigned)getpid();
    int rc = 0;

    *passed = (struct cla_passed){.others = !own && count > 0};
    if (own)
        passed->count = close_on_exec(count);
    if (passed->count > 0 && names != NULL) {
        passed->names = cla_mem_strndup(names, strlen(names));
        rc = passed->names != NULL ? 0 : -CLA_ENOMEM;
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return rc;
}

int cla_passed_fd(const struct cla_passed *passed, unsigned at)
{
    (void)passed;
    return FIRST_FD + (int)at;
}

struct cla_slice cla_passed_name(const struct cla_passed *passed, unsigned at)
{
    struct cla_slice rest = cla_slice_str(passed->names != NULL ? passed->names : ""), name;

    while (cla_slice_next(&rest, ':', &name)) {
        if (at-- == 0)
            return name.n > 0 ? name : CLA_LIT("unknown");
    }
    return CLA_LIT("unknown");
}

void cla_passed_fini(struct cla_passed *passed)
{
    cla_mem_free(passed->names);
    passed->names = NULL;
}
