/* Happy path: connect, make the call if there is one, print events until there were enough, close.
 * Failure modes: no connection, or its end, even an orderly one: it was not asked for; a call that
 * fails, for without it the events may never come.
 * On SIGINT: the connection is closed; the handler is gone, so that a second one ends the process.
 */
#include "cli/listen.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/call_print.h"
#include "cli/call_report.h"
#include "cli/call_tls.h"
#include "cli/cli.h"
#include "gateway/socket_client.h"
#include "json/scan.h"

static const char help[] =
    "usage: cancela listen URL EVENT [PROCEDURE [JSON | name=value … | -]]\n"
    "\n"
    "Connects to the gateway at URL, calls PROCEDURE if it is given (one that subscribes, say), "
    "and\n"
    "prints the params of each notification named EVENT as a line of JSON, until Ctrl-C, or the\n"
    "server closes.\n"
    "\n"
    "  URL         [ws://]host[:port][/path] or wss://…, as of 'cancela call', or ws+unix:PATH\n"
    "  EVENT       the event or topic, exactly\n"
    "  PROCEDURE   and its params, as of 'cancela call'; its result is not printed\n"
    "\n"
    "  --count N               end after N events\n"
    "  --timeout TIME          for the connection and the call: 500ms, 2s, 1.5 (seconds), 1m\n"
    "  --header 'Name: value'  send a header field; may be repeated\n"
    "  --cacert FILE           trust the authorities in this PEM file, not the system's\n"
    "  --cert FILE --key FILE  present this certificate (PEM)\n"
    "  --insecure, -k          do not verify the server's certificate\n"
    "  --verbose               print the call's result and other notifications to stderr\n"
    "\n"
    "  cancela listen localhost:3000 news subscribe topic=news\n"
    "\n"
    "Exit codes: 0 N events are on stdout · 1 the call failed · 2 bad argument · 3 no connection,\n"
    "or it ended · 4 the deadline of the call passed · 130 interrupted\n";

struct listener {
    const struct cla_call_args *args;
    struct cla_loop loop;
    uv_signal_t interrupt;
    struct cla_client_call to;
    struct cla_socket_client *socket; /* NULL: gone */
    uint64_t started_ns;
    uint64_t count; /* events printed */
    bool over;      /* how it ends is decided */
    int exit;
};

static void end(struct listener *listener, int code)
{
    if (listener->over)
        return;
    listener->over = true;
    listener->exit = code;
    uv_close((uv_handle_t *)&listener->interrupt, NULL);
    if (listener->socket != NULL)
        cla_socket_client_close(listener->socket);
    else
        cla_loop_stop(&listener->loop);
}

static int report(const struct listener *listener, const struct cla_client_answer *answer)
{
    const struct cla_call_report report = {
        .args = listener->args,
        .took_ns = cla_loop_now_ns(&listener->loop) - listener->started_ns,
    };

    return cla_call_report_answer(&report, answer);
}

/* --- Events. --- */

static bool is_event(const struct cla_call_args *args, struct cla_slice method)
{
    struct cla_slice raw = cla_slice(method.p + 1, method.n - 2); /* without its quotes */
    char *text = cla_mem_alloc(raw.n + 1);
    bool is = false;

    if (text != NULL)
        is =
            cla_slice_eq(cla_slice(text, cla_json_unescape(raw, text)), cla_slice_str(args->event));
    cla_mem_free(text);
    return is;
}

static void print_event(struct listener *listener, struct cla_slice params)
{
    cla_call_print_json(stdout, params.n > 0 ? params : CLA_LIT("null"));
    fputc('\n', stdout);
    if (fflush(stdout) != 0) {
        cla_call_args_fail("cannot write events to stdout");
        end(listener, CLA_EXIT_FAILED);
    } else if (++listener->count == listener->args->count) {
        end(listener, CLA_EXIT_OK);
    }
}

static void print_other(struct cla_slice text, const struct cla_rpc_notice *notice)
{
    fputs("<- ", stderr);
    if (notice != NULL)
        cla_call_print_notice(stderr, notice);
    else
        cla_call_print_text(stderr, text);
    fputc('\n', stderr);
}

static void on_notice(void *arg, struct cla_slice text, const struct cla_rpc_notice *notice)
{
    struct listener *listener = arg;

    if (listener->over)
        return;
    if (notice != NULL && is_event(listener->args, notice->method))
        print_event(listener, notice->params);
    else if (listener->args->verbose)
        print_other(text, notice);
}

/* --- The call. --- */

static void on_answer(void *arg, const struct cla_client_answer *answer)
{
    struct listener *listener = arg;

    if (listener->over)
        return;
    if (answer->end != CLA_CLIENT_RESULT) {
        end(listener, report(listener, answer));
    } else if (listener->args->verbose) {
        cla_call_print_json(stderr, answer->response.result);
        fputc('\n', stderr);
    }
}

static void on_open(void *arg)
{
    struct listener *listener = arg;
    const struct cla_client_call *to = &listener->to;
    int rc = 0;

    if (listener->args->verbose)
        fputs("connected\n", stderr);
    if (listener->args->procedure != NULL)
        rc = cla_socket_client_call(listener->socket, to->procedure, to->params,
                                    cla_clock_add(listener->started_ns, to->timeout_ns));
    if (rc == 0 || rc == -CLA_ECLOSED) /* then on_closed() ends it */
        return;
    cla_call_args_fail("%s", cla_error_text(rc));
    end(listener, CLA_EXIT_FAILED);
}

static void on_closed(void *arg, const struct cla_client_answer *answer)
{
    struct listener *listener = arg;

    listener->socket = NULL;
    if (listener->over)
        cla_loop_stop(&listener->loop);
    else
        end(listener, report(listener, answer));
}

static const struct cla_socket_client_events events = {on_open, on_answer, on_notice, on_closed};

/* --- Start and end. --- */

static void on_interrupt(uv_signal_t *interrupt, int number)
{
    (void)number;
    end(interrupt->data, CLA_EXIT_INTERRUPTED);
}

static int start(struct listener *listener)
{
    int rc;

    uv_signal_init(&listener->loop.uv, &listener->interrupt);
    listener->interrupt.data = listener;
    uv_signal_start(&listener->interrupt, on_interrupt, SIGINT);
    listener->started_ns = cla_loop_now_ns(&listener->loop);
    rc = cla_socket_client_start(&listener->socket, &listener->loop, &listener->to, &events,
                                 listener);
    if (rc == 0)
        return 0;
    uv_close((uv_handle_t *)&listener->interrupt, NULL);
    if (rc == -CLA_EINVAL)
        return cla_call_args_fail("'%s' can be no host", listener->args->host);
    cla_call_args_fail("%s", cla_error_text(rc));
    return CLA_EXIT_FAILED;
}

static int run(const struct cla_call_args *args, struct cla_tls_context *tls)
{
    struct listener listener = {
        .args = args,
        .to = {.tls = tls,
               .host = args->host,
               .port = args->port,
               .authority = cla_buf_slice(&args->address),
               .target = cla_buf_slice(&args->target),
               .fields = cla_buf_slice(&args->fields),
               .procedure = cla_slice_str(args->procedure != NULL ? args->procedure : ""),
               .params = cla_buf_slice(&args->params),
               .timeout_ns = args->timeout_ns},
    };

    signal(SIGPIPE, SIG_IGN);
    if (cla_loop_init(&listener.loop) != 0) {
        cla_call_args_fail("out of memory");
        return CLA_EXIT_FAILED;
    }
    listener.exit = start(&listener);
    if (listener.exit == CLA_EXIT_OK)
        cla_loop_run(&listener.loop);
    cla_loop_step(&listener.loop, false);
    if (listener.loop.lookups > 0) /* libuv would wait for it, even in exit() */
        _exit(listener.exit);
    cla_loop_fini(&listener.loop);
    return listener.exit;
}

int cla_cli_listen(int argc, char **argv)
{
    struct cla_call_args args;
    struct cla_tls_context *tls = NULL;
    int rc = cla_call_args_read_listen(&args, argc, argv);

    if (rc == 0 && args.help)
        fputs(help, stdout);
    else if (rc == 0)
        rc = cla_call_tls_open(&args, &tls);
    if (rc == 0 && !args.help)
        rc = run(&args, tls);
    cla_tls_context_put(tls);
    cla_call_args_fini(&args);
    return rc;
}
