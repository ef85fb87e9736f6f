/* The watching of `cancela run --watch`: notes the files that the script is read from, and has the
 * server reload it when one of them changes.
 *
 * Main thread, which is the server's control thread; but whoever loads a script may add to 'files'
 * (io/file_set). Depends on: io/watch, gateway/server. Without the setting 'watch' nothing here
 * does anything, so that callers need not ask.
 *
 *   note -- the script is loaded --> loaded -- a file changes --> reload: note … */
#ifndef CLA_CLI_RUN_WATCH_H
#define CLA_CLI_RUN_WATCH_H

#include "gateway/server.h"
#include "io/watch.h"

struct cla_run_watch {
    struct cla_server *server;  /* that is to reload */
    struct cla_file_set *files; /* what a load that is under way reads; NULL: that is not watched */
    struct cla_watch watch;     /* of what was read; until the server's loop has ended */
    bool wanted;                /* the setting */
};

/* Sets up, with nothing noted. 'server' may be opened later, but before cla_run_watch_open(). */
void cla_run_watch_init(struct cla_run_watch *w, struct cla_server *server, bool wanted);

/* A load begins: it is to note in 'files' what it reads. Out of memory it is not watched, which
 * stderr is told. */
void cla_run_watch_note(struct cla_run_watch *w);

/* That load has ended: what it has read is watched from now on, in place of all else if it has
 * 'loaded'; else besides, for it may be mended. */
void cla_run_watch_loaded(struct cla_run_watch *w, bool loaded);

/* Watches, from the server's loop, what the first load has read. Returns 0 or -CLA_EIO. */
int cla_run_watch_open(struct cla_run_watch *w, struct cla_log *log);

/* Ends what cla_run_watch_open() began, once cla_server_run() has returned. The struct may go when
 * the server's loop is gone. */
void cla_run_watch_close(struct cla_run_watch *w);

/* Lets go of what a load has noted that nobody told the end of. */
void cla_run_watch_fini(struct cla_run_watch *w);

#endif
