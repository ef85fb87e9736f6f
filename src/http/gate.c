#include "http/gate.h"

#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "http/parser.h"

#define VERSION_N 9 /* " HTTP/1.1" */

static bool is_control(char c)
{
    unsigned char byte = (unsigned char)c;

    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

/* The first control character (not tab) in p[at..end), or 'end'. */
static size_t skip_text(const char *p, size_t at, size_t end)
{
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + at));
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
        __m128i text = _mm_cmpeq_epi8(v, _mm_set1_epi8('\t'));
        __m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
        int mask = _mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(text, low), del));

        if (mask != 0)
            return at + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (at < end && !is_control(p[at]))
        at++;
    return at;
}

static int refuse_control(char c, struct cla_http_fault *fault)
{
    if (c == '\n')
        return cla_http_fault_set(fault, 400, "a line of the head ends with LF alone");
    return cla_http_fault_set(fault, 400, "control character 0x%02x in the head",
                              (unsigned)(unsigned char)c);
}

static int check_target(struct cla_slice method, struct cla_slice target, size_t limit,
                        struct cla_http_fault *fault)
{
    if (target.n == 0)
        return cla_http_fault_set(fault, 400, "the request line has no target");
    if (target.n > limit)
        return cla_http_fault_set(fault, 414, "the target is longer than %zu bytes", limit);
    for (size_t i = 0; i < target.n; i++) {
        unsigned char byte = (unsigned char)target.p[i];

        if (byte <= ' ' || byte >= 0x7f)
            return cla_http_fault_set(fault, 400, "byte 0x%02x in the target", (unsigned)byte);
        if (byte == '#')
            return cla_http_fault_set(fault, 400, "the target has a fragment");
    }
    if (cla_slice_eq(method, CLA_LIT("CONNECT")))
        return cla_http_fault_set(fault, 501, "CONNECT: this is not a proxy");
    if (cla_slice_eq(method, CLA_LIT("PRI")))
        return cla_http_fault_set(fault, 400, "HTTP/2 is not spoken here");
    return 0;
}

static int check_request_line(struct cla_http_gate *gate, const struct cla_http_limits *limits,
                              const char *p, size_t n, struct cla_http_fault *fault)
{
    const char *space = n > VERSION_N ? memchr(p, ' ', n - VERSION_N) : NULL;

    if (n <= VERSION_N || memcmp(p + n - VERSION_N, " HTTP/1.", VERSION_N - 1) != 0 ||
        (p[n - 1] != '0' && p[n - 1] != '1'))
        return cla_http_fault_set(fault, 400,
                                  "the request line does not end with HTTP/1.0 or HTTP/1.1");
    if (space == NULL)
        return cla_http_fault_set(fault, 400, "the request line has no target");
    gate->method_n = (size_t)(space - p);
    gate->target_n = n - VERSION_N - gate->method_n - 1;
    return check_target(cla_slice(p, gate->method_n), cla_slice(space + 1, gate->target_n),
                        limits->target_bytes, fault);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int check_status_line(const char *p, size_t n, struct cla_http_fault *fault)
{
    if (n < 12 || memcmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1') || p[8] != ' ' ||
        !is_digit(p[9]) || !is_digit(p[10]) || !is_digit(p[11]) || (n > 12 && p[12] != ' '))
        return cla_http_fault_set(fault, 400, "the status line is not HTTP/1.0's or HTTP/1.1's");
    return 0;
}

/* The byte at p[at] is the LF behind a CR. */
static enum cla_http_gate_result end_line(struct cla_http_gate *gate,
                                          const struct cla_http_limits *limits, const char *p,
                                          size_t at, struct cla_http_fault *fault)
{
    size_t n = at - 1 - gate->line;
    int rc = 0;

    if (gate->line == 0 && gate->response)
        rc = check_status_line(p, n, fault);
    else if (gate->line == 0)
        rc = check_request_line(gate, limits, p, n, fault);
    else if (n == 0)
        return CLA_HTTP_GATE_DONE;
    gate->cr = false;
    gate->line = at + 1;
    return rc == 0 ? CLA_HTTP_GATE_MORE : CLA_HTTP_GATE_FAILED;
}

static int begin_line(struct cla_http_gate *gate, const struct cla_http_limits *limits, char first,
                      struct cla_http_fault *fault)
{
    if (gate->line == 0 || first == '\r')
        return 0;
    if (first == ' ' || first == '\t')
        return cla_http_fault_set(fault, 400, "a line of the head begins with white space");
    if (first == ':')
        return cla_http_fault_set(fault, 400, "a field has no name");
    if (gate->fields == limits->field_count)
        return cla_http_fault_set(fault, 431, "the head has more than %u fields",
                                  limits->field_count);
    gate->fields++;
    return 0;
}

static enum cla_http_gate_result refuse_long(const struct cla_http_gate *gate, size_t limit,
                                             struct cla_http_fault *fault)
{
    if (gate->line == 0)
        cla_http_fault_set(fault, 414, "the first line is longer than %zu bytes", limit);
    else
        cla_http_fault_set(fault, 431, "the head is larger than %zu bytes", limit);
    return CLA_HTTP_GATE_FAILED;
}

/* One step: a line end, or text up to the next control character. */
static enum cla_http_gate_result step(struct cla_http_gate *gate,
                                      const struct cla_http_limits *limits, const char *p,
                                      size_t end, struct cla_http_fault *fault)
{
    enum cla_http_gate_result result;

    if (gate->cr) {
        if (p[gate->at] != '\n') {
            cla_http_fault_set(fault, 400, "a CR without LF in the head");
            return CLA_HTTP_GATE_FAILED;
        }
        result = end_line(gate, limits, p, gate->at, fault);
        gate->at += result != CLA_HTTP_GATE_FAILED;
        return result;
    }
    if (gate->at == gate->line && begin_line(gate, limits, p[gate->at], fault) != 0)
        return CLA_HTTP_GATE_FAILED;
    gate->at = skip_text(p, gate->at, end);
    if (gate->at == end)
        return CLA_HTTP_GATE_MORE;
    if (p[gate->at] != '\r') {
        refuse_control(p[gate->at], fault);
        return CLA_HTTP_GATE_FAILED;
    }
    gate->cr = true;
    gate->at++;
    return CLA_HTTP_GATE_MORE;
}

enum cla_http_gate_result cla_http_gate_scan(struct cla_http_gate *gate,
                                             const struct cla_http_limits *limits, const char *p,
                                             size_t n, struct cla_http_fault *fault)
{
    size_t end = n < limits->head_bytes ? n : limits->head_bytes;
    enum cla_http_gate_result result;

    while (gate->at < end) {
        result = step(gate, limits, p, end, fault);
        if (result != CLA_HTTP_GATE_MORE)
            return result;
    }
    return n > end ? refuse_long(gate, end, fault) : CLA_HTTP_GATE_MORE;
}
