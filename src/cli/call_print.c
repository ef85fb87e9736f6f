#include "cli/call_print.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "http/head.h"
#include "json/scan.h"

/* How much is printed of a body that is not JSON-RPC. */
#define BODY_MAX 4096

/* The code point of the control character at p[0..n), whose sequence has 'length' bytes, if it is
 * one that JSON allows in strings: DEL or C1. Else 0. */
static unsigned late_control(const char *p, unsigned length)
{
    if (length == 1 && p[0] == 0x7f)
        return 0x7f;
    if (length == 2 && (unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0)
        return (unsigned char)p[1];
    return 0;
}

/* Prints the string at the start of p[0..n). Returns its length with both quotes. */
static size_t print_string(FILE *to, const char *p, size_t n)
{
    size_t at = 1;

    fputc('"', to);
    while (at < n && p[at] != '"') {
        unsigned length = p[at] == '\\' ? 2 : cla_utf8_sequence(p + at, n - at);
        unsigned control = late_control(p + at, length);

        if (control != 0)
            fprintf(to, "\\u%04x", control);
        else
            fwrite(p + at, 1, length, to);
        at += length;
    }
    fputc('"', to);
    return at + 1;
}

void cla_call_print_json(FILE *to, struct cla_slice json)
{
    for (size_t at = 0; at < json.n; at++) {
        char c = json.p[at];

        if (c == '"')
            at += print_string(to, json.p + at, json.n - at) - 1;
        else if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
            fputc(c, to);
    }
}

/* True if the sequence at 'p' may go to a terminal. */
static bool printable(const char *p, unsigned length)
{
    if (length == 0 || late_control(p, length) != 0)
        return false;
    return (unsigned char)p[0] >= ' ' || p[0] == '\n' || p[0] == '\t';
}

void cla_call_print_text(FILE *to, struct cla_slice text)
{
    unsigned length;

    for (size_t at = 0; at < text.n; at += length) {
        length = cla_utf8_sequence(text.p + at, text.n - at);
        if (printable(text.p + at, length)) {
            fwrite(text.p + at, 1, length, to);
        } else {
            fprintf(to, "\\x%02x", (unsigned char)text.p[at]);
            length = 1;
        }
    }
}

/* 'message' is a JSON string with its quotes. */
static void print_message(FILE *to, struct cla_slice message)
{
    struct cla_slice raw = cla_slice(message.p + 1, message.n - 2);
    char *text = cla_mem_alloc(raw.n + 1);

    if (text != NULL)
        cla_call_print_text(to, cla_slice(text, cla_json_unescape(raw, text)));
    cla_mem_free(text);
}

void cla_call_print_notice(FILE *to, const struct cla_rpc_notice *notice)
{
    print_message(to, notice->method);
    if (notice->params.n == 0)
        return;
    fputc(' ', to);
    cla_call_print_json(to, notice->params);
}

/* True if 'data' holds nothing but the name that was printed already. */
static bool is_only_code(struct cla_slice data, const char *name)
{
    char text[64];

    snprintf(text, sizeof text, "{\"code\":\"%s\"}", name);
    return cla_slice_eq(data, cla_slice_str(text));
}

void cla_call_print_error(FILE *to, const struct cla_rpc_response *response)
{
    const char *name = cla_code_info(response->code)->name;

    fprintf(to, "error: %s (%d): ", name, response->number);
    print_message(to, response->message);
    fputc('\n', to);
    if (response->data.n == 0 || is_only_code(response->data, name))
        return;
    fputs("data: ", to);
    cla_call_print_json(to, response->data);
    fputc('\n', to);
}

void cla_call_print_status(FILE *to, int status, struct cla_slice body)
{
    bool cut = body.n > BODY_MAX;

    while (body.n > 0 && strchr(" \t\r\n", body.p[body.n - 1]) != NULL)
        body.n--;
    fprintf(to, "error: HTTP %d %s\n", status, cla_http_reason(status));
    if (body.n == 0)
        return;
    cla_call_print_text(to, cla_slice(body.p, cut && body.n > BODY_MAX ? BODY_MAX : body.n));
    fputs(cut ? " …\n" : "\n", to);
}
