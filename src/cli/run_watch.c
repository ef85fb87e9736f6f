#include "cli/run_watch.h"

#include <stdio.h>

static void log_change(struct cla_log *log, const char *path)
{
    struct cla_buf line = {0};

    if (!cla_log_wants(log, CLA_LOG_INFO))
        return;
    cla_log_begin(log, &line, CLA_LOG_INFO);
    (void)cla_buf_add(&line, CLA_LIT(" changed"));
    cla_log_value(&line, CLA_LIT("file"), cla_slice_str(path));
    cla_log_end(&line);
    cla_log_flush(log, &line);
    cla_buf_fini(&line);
}

static void on_change(void *arg, const char *path)
{
    struct cla_run_watch *w = arg;

    log_change(w->server->log, path);
    cla_server_reload(w->server);
}

void cla_run_watch_init(struct cla_run_watch *w, struct cla_server *server, bool wanted)
{
    *w = (struct cla_run_watch){.server = server, .wanted = wanted};
}

void cla_run_watch_note(struct cla_run_watch *w)
{
    if (w->wanted && cla_file_set_new(&w->files) != 0)
        fputs("cancela: out of memory: what the script reads is not watched\n", stderr);
}

void cla_run_watch_loaded(struct cla_run_watch *w, bool loaded)
{
    if (w->files == NULL)
        return;
    if (loaded)
        cla_watch_set(&w->watch, w->files);
    else
        cla_watch_add(&w->watch, w->files);
    cla_file_set_put(w->files);
    w->files = NULL;
}

int cla_run_watch_open(struct cla_run_watch *w, struct cla_log *log)
{
    int rc;

    if (!w->wanted)
        return 0;
    rc = cla_watch_open(&w->watch, &w->server->loop, log, on_change, w);
    if (rc == 0)
        cla_run_watch_loaded(w, true);
    return rc;
}

void cla_run_watch_close(struct cla_run_watch *w)
{
    if (w->wanted)
        cla_watch_close(&w->watch);
}

void cla_run_watch_fini(struct cla_run_watch *w)
{
    cla_file_set_put(w->files);
    w->files = NULL;
}
