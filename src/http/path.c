#include "http/path.h"

#include "base/error.h"
#include "http/url.h"

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

static bool is_file_name(struct cla_slice name)
{
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];

        if (c < ' ' || c == 0x7f || c == '/' || c == '\\')
            return false;
    }
    return name.n > 0;
}

/* Appends one name, which is the 'first' of the path. */
static int add_name(struct cla_buf *file, struct cla_slice segment, bool first)
{
    size_t from = file->n;
    struct cla_slice name;

    if (cla_http_percent_decode(file, segment) != 0)
        return -CLA_ENOMEM;
    name = cla_slice(file->p + from, file->n - from);
    if (!is_file_name(name) ||
        (name.p[0] == '.' && !(first && cla_slice_eq(name, CLA_LIT(".well-known")))))
        return -CLA_ENOTFOUND;
    return 0;
}

int cla_http_path_file(struct cla_slice path, struct cla_buf *file)
{
    size_t from = file->n;
    struct cla_slice segment;
    int rc = 0;

    while (rc == 0 && cla_http_path_next(&path, &segment)) {
        if (segment.n == 0 && path.n == 0)
            rc = cla_buf_add(file, CLA_LIT("index.html"));
        else
            rc = add_name(file, segment, file->n == from);
        if (rc == 0)
            rc = cla_buf_push(file, path.n > 0 ? '/' : '\0');
    }
    return rc;
}
