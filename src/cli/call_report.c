#include "cli/call_report.h"

#include <stdio.h>

#include "base/error.h"
#include "cli/call_print.h"
#include "cli/cli.h"

static double seconds(uint64_t ns)
{
    return (double)ns / (double)CLA_NS_PER_S;
}

static double milliseconds(uint64_t ns)
{
    return (double)ns / (double)CLA_NS_PER_MS;
}

void cla_call_report_place(const struct cla_call_report *report)
{
    const char *file = report->args->file;

    if (report->line > 0)
        fprintf(stderr, "  at %s:%u\n", strcmp(file, "-") == 0 ? "stdin" : file, report->line);
}

static int print_result(const struct cla_call_report *report, struct cla_slice result)
{
    /* Of a stream null is no result. */
    if (result.n > 0 && !(report->args->stream && cla_slice_eq(result, CLA_LIT("null")))) {
        cla_call_print_json(stdout, result);
        fputc('\n', stdout);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cla_call_args_fail("cannot write the result to stdout");
        return CLA_EXIT_FAILED;
    }
    if (report->interrupted)
        fprintf(stderr, "the result came %.1f ms after Ctrl-C: it was too late to cancel\n",
                milliseconds(report->ago_ns));
    return CLA_EXIT_OK;
}

static int print_cancelled(const struct cla_call_report *report, bool answered)
{
    fprintf(stderr, "cancelled after %.3f s", seconds(report->took_ns));
    if (answered)
        fprintf(stderr, "; answered %.1f ms after Ctrl-C", milliseconds(report->ago_ns));
    fputc('\n', stderr);
    return CLA_EXIT_INTERRUPTED;
}

static int print_error(const struct cla_call_report *report,
                       const struct cla_rpc_response *response)
{
    if (report->interrupted && response->code == CLA_CODE_CANCELED)
        return print_cancelled(report, true);
    cla_call_print_error(stderr, response);
    return response->code == CLA_CODE_DEADLINE_EXCEEDED ? CLA_EXIT_DEADLINE : CLA_EXIT_FAILED;
}

static int print_unreachable(const struct cla_call_report *report,
                             const struct cla_client_answer *answer)
{
    const struct cla_buf *address = &report->args->address;

    fprintf(stderr, "cancela: cannot connect to %.*s: %s%s\n", (int)address->n, address->p,
            answer->detail,
            answer->refused ? "; is the gateway running? start it with: cancela run APP" : "");
    return CLA_EXIT_NETWORK;
}

static int print_timeout(const struct cla_call_report *report, const char *detail)
{
    const struct cla_code_info *info = cla_code_info(CLA_CODE_DEADLINE_EXCEEDED);

    fprintf(stderr, "error: %s (%d): no answer within %s: %s\n", info->name, info->jsonrpc,
            report->args->timeout, detail);
    return CLA_EXIT_DEADLINE;
}

static int print_status(const struct cla_call_report *report,
                        const struct cla_client_answer *answer)
{
    if (report->args->websocket)
        fputs("cancela: the upgrade to WebSocket was refused\n", stderr);
    cla_call_print_status(stderr, answer->status, answer->body);
    return report->args->websocket ? CLA_EXIT_NETWORK : CLA_EXIT_FAILED;
}

static int print_broken(const char *detail)
{
    fputs("cancela: ", stderr);
    cla_call_print_text(stderr, cla_slice_str(detail)); /* some of it is the server's */
    fputc('\n', stderr);
    return CLA_EXIT_NETWORK;
}

static int print_answer(const struct cla_call_report *report,
                        const struct cla_client_answer *answer)
{
    switch (answer->end) {
    case CLA_CLIENT_RESULT:
        return print_result(report, answer->response.result);
    case CLA_CLIENT_ERROR:
        return print_error(report, &answer->response);
    case CLA_CLIENT_STATUS:
        return print_status(report, answer);
    case CLA_CLIENT_UNREACHABLE:
        return print_unreachable(report, answer);
    case CLA_CLIENT_BROKEN:
        return print_broken(answer->detail);
    case CLA_CLIENT_TIMEOUT:
        return print_timeout(report, answer->detail);
    case CLA_CLIENT_CANCELLED:
        break;
    }
    return print_cancelled(report, false);
}

int cla_call_report_answer(const struct cla_call_report *report,
                           const struct cla_client_answer *answer)
{
    int code = print_answer(report, answer);

    if (code != CLA_EXIT_OK)
        cla_call_report_place(report);
    if (!report->args->verbose)
        return code;
    if (report->args->websocket && answer->end <= CLA_CLIENT_ERROR)
        fprintf(stderr, "answered after %.3f s\n", seconds(report->took_ns));
    else if (answer->status != 0)
        fprintf(stderr, "HTTP %d after %.3f s\n", answer->status, seconds(report->took_ns));
    return code;
}
