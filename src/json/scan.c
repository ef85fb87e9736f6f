#include "json/scan.h"

#include "base/check.h"
#include "base/error.h"
#include "json/scan_token.h"

/* The grammar: each state names what may come next.
 *
 *   VALUE ──scalar, close──▶ NEXT (inside a container) or END (outside)
 *     ├──'['──▶ FIRST_ELEMENT ──value or ']'
 *     └──'{'──▶ FIRST_KEY ──key──▶ COLON ──':' value
 *   NEXT ──',' value, ',' key, or close
 *   any ──wrong byte──▶ FAILED */
enum state {
    AT_VALUE,
    AT_FIRST_ELEMENT,
    AT_FIRST_KEY,
    AT_COLON,
    AT_NEXT,
    AT_END,
    FAILED,
};

#define NO_BYTE (-1)

enum cla_json_event cla_json_scan_fail(struct cla_json_scan *scan, const char *at,
                                       const char *error)
{
    scan->state = FAILED;
    scan->error = at == scan->end ? "unexpected end of text" : error;
    scan->error_at = (size_t)(at - scan->start);
    return CLA_JSON_ERROR;
}

static enum cla_json_event fail_here(struct cla_json_scan *scan, const char *error)
{
    return cla_json_scan_fail(scan, scan->p, error);
}

/* Skips white space and notes where the next token begins; returns its first byte. */
static int peek(struct cla_json_scan *scan)
{
    const char *p = scan->p;

    while (p < scan->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    scan->p = scan->token = p;
    return p < scan->end ? (unsigned char)*p : NO_BYTE;
}

static void value_done(struct cla_json_scan *scan)
{
    scan->state = scan->depth > 0 ? AT_NEXT : AT_END;
}

static enum cla_json_event enter(struct cla_json_scan *scan, bool object)
{
    unsigned level = scan->depth;
    uint64_t bit = UINT64_C(1) << level % 64;

    if (level == scan->max_depth)
        return fail_here(scan, "nested too deeply");
    if (object)
        scan->is_object[level / 64] |= bit;
    else
        scan->is_object[level / 64] &= ~bit;
    scan->depth++;
    scan->p++;
    scan->state = object ? AT_FIRST_KEY : AT_FIRST_ELEMENT;
    return object ? CLA_JSON_OBJECT_BEGIN : CLA_JSON_ARRAY_BEGIN;
}

static enum cla_json_event leave(struct cla_json_scan *scan, enum cla_json_event event)
{
    scan->p++;
    scan->depth--;
    value_done(scan);
    return event;
}

static enum cla_json_event literal(struct cla_json_scan *scan, struct cla_slice word,
                                   enum cla_json_event event)
{
    struct cla_slice rest = cla_slice(scan->p, (size_t)(scan->end - scan->p));

    if (!cla_slice_starts(rest, word))
        return fail_here(scan, "expected a value");
    scan->p += word.n;
    value_done(scan);
    return event;
}

static enum cla_json_event number(struct cla_json_scan *scan)
{
    enum cla_json_event event = cla_json_scan_number(scan);

    if (event != CLA_JSON_ERROR)
        value_done(scan);
    return event;
}

static enum cla_json_event value(struct cla_json_scan *scan, int c)
{
    switch (c) {
    case '"':
        if (!cla_json_scan_string(scan))
            return CLA_JSON_ERROR;
        value_done(scan);
        return CLA_JSON_STRING;
    case '[':
        return enter(scan, false);
    case '{':
        return enter(scan, true);
    case 't':
        return literal(scan, CLA_LIT("true"), CLA_JSON_TRUE);
    case 'f':
        return literal(scan, CLA_LIT("false"), CLA_JSON_FALSE);
    case 'n':
        return literal(scan, CLA_LIT("null"), CLA_JSON_NULL);
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return number(scan);
        return fail_here(scan, "expected a value");
    }
}

static enum cla_json_event key(struct cla_json_scan *scan, int c)
{
    if (c != '"')
        return fail_here(scan, "expected a member's name in quotes");
    if (!cla_json_scan_string(scan))
        return CLA_JSON_ERROR;
    scan->state = AT_COLON;
    return CLA_JSON_KEY;
}

static enum cla_json_event next_in_object(struct cla_json_scan *scan, int c)
{
    if (c == '}')
        return leave(scan, CLA_JSON_OBJECT_END);
    if (c != ',')
        return fail_here(scan, "expected ',' or '}'");
    scan->p++;
    return key(scan, peek(scan));
}

static enum cla_json_event next_in_array(struct cla_json_scan *scan, int c)
{
    if (c == ']')
        return leave(scan, CLA_JSON_ARRAY_END);
    if (c != ',')
        return fail_here(scan, "expected ',' or ']'");
    scan->p++;
    return value(scan, peek(scan));
}

void cla_json_scan_init(struct cla_json_scan *scan, struct cla_slice text, unsigned max_depth)
{
    CLA_PRE(max_depth >= 1 && max_depth <= CLA_JSON_DEPTH_MAX);
    scan->p = scan->start = scan->token = text.n > 0 ? text.p : "";
    scan->end = scan->start + text.n;
    scan->error = NULL;
    scan->error_at = 0;
    scan->escaped = false;
    scan->state = AT_VALUE;
    scan->depth = 0;
    scan->max_depth = (uint16_t)max_depth;
}

enum cla_json_event cla_json_scan_next(struct cla_json_scan *scan)
{
    int c;

    if (scan->state == FAILED)
        return CLA_JSON_ERROR;
    c = peek(scan);
    switch (scan->state) {
    case AT_NEXT:
        return cla_json_scan_in_object(scan) ? next_in_object(scan, c) : next_in_array(scan, c);
    case AT_COLON:
        if (c != ':')
            return fail_here(scan, "expected ':'");
        scan->p++;
        return value(scan, peek(scan));
    case AT_FIRST_KEY:
        return c == '}' ? leave(scan, CLA_JSON_OBJECT_END) : key(scan, c);
    case AT_FIRST_ELEMENT:
        return c == ']' ? leave(scan, CLA_JSON_ARRAY_END) : value(scan, c);
    case AT_END:
        return c == NO_BYTE ? CLA_JSON_END : fail_here(scan, "expected the end of the text");
    default:
        return value(scan, c);
    }
}

int cla_json_scan_rest(struct cla_json_scan *scan, enum cla_json_event first,
                       struct cla_slice *value)
{
    const char *start = scan->token;
    enum cla_json_event event = first;
    unsigned depth = scan->depth;

    CLA_PRE(first != CLA_JSON_KEY && first != CLA_JSON_OBJECT_END);
    if (first == CLA_JSON_ARRAY_END || first == CLA_JSON_END)
        return -CLA_EOF;
    if (first == CLA_JSON_ARRAY_BEGIN || first == CLA_JSON_OBJECT_BEGIN) {
        while (event != CLA_JSON_ERROR && scan->depth >= depth)
            event = cla_json_scan_next(scan);
    }
    if (event == CLA_JSON_ERROR)
        return -CLA_EJSON;
    *value = cla_slice(start, (size_t)(scan->p - start));
    return 0;
}

int cla_json_scan_value(struct cla_json_scan *scan, struct cla_slice *value)
{
    enum cla_json_event first = cla_json_scan_next(scan);

    return cla_json_scan_rest(scan, first, value);
}

int cla_json_check(struct cla_slice text, unsigned max_depth, const char **error, size_t *error_at)
{
    struct cla_json_scan scan;
    enum cla_json_event event;

    cla_json_scan_init(&scan, text, max_depth);
    do {
        event = cla_json_scan_next(&scan);
    } while (event != CLA_JSON_ERROR && event != CLA_JSON_END);
    if (error != NULL)
        *error = scan.error;
    if (error_at != NULL)
        *error_at = scan.error_at;
    return event == CLA_JSON_END ? 0 : -CLA_EJSON;
}
