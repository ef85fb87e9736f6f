/* Happy path: connect if it is a WebSocket; then take a call, make it, print its answer, and again;
 * at the end of the calls close.
 * Failure modes: each way a call can end has its exit code; the end of a WebSocket is the end of
 * the session, the failure of a call is not.
 * On SIGINT: the call under way is cancelled, over HTTP by closing its connection. The handler is
 * gone until its answer, so that a second one ends the process. Without a call the session ends. */
#include "cli/call_session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/call_input.h"
#include "cli/call_line.h"
#include "cli/call_params.h"
#include "cli/call_print.h"
#include "cli/call_report.h"
#include "cli/cli.h"
#include "gateway/socket_client.h"

struct session {
    const struct cla_call_args *args;
    struct cla_loop loop;
    uv_signal_t interrupt;
    struct cla_call_input input; /* of a file or prompt */
    int fd;                      /* what it reads; -1: nothing */
    bool prompt;                 /* it is a terminal with somebody at it */
    bool waiting;                /* for a line */
    struct cla_client_call call; /* the present one */
    struct cla_buf params;       /* of a call that stood in a line */
    bool calling;
    bool interrupted;                 /* the call under way was */
    bool unwritten;                   /* … because its items could not be printed */
    bool over;                        /* no more calls */
    struct cla_client *client;        /* HTTP: the call under way; NULL: none */
    struct cla_socket_client *socket; /* WebSocket; NULL: none, or gone */
    uint64_t started_ns, interrupted_ns;
    int exit; /* the exit code */
};

static void next(struct session *session);

/* --- The end. --- */

/* Of several failures the first counts. */
static void note(struct session *session, int code)
{
    if (session->exit == CLA_EXIT_OK && !session->prompt)
        session->exit = code;
}

static void maybe_stop(struct session *session)
{
    if (session->over && session->client == NULL && session->socket == NULL)
        cla_loop_stop(&session->loop);
}

static void end(struct session *session)
{
    if (session->over)
        return;
    session->over = true;
    uv_close((uv_handle_t *)&session->interrupt, NULL);
    if (session->fd >= 0)
        cla_call_input_fini(&session->input);
    if (session->socket != NULL)
        cla_socket_client_close(session->socket);
    maybe_stop(session);
}

/* --- Answers. --- */

static struct cla_call_report report_of(const struct session *session)
{
    uint64_t now = cla_loop_now_ns(&session->loop);

    return (struct cla_call_report){
        .args = session->args,
        .line = session->args->file != NULL ? session->input.line : 0,
        .took_ns = now - session->started_ns,
        .interrupted = session->interrupted,
        .ago_ns = now - session->interrupted_ns,
    };
}

/* A file of calls ends with the interrupt of one, for who presses Ctrl-C wants it to end. */
static void on_answer(void *arg, const struct cla_client_answer *answer)
{
    struct session *session = arg;
    struct cla_call_report report = report_of(session);
    bool last = session->args->procedure != NULL || (session->interrupted && !session->prompt);

    session->client = NULL;
    session->calling = false;
    if (!session->unwritten)
        note(session, cla_call_report_answer(&report, answer));
    if (last || ferror(stdout)) {
        end(session);
        return;
    }
    if (session->interrupted)
        uv_signal_start(&session->interrupt, session->interrupt.signal_cb, SIGINT);
    session->interrupted = false;
    next(session);
}

static void cancel_call(struct session *session)
{
    if (session->socket != NULL)
        cla_socket_client_cancel(session->socket);
    else
        cla_client_cancel(session->client);
}

/* Nobody reads the items any more: there is no use in making them. */
static void print_item(struct session *session, struct cla_slice value)
{
    if (session->unwritten)
        return;
    cla_call_print_json(stdout, value);
    fputc('\n', stdout);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return;
    session->unwritten = true;
    cla_call_args_fail("cannot write the items to stdout");
    note(session, CLA_EXIT_FAILED);
    cancel_call(session);
}

/* Progress is for people. */
static void on_part(void *arg, enum cla_client_part kind, struct cla_slice value)
{
    struct session *session = arg;

    if (kind == CLA_CLIENT_ITEM) {
        print_item(session, value);
    } else if (isatty(STDERR_FILENO)) {
        fputs("progress: ", stderr);
        cla_call_print_json(stderr, value);
        fputc('\n', stderr);
    }
}

static void on_notice(void *arg, struct cla_slice text, const struct cla_rpc_notice *notice)
{
    struct session *session = arg;

    if (session->prompt && session->waiting)
        fputc('\n', stderr);
    fputs("<- ", stderr);
    if (notice != NULL)
        cla_call_print_notice(stderr, notice);
    else
        cla_call_print_text(stderr, text);
    fputc('\n', stderr);
    if (session->prompt && session->waiting)
        fputs("> ", stderr);
}

static void on_open(void *arg)
{
    struct session *session = arg;

    if (session->prompt)
        fputs("PROCEDURE [JSON | name=value …], one call a line; Ctrl-C cancels it, Ctrl-D ends\n",
              stderr);
    next(session);
}

/* The connection ended by itself, or before it began. */
static void on_closed(void *arg, const struct cla_client_answer *answer)
{
    struct session *session = arg;
    struct cla_call_report report = report_of(session);

    session->socket = NULL;
    if (!session->calling)
        report.line = 0;
    if (!session->over) {
        if (session->prompt && session->waiting)
            fputc('\n', stderr);
        session->prompt = false; /* it counts there too */
        note(session, cla_call_report_answer(&report, answer));
    }
    session->calling = false;
    end(session);
    maybe_stop(session);
}

/* --- Calls. --- */

static const struct cla_socket_client_events socket_events = {on_open, on_answer, on_notice,
                                                              on_closed};

static int start_call(struct session *session)
{
    const struct cla_client_call *call = &session->call;
    uint64_t deadline_ns = cla_clock_add(session->started_ns, call->timeout_ns);

    if (session->args->websocket)
        return cla_socket_client_call(session->socket, call->procedure, call->params, deadline_ns);
    return cla_client_start(&session->client, &session->loop, call, on_answer, session);
}

/* Notes what cannot even be started, after its message. */
static void refuse(struct session *session, int code)
{
    struct cla_call_report report = report_of(session);

    cla_call_report_place(&report);
    note(session, code);
}

static int say_failure(const struct session *session, int rc)
{
    if (rc == -CLA_EINVAL)
        return cla_call_args_fail("'%s' can be no host", session->args->host);
    if (rc == -CLA_EUTF8)
        return cla_call_args_fail("the procedure's name is not valid UTF-8");
    cla_call_args_fail("%s", cla_error_text(rc));
    return CLA_EXIT_FAILED;
}

/* Makes the present call. False, after a message, if it cannot be. */
static bool make_call(struct session *session)
{
    int rc = start_call(session);

    session->calling = rc == 0;
    if (rc == 0 || rc == -CLA_ECLOSED) /* then on_closed() ends it */
        return true;
    refuse(session, say_failure(session, rc));
    return false;
}

/* Reads the call that stands in a line. False if there is none, or after a message. */
static bool read_call(struct session *session, char *line)
{
    char *words[CLA_CALL_WORDS_MAX];
    const char *why = "a call holds no NUL byte";
    int count = -1, code = 0;

    if (strlen(line) == session->input.line_bytes)
        count = cla_call_line_split(line, words, &why);
    session->params.n = 0;
    if (count < 0)
        code = cla_call_args_fail("%s", why);
    else if (count > 1 && strcmp(words[1], "-") == 0)
        code = cla_call_args_fail("'-' (stdin) is for a call on the command line");
    else if (count > 1)
        code = cla_call_params_read(&session->params, count - 1, words + 1);
    if (code != 0)
        refuse(session, code);
    if (code != 0 || count <= 0)
        return false;
    session->call.procedure = cla_slice_str(words[0]);
    session->call.params = cla_buf_slice(&session->params);
    session->started_ns = cla_loop_now_ns(&session->loop);
    return true;
}

/* Ends the session: there are no more lines, or none can be read. */
static void end_input(struct session *session, bool failed)
{
    const char *file = session->args->file;

    if (failed)
        note(session, cla_call_args_fail("cannot read %s: %s", file != NULL ? file : "stdin",
                                         strerror(errno)));
    else if (session->prompt)
        fputc('\n', stderr);
    end(session);
}

/* Takes lines until one is a call. False if there is none now. */
static bool take_call(struct session *session)
{
    char *line;

    for (;;) {
        if (session->prompt && !session->waiting)
            fputs("> ", stderr);
        session->waiting = true;
        switch (cla_call_input_line(&session->input, &line)) {
        case CLA_CALL_INPUT_LINE:
            session->waiting = false;
            if (read_call(session, line))
                return true;
            break;
        case CLA_CALL_INPUT_WAIT:
            return false;
        case CLA_CALL_INPUT_END:
        case CLA_CALL_INPUT_FAILED:
            end_input(session, !session->input.ended);
            return false;
        }
    }
}

static void next(struct session *session)
{
    if (session->args->procedure == NULL) {
        while (take_call(session) && !make_call(session))
            continue;
    } else if (!make_call(session)) {
        end(session);
    }
}

static void on_input(void *arg)
{
    next(arg);
}

/* --- Start and end. --- */

/* Nobody is called: at a prompt the session ends, else it was cancelled. */
static void interrupt_pause(struct session *session)
{
    if (session->prompt && session->waiting) {
        fputc('\n', stderr);
        end(session);
    } else if (session->socket != NULL) {
        cla_socket_client_close(session->socket);
    } else {
        note(session, CLA_EXIT_INTERRUPTED);
        end(session);
    }
}

static void on_interrupt(uv_signal_t *interrupt, int number)
{
    struct session *session = interrupt->data;

    (void)number;
    if (!session->calling) {
        interrupt_pause(session);
        return;
    }
    uv_signal_stop(interrupt);
    session->interrupted = true;
    session->interrupted_ns = cla_loop_now_ns(&session->loop);
    cancel_call(session);
}

/* Opens what the calls are read from. Returns 0, or an exit code after a message. */
static int open_input(struct session *session)
{
    const char *file = session->args->file;

    if (session->args->procedure != NULL)
        return 0;
    session->prompt = file == NULL;
    session->fd = STDIN_FILENO;
    if (file != NULL && strcmp(file, "-") != 0)
        session->fd = open(file, O_RDONLY | O_CLOEXEC);
    if (session->fd < 0)
        return cla_call_args_fail("cannot open %s: %s", file, strerror(errno));
    cla_call_input_init(&session->input, &session->loop, session->fd, on_input, session);
    return 0;
}

/* Starts the first call, or the connection for it. */
static void start(struct session *session)
{
    int rc = 0;

    session->started_ns = cla_loop_now_ns(&session->loop);
    if (session->args->websocket)
        rc = cla_socket_client_start(&session->socket, &session->loop, &session->call,
                                     &socket_events, session);
    else
        on_open(session);
    if (rc == 0)
        return;
    note(session, say_failure(session, rc));
    end(session);
}

/* A name lookup cannot be broken off, and libuv has even exit() wait for it: nobody who gave up
 * should. */
static void leave_lookup(struct session *session)
{
    cla_loop_step(&session->loop, false);
    if (session->loop.lookups > 0)
        _exit(session->exit);
}

static void run(struct session *session)
{
    uv_signal_init(&session->loop.uv, &session->interrupt);
    session->interrupt.data = session;
    uv_signal_start(&session->interrupt, on_interrupt, SIGINT);
    start(session);
    if (!session->over || session->client != NULL || session->socket != NULL)
        cla_loop_run(&session->loop);
    leave_lookup(session);
}

int cla_call_session_run(const struct cla_call_args *args, struct cla_tls_context *tls)
{
    struct session session = {
        .args = args,
        .fd = -1,
        .call = {.tls = tls,
                 .host = args->host,
                 .port = args->port,
                 .authority = cla_buf_slice(&args->address),
                 .target = cla_buf_slice(&args->target),
                 .fields = cla_buf_slice(&args->fields),
                 .procedure = cla_slice_str(args->procedure != NULL ? args->procedure : ""),
                 .params = cla_buf_slice(&args->params),
                 .timeout_ns = args->timeout_ns,
                 .on_part = args->stream ? on_part : NULL},
    };

    signal(SIGPIPE, SIG_IGN);
    if (cla_loop_init(&session.loop) != 0) {
        cla_call_args_fail("out of memory");
        return CLA_EXIT_FAILED;
    }
    session.exit = open_input(&session);
    if (session.exit == CLA_EXIT_OK)
        run(&session);
    if (session.fd > STDIN_FILENO)
        close(session.fd);
    cla_buf_fini(&session.params);
    cla_loop_fini(&session.loop);
    return session.exit;
}
