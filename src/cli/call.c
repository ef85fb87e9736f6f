/* Happy path: start the call, run the loop until its answer, print it.
 * Failure modes: each way a call can end has its exit code.
 * On SIGINT: the call is cancelled by closing its connection; the handler is gone from then on, so
 * that a second one ends the process. */
#include "cli/call.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/call_args.h"
#include "cli/call_print.h"
#include "cli/call_tls.h"
#include "cli/cli.h"
#include "gateway/client.h"

static const char help[] =
    "usage: cancela call URL PROCEDURE [JSON | name=value … | -]\n"
    "\n"
    "Calls PROCEDURE of the gateway at URL and prints its result as JSON. Ctrl-C cancels the "
    "call.\n"
    "\n"
    "  URL         [http://]host[:port][/path] or https://…. The path is /rpc where there is "
    "none;\n"
    "              the port is 3000, or 80 behind http://, or 443 behind https://. Or unix:PATH\n"
    "              for a socket file\n"
    "  JSON        the params as one JSON object or array\n"
    "  name=value  a member of the params: JSON as it is, anything else as a string; a string\n"
    "              that looks like JSON goes in quotes of its own: zip='\"01234\"'\n"
    "  -           read the JSON from stdin\n"
    "\n"
    "  --timeout TIME          give up after TIME: 500ms, 2s, 1.5 (seconds), 1m; the gateway\n"
    "                          enforces it too\n"
    "  --header 'Name: value'  send a header field; may be repeated\n"
    "  --cacert FILE           trust the authorities in this PEM file, not the system's\n"
    "  --cert FILE --key FILE  present this certificate (PEM)\n"
    "  --insecure, -k          do not verify the server's certificate\n"
    "  --verbose               print the HTTP status and the time taken to stderr\n"
    "\n"
    "  cancela call localhost:3000 add a=2 b=40\n"
    "  cancela call localhost add '{\"a\": 2, \"b\": 40}'\n"
    "  cancela call http://10.0.0.7:8080/rpc report year=2024 --timeout 500ms\n"
    "\n"
    "Exit codes: 0 the result is on stdout · 1 the call failed · 2 bad argument ·\n"
    "3 no connection, or a broken one · 4 the deadline passed · 130 interrupted\n";

struct run {
    const struct cla_call_args *args;
    struct cla_loop loop;
    uv_signal_t interrupt;
    struct cla_client *client; /* NULL: answered */
    uint64_t started_ns;
    int exit; /* the exit code */
};

static double seconds_since_start(const struct run *run)
{
    return (double)(cla_loop_now_ns(&run->loop) - run->started_ns) / (double)CLA_NS_PER_S;
}

static int print_result(struct cla_slice result)
{
    if (result.n > 0) {
        cla_call_print_json(stdout, result);
        fputc('\n', stdout);
    }
    if (fflush(stdout) == 0 && !ferror(stdout))
        return CLA_EXIT_OK;
    cla_call_args_fail("cannot write the result to stdout");
    return CLA_EXIT_FAILED;
}

static int print_error(const struct cla_rpc_response *response)
{
    cla_call_print_error(stderr, response);
    return response->code == CLA_CODE_DEADLINE_EXCEEDED ? CLA_EXIT_DEADLINE : CLA_EXIT_FAILED;
}

static int print_unreachable(const struct run *run, const struct cla_client_answer *answer)
{
    const struct cla_buf *address = &run->args->address;

    fprintf(stderr, "cancela: cannot connect to %.*s: %s%s\n", (int)address->n, address->p,
            answer->detail,
            answer->refused ? "; is the gateway running? start it with: cancela run APP" : "");
    return CLA_EXIT_NETWORK;
}

static int print_timeout(const struct run *run, const char *detail)
{
    const struct cla_code_info *info = cla_code_info(CLA_CODE_DEADLINE_EXCEEDED);

    fprintf(stderr, "error: %s (%d): no answer within %s: %s\n", info->name, info->jsonrpc,
            run->args->timeout, detail);
    return CLA_EXIT_DEADLINE;
}

/* Returns the exit code. */
static int print_answer(const struct run *run, const struct cla_client_answer *answer)
{
    switch (answer->end) {
    case CLA_CLIENT_RESULT:
        return print_result(answer->response.result);
    case CLA_CLIENT_ERROR:
        return print_error(&answer->response);
    case CLA_CLIENT_STATUS:
        cla_call_print_status(stderr, answer->status, answer->body);
        return CLA_EXIT_FAILED;
    case CLA_CLIENT_UNREACHABLE:
        return print_unreachable(run, answer);
    case CLA_CLIENT_BROKEN:
        fprintf(stderr, "cancela: %s\n", answer->detail);
        return CLA_EXIT_NETWORK;
    case CLA_CLIENT_TIMEOUT:
        return print_timeout(run, answer->detail);
    case CLA_CLIENT_CANCELLED:
        break;
    }
    fprintf(stderr, "cancelled after %.3f s\n", seconds_since_start(run));
    return CLA_EXIT_INTERRUPTED;
}

static void stop_listening(struct run *run)
{
    if (!uv_is_closing((uv_handle_t *)&run->interrupt))
        uv_close((uv_handle_t *)&run->interrupt, NULL);
}

static void on_answer(void *arg, const struct cla_client_answer *answer)
{
    struct run *run = arg;

    run->client = NULL;
    run->exit = print_answer(run, answer);
    if (run->args->verbose && answer->status != 0)
        fprintf(stderr, "HTTP %d after %.3f s\n", answer->status, seconds_since_start(run));
    stop_listening(run);
    cla_loop_stop(&run->loop);
}

static void on_interrupt(uv_signal_t *interrupt, int number)
{
    struct run *run = interrupt->data;

    stop_listening(run);
    cla_client_cancel(run->client);
}

static int start(struct run *run, const struct cla_client_call *call)
{
    int rc = cla_client_start(&run->client, &run->loop, call, on_answer, run);

    if (rc == 0)
        return 0;
    run->exit = CLA_EXIT_FAILED;
    if (rc == -CLA_EINVAL)
        run->exit = cla_call_args_fail("'%s' can be no host", call->host);
    else
        cla_call_args_fail("%s", cla_error_text(rc));
    return rc;
}

/* A name lookup cannot be broken off, and libuv has even exit() wait for it: nobody who gave up
 * should. */
static void leave_lookup(struct run *run)
{
    cla_loop_step(&run->loop, false);
    if (run->loop.lookups > 0)
        _exit(run->exit);
}

static void run_call(struct run *run, const struct cla_client_call *call)
{
    run->started_ns = cla_loop_now_ns(&run->loop);
    uv_signal_init(&run->loop.uv, &run->interrupt);
    run->interrupt.data = run;
    if (start(run, call) != 0) {
        stop_listening(run);
        return;
    }
    uv_signal_start(&run->interrupt, on_interrupt, SIGINT);
    cla_loop_run(&run->loop);
    leave_lookup(run);
}

static int call(const struct cla_call_args *args, struct cla_tls_context *tls)
{
    const struct cla_client_call call = {
        .tls = tls,
        .host = args->host,
        .port = args->port,
        .authority = cla_buf_slice(&args->address),
        .target = cla_buf_slice(&args->target),
        .fields = cla_buf_slice(&args->fields),
        .procedure = cla_slice_str(args->procedure),
        .params = cla_buf_slice(&args->params),
        .timeout_ns = args->timeout_ns,
    };
    struct run run = {.args = args};

    signal(SIGPIPE, SIG_IGN);
    if (cla_loop_init(&run.loop) != 0) {
        cla_call_args_fail("out of memory");
        return CLA_EXIT_FAILED;
    }
    run_call(&run, &call);
    cla_loop_fini(&run.loop);
    return run.exit;
}

int cla_cli_call(int argc, char **argv)
{
    struct cla_call_args args;
    struct cla_tls_context *tls = NULL;
    int rc = cla_call_args_read(&args, argc, argv);

    if (rc == 0 && args.help)
        fputs(help, stdout);
    else if (rc == 0)
        rc = cla_call_tls_open(&args, &tls);
    if (rc == 0 && !args.help)
        rc = call(&args, tls);
    cla_tls_context_put(tls);
    cla_call_args_fini(&args);
    return rc;
}
