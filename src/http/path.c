#include "http/path.h"

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Cuts one byte, decoded, off '*text', which is not empty. Returns -1 if it is no byte to have. */
static int next_byte(struct cla_slice *text)
{
    int byte = (unsigned char)text->p[0];
    size_t n = 1;

    if (byte == '%') {
        if (text->n < 3 || digit(text->p[1]) < 0 || digit(text->p[2]) < 0)
            return -1;
        byte = digit(text->p[1]) * 16 + digit(text->p[2]);
        n = 3;
    }
    *text = cla_slice(text->p + n, text->n - n);
    return byte > 0 ? byte : -1;
}

static bool well_formed(struct cla_slice path)
{
    while (path.n > 0) {
        if (next_byte(&path) < 0)
            return false;
    }
    return true;
}

bool cla_http_path_next(struct cla_slice *rest, struct cla_slice *segment)
{
    const char *end;

    if (rest->n == 0)
        return false;
    *segment = cla_slice(rest->p + 1, rest->n - 1);
    end = segment->n > 0 ? memchr(segment->p, '/', segment->n) : NULL;
    if (end != NULL)
        segment->n = (size_t)(end - segment->p);
    *rest = cla_slice(segment->p + segment->n, rest->n - 1 - segment->n);
    return true;
}

size_t cla_http_path_count(struct cla_slice path)
{
    size_t count = 0;

    for (size_t i = 0; i < path.n; i++)
        count += path.p[i] == '/';
    return count;
}

bool cla_http_segment_is(struct cla_slice segment, struct cla_slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (segment.n == 0 || next_byte(&segment) != (unsigned char)text.p[i])
            return false;
    }
    return segment.n == 0;
}

const char *cla_http_path_problem(struct cla_slice path)
{
    struct cla_slice segment;

    if (path.n == 0 || path.p[0] != '/' || !well_formed(path))
        return "the path holds a malformed percent escape";
    while (cla_http_path_next(&path, &segment)) {
        if (cla_http_segment_is(segment, CLA_LIT(".")) ||
            cla_http_segment_is(segment, CLA_LIT("..")))
            return "the path holds a segment '.' or '..'";
    }
    return NULL;
}
