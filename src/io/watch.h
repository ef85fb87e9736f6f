/* Tells when files have changed: written, replaced, renamed, deleted, back again, or reached by
 * another symbolic link.
 *
 * Loop thread; it looks at files itself, at CLA_FILE_LIST_MOST of them at most. Depends on:
 * io/file_set, io/watch_folders, io/loop. */
#ifndef CLA_IO_WATCH_H
#define CLA_IO_WATCH_H

#include "base/log.h"
#include "io/file_set.h"
#include "io/loop.h"
#include "io/watch_folders.h"

/* A change is told when nothing has happened for so long; but no later than so long after the first
 * sign of it. */
#define CLA_WATCH_QUIET_NS (50 * CLA_NS_PER_MS)
#define CLA_WATCH_LATEST_NS (500 * CLA_NS_PER_MS)

/* Where the system does not tell what happens, files are looked at as often as this. */
#define CLA_WATCH_LOOK_NS CLA_NS_PER_S

/* 'path' is the first that has changed, as it was noted; borrowed, and gone after cla_watch_set()
 * and cla_watch_close(), which may be called from here, as cla_watch_add() may. */
typedef void cla_watch_cb(void *arg, const char *path);

struct cla_watch {
    struct cla_loop *loop;
    struct cla_log *log;
    cla_watch_cb *on_change;
    void *arg;
    struct cla_file_list files;
    struct cla_file_set *set; /* that may grow; NULL: none */
    size_t seen;              /* how many of it are in 'files' */
    struct cla_watch_folders folders;
    uv_poll_t poll;   /* of inotify; unused if there is none */
    uv_async_t added; /* there is more in 'set' */
    struct cla_timer timer;
    uint64_t first_ns; /* of signs not yet looked into; 0: there are none */
    int told_error;    /* errno that the log has been told */
    bool told_cut;
};

/* Opens it with nothing to watch. Returns 0 or -CLA_EIO. */
int cla_watch_open(struct cla_watch *w, struct cla_loop *loop, struct cla_log *log,
                   cla_watch_cb *on_change, void *arg);

/* Watches what is in 'set', and what comes into it, in place of all else. What has changed since it
 * was noted is told, too; never from inside. Takes a reference. */
void cla_watch_set(struct cla_watch *w, struct cla_file_set *set);

/* Watches also what is in 'set' now, as of a script that did not load, until the next
 * cla_watch_set(). */
void cla_watch_add(struct cla_watch *w, struct cla_file_set *set);

/* Ends it; on_change is not called any more. The struct may go when the loop has closed its
 * handles, in its next turn. */
void cla_watch_close(struct cla_watch *w);

#endif
