/* Happy path: an event that may matter starts a timer, and further ones put it off; when it fires
 * the prints of all files are taken and compared with the last. Only a difference is a change, so
 * events may come too often, and for nothing.
 * Failure modes: without inotify, or with less of it than is needed, prints are compared every
 * second.
 * On close: the handles go, and with them the timer and the prints. */
#include "io/watch.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

/* Something has happened, or may have. */
static void touch(struct cla_watch *w)
{
    uint64_t now = cla_loop_now_ns(w->loop), due = now + CLA_WATCH_QUIET_NS;

    if (w->first_ns == 0)
        w->first_ns = now;
    if (due > w->first_ns + CLA_WATCH_LATEST_NS)
        due = w->first_ns + CLA_WATCH_LATEST_NS;
    cla_timer_start(&w->loop->timers, &w->timer, due);
}

static const char *remedy(int error)
{
    switch (error) {
    case ENOSPC:
        return "raise fs.inotify.max_user_watches (sysctl), or list fewer folders in app.watch";
    case EMFILE:
        return "raise fs.inotify.max_user_instances (sysctl)";
    case EACCES:
        return "let this user read every folder on the way to the script's files";
    default:
        return "free some memory, or restart";
    }
}

static void tell_limits(struct cla_watch *w, int error)
{
    if (error != 0 && error != w->told_error)
        cla_log_line(w->log, CLA_LOG_WARN,
                     "the system does not tell of all changes of files (%s): looking at them every "
                     "second instead; %s",
                     strerror(error), remedy(error));
    w->told_error = error;
    if (w->files.cut && !w->told_cut)
        cla_log_line(
            w->log, CLA_LOG_WARN,
            "not all files are watched: at most %d are, and at most %d with those found in "
            "folders; list fewer folders in app.watch",
            CLA_FILE_LIST_MOST, CLA_FILE_LIST_MOST_FOUND);
    w->told_cut = w->files.cut;
}

static void arm(struct cla_watch *w)
{
    cla_watch_folders_begin(&w->folders);
    for (size_t i = 0; i < w->files.paths.count; i++)
        cla_watch_folders_add(&w->folders, w->files.paths.texts[i], w->files.files[i].deep);
    tell_limits(w, cla_watch_folders_end(&w->folders));
}

/* Folders that are found by comparing are armed, and then compared, too. */
static const char *compare(struct cla_watch *w)
{
    const char *first = NULL;
    size_t count;

    do {
        const char *changed;

        count = w->files.paths.count;
        arm(w);
        changed = cla_file_list_compare(&w->files);
        first = first != NULL ? first : changed;
    } while (w->files.paths.count > count);
    return first;
}

static void on_timer(struct cla_timer *timer)
{
    struct cla_watch *w = CLA_CONTAINER(timer, struct cla_watch, timer);
    bool asked = w->first_ns != 0;
    const char *changed = compare(w);

    w->first_ns = 0;
    if (w->folders.error != 0)
        cla_timer_start(&w->loop->timers, &w->timer, cla_loop_now_ns(w->loop) + CLA_WATCH_LOOK_NS);
    if (changed != NULL)
        w->on_change(w->arg, changed);
    else if (asked)
        cla_log_line(w->log, CLA_LOG_DEBUG, "none of the watched files has changed");
}

static void on_events(uv_poll_t *poll, int status, int events)
{
    struct cla_watch *w = poll->data;

    (void)events;
    if (status < 0 || cla_watch_folders_read(&w->folders))
        touch(w);
}

static void take_up(struct cla_watch *w, struct cla_file_set *set, size_t *from)
{
    cla_file_set_copy(set, &w->files, from);
    arm(w);
    touch(w);
}

static void on_added(uv_async_t *async)
{
    struct cla_watch *w = async->data;

    if (w->set != NULL)
        take_up(w, w->set, &w->seen);
}

/* On the thread that notes. */
static void wake(void *arg)
{
    struct cla_watch *w = arg;

    uv_async_send(&w->added);
}

int cla_watch_open(struct cla_watch *w, struct cla_loop *loop, struct cla_log *log,
                   cla_watch_cb *on_change, void *arg)
{
    *w = (struct cla_watch){.loop = loop, .log = log, .on_change = on_change, .arg = arg};
    cla_timer_init(&w->timer, on_timer);
    cla_watch_folders_init(&w->folders);
    if (uv_async_init(&loop->uv, &w->added, on_added) != 0) {
        cla_watch_folders_fini(&w->folders);
        return -CLA_EIO;
    }
    w->added.data = w;
    if (w->folders.fd < 0)
        return 0;
    uv_poll_init(&loop->uv, &w->poll, w->folders.fd);
    w->poll.data = w;
    uv_poll_start(&w->poll, UV_READABLE, on_events);
    return 0;
}

static void drop_set(struct cla_watch *w)
{
    if (w->set != NULL)
        cla_file_set_listen(w->set, NULL, NULL);
    cla_file_set_put(w->set);
    w->set = NULL;
}

void cla_watch_set(struct cla_watch *w, struct cla_file_set *set)
{
    cla_file_set_ref(set);
    drop_set(w);
    cla_file_list_fini(&w->files);
    w->told_cut = false;
    w->set = set;
    w->seen = 0;
    cla_file_set_listen(set, wake, w);
    take_up(w, set, &w->seen);
}

void cla_watch_add(struct cla_watch *w, struct cla_file_set *set)
{
    size_t from = 0;

    take_up(w, set, &from);
}

void cla_watch_close(struct cla_watch *w)
{
    drop_set(w);
    cla_timer_stop(&w->loop->timers, &w->timer);
    uv_close((uv_handle_t *)&w->added, NULL);
    if (w->folders.fd >= 0)
        uv_close((uv_handle_t *)&w->poll, NULL);
    cla_watch_folders_fini(&w->folders);
    cla_file_list_fini(&w->files);
}
