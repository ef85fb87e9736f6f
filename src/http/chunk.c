#include "http/chunk.h"

#include <inttypes.h>

#include "http/token.h"

/*   SIZE_FIRST -> SIZE -> (EXT_…)* -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE_FIRST
 *                                        | size 0
 *                                        v
 *            LINE_FIRST -> NAME -> VALUE -> VALUE_LF -> LINE_FIRST
 *                 | CR
 *                 v
 *              LAST_LF -> end
 * White space is allowed nowhere in a size line: RFC 9112 lets senders use none. */
enum {
    SIZE_FIRST, /* the first digit */
    SIZE,
    EXT_NAME_FIRST,
    EXT_NAME,
    EXT_VALUE_FIRST,
    EXT_TOKEN,
    EXT_QUOTED,
    EXT_ESCAPED, /* behind a backslash in quotes */
    EXT_END,     /* behind the closing quote */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    LINE_FIRST, /* of the trailer */
    NAME,
    VALUE,
    VALUE_LF,
    LAST_LF,
};

#define FAIL (-1)
#define END (-2)
#define DIGITS_MAX 16
#define CHUNK_MAX (UINT64_MAX >> 8) /* sums of it with a body limit cannot overflow */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int fail(struct cla_http_fault *fault, const char *text)
{
    cla_http_fault_set(fault, 400, "%s", text);
    return FAIL;
}

static int size_char(struct cla_http_chunk *chunk, char c, struct cla_http_fault *fault)
{
    int digit = hex(c);

    if (digit < 0 && chunk->state == SIZE && (c == ';' || c == '\r'))
        return c == ';' ? EXT_NAME_FIRST : SIZE_LF;
    if (digit < 0)
        return fail(fault, "a chunk size is not hexadecimal");
    chunk->size = chunk->state == SIZE_FIRST ? 0 : chunk->size;
    chunk->digits = chunk->state == SIZE_FIRST ? 1 : chunk->digits + 1;
    if (chunk->digits > DIGITS_MAX || chunk->size > CHUNK_MAX >> 4)
        return fail(fault, "a chunk size is too large to be one");
    chunk->size = chunk->size << 4 | (unsigned)digit;
    return SIZE;
}

static int size_end(struct cla_http_chunk *chunk, char c, struct cla_http_fault *fault)
{
    if (c != '\n')
        return fail(fault, "a chunk size line does not end with CR LF");
    if (chunk->size > chunk->body_left) {
        cla_http_fault_set(fault, 413, "the body is larger than %" PRIu64 " bytes",
                           chunk->body_limit);
        return FAIL;
    }
    chunk->body_left -= chunk->size;
    return chunk->size > 0 ? DATA : LINE_FIRST;
}

static bool is_text(char c)
{
    return (unsigned char)c >= ' ' ? c != 0x7f : c == '\t';
}

static int extension_end(char c, int other, struct cla_http_fault *fault)
{
    if (c == ';')
        return EXT_NAME_FIRST;
    if (c == '\r')
        return SIZE_LF;
    return other != FAIL ? other : fail(fault, "a chunk extension is malformed");
}

static int extension_next(unsigned state, char c, struct cla_http_fault *fault)
{
    bool token = cla_http_is_token_char(c);

    switch (state) {
    case EXT_NAME_FIRST:
        return token ? EXT_NAME : fail(fault, "a chunk extension has no name");
    case EXT_NAME:
        return token ? EXT_NAME : extension_end(c, c == '=' ? EXT_VALUE_FIRST : FAIL, fault);
    case EXT_VALUE_FIRST:
        if (!token && c != '"')
            return fail(fault, "a chunk extension has no value");
        return token ? EXT_TOKEN : EXT_QUOTED;
    case EXT_TOKEN:
        return token ? EXT_TOKEN : extension_end(c, FAIL, fault);
    case EXT_QUOTED:
        if (!is_text(c))
            return fail(fault, "a chunk extension is malformed");
        return c == '"' ? EXT_END : c == '\\' ? EXT_ESCAPED : EXT_QUOTED;
    case EXT_ESCAPED:
        return is_text(c) ? EXT_QUOTED : fail(fault, "a chunk extension is malformed");
    default:
        return extension_end(c, FAIL, fault);
    }
}

static int extension_char(struct cla_http_chunk *chunk, char c, struct cla_http_fault *fault)
{
    int next = extension_next(chunk->state, c, fault);

    if (next != FAIL && next != SIZE_LF &&
        ++chunk->extension_bytes > CLA_HTTP_CHUNK_EXTENSIONS_MAX) {
        cla_http_fault_set(fault, 400, "the chunk extensions are larger than %d bytes",
                           CLA_HTTP_CHUNK_EXTENSIONS_MAX);
        return FAIL;
    }
    return next;
}

static int trailer_line(struct cla_http_chunk *chunk, char c, struct cla_http_fault *fault)
{
    if (c == '\r')
        return LAST_LF;
    if (!cla_http_is_token_char(c))
        return fail(fault, "a trailer line does not begin with a field name");
    if (chunk->fields_left == 0) {
        cla_http_fault_set(fault, 431, "head and trailer have too many fields");
        return FAIL;
    }
    chunk->fields_left--;
    return NAME;
}

static int trailer_next(struct cla_http_chunk *chunk, char c, struct cla_http_fault *fault)
{
    switch (chunk->state) {
    case LINE_FIRST:
        return trailer_line(chunk, c, fault);
    case NAME:
        if (c == ':')
            return VALUE;
        return cla_http_is_token_char(c) ? NAME
                                         : fail(fault, "a trailer field's name is malformed");
    case VALUE:
        if (c == '\r')
            return VALUE_LF;
        return is_text(c) ? VALUE : fail(fault, "control character in the trailer");
    case VALUE_LF:
        return c == '\n' ? LINE_FIRST : fail(fault, "a trailer line does not end with CR LF");
    default:
        return c == '\n' ? END : fail(fault, "the trailer does not end with CR LF");
    }
}

static int trailer_char(struct cla_http_chunk *chunk, char c, struct cla_http_fault *fault)
{
    if (chunk->trailer_left == 0) {
        cla_http_fault_set(fault, 431, "head and trailer are larger than %zu bytes",
                           chunk->head_limit);
        return FAIL;
    }
    chunk->trailer_left--;
    return trailer_next(chunk, c, fault);
}

/* The state behind the byte 'c' of framing, or FAIL or END. */
static int framing_char(struct cla_http_chunk *chunk, char c, struct cla_http_fault *fault)
{
    switch (chunk->state) {
    case SIZE_FIRST:
    case SIZE:
        return size_char(chunk, c, fault);
    case SIZE_LF:
        return size_end(chunk, c, fault);
    case DATA_CR:
        return c == '\r' ? DATA_LF : fail(fault, "a chunk is longer than its size");
    case DATA_LF:
        return c == '\n' ? SIZE_FIRST : fail(fault, "a chunk does not end with CR LF");
    default:
        return chunk->state < SIZE_LF ? extension_char(chunk, c, fault)
                                      : trailer_char(chunk, c, fault);
    }
}

static void take_data(struct cla_http_chunk *chunk, const char *p, size_t n, size_t *at,
                      struct cla_slice *data)
{
    size_t take = chunk->size < n - *at ? (size_t)chunk->size : n - *at;

    *data = cla_slice(p + *at, take);
    *at += take;
    chunk->size -= take;
    if (chunk->size == 0)
        chunk->state = DATA_CR;
}

enum cla_http_chunk_result cla_http_chunk_feed(struct cla_http_chunk *chunk, const char *p,
                                               size_t n, size_t *at, struct cla_slice *data,
                                               struct cla_http_fault *fault)
{
    while (*at < n) {
        int next;

        if (chunk->state == DATA) {
            take_data(chunk, p, n, at, data);
            return CLA_HTTP_CHUNK_DATA;
        }
        next = framing_char(chunk, p[*at], fault);
        if (next == FAIL)
            return CLA_HTTP_CHUNK_FAILED;
        ++*at;
        if (next == END)
            return CLA_HTTP_CHUNK_END;
        chunk->state = (unsigned)next;
    }
    return CLA_HTTP_CHUNK_MORE;
}
