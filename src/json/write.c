#include "json/write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/utf8.h"
#include "json/plain.h"

/* The most that one input byte or sequence becomes: \u001f. */
#define ESCAPE_BYTES 6

/* Room for any int64, and for any double in %.17g with ".0". */
#define NUMBER_BYTES 32

static const char hex[] = "0123456789abcdef";

/* The letter of the short escape of 'c', or 0. */
static char short_form(char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return '\0';
    }
}

static int write_escape(struct cla_buf *buf, char c)
{
    char text[ESCAPE_BYTES] = {'\\', short_form(c)};

    if (text[1] != '\0')
        return cla_buf_append(buf, text, 2);
    memcpy(text + 1, "u00", 3);
    text[4] = hex[c >> 4];
    text[5] = hex[c & 0xf];
    return cla_buf_append(buf, text, sizeof text);
}

/* Appends what is at p, which is not plain; '*used' tells how many bytes that was. */
static int write_special(struct cla_buf *buf, struct cla_slice rest, bool lenient, size_t *used)
{
    unsigned length = cla_utf8_sequence(rest.p, rest.n);

    *used = length > 0 ? length : 1;
    if (length == 0)
        return lenient ? cla_buf_add(buf, CLA_LIT("\xef\xbf\xbd")) : -CLA_EUTF8;
    if (length == 1)
        return write_escape(buf, *rest.p);
    return cla_buf_append(buf, rest.p, length);
}

static int write_content(struct cla_buf *buf, struct cla_slice text, bool lenient)
{
    const char *p = text.p, *end = text.p + text.n;

    while (p < end) {
        const char *run = cla_json_plain_end(p, end);
        size_t used;
        int rc = cla_buf_append(buf, p, (size_t)(run - p));

        p = run;
        if (rc == 0 && p < end) {
            rc = write_special(buf, cla_slice(p, (size_t)(end - p)), lenient, &used);
            p += used;
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int write_quoted(struct cla_buf *buf, struct cla_slice text, bool lenient)
{
    size_t before = buf->n;
    int rc = cla_buf_reserve(buf, text.n + 2);

    if (rc == 0)
        rc = cla_buf_push(buf, '"');
    if (rc == 0 && text.n > 0)
        rc = write_content(buf, text, lenient);
    if (rc == 0)
        rc = cla_buf_push(buf, '"');
    if (rc != 0)
        buf->n = before;
    return rc;
}

int cla_json_write_string(struct cla_buf *buf, struct cla_slice text)
{
    return write_quoted(buf, text, false);
}

int cla_json_write_text(struct cla_buf *buf, struct cla_slice text)
{
    return write_quoted(buf, text, true);
}

/* Writes 'value' in decimal so that it ends at 'end'. Returns its first byte. */
static char *digits_before(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return end;
}

int cla_json_write_int(struct cla_buf *buf, int64_t value)
{
    char text[NUMBER_BYTES], *end = text + sizeof text;
    char *p = digits_before(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);

    if (value < 0)
        *--p = '-';
    return cla_buf_append(buf, p, (size_t)(end - p));
}

/* The power of ten that makes an integer of a decimal as large as 'magnitude' with at most 15
 * digits: 6, 3 or 1 of them behind the point. 0 if there is none. */
static uint64_t scale_for(double magnitude)
{
    if (magnitude < 1e9)
        return magnitude >= 1e-4 || magnitude == 0 ? 1000000 : 0;
    if (magnitude < 1e12)
        return 1000;
    return magnitude < 1e14 ? 10 : 0;
}

/* Writes 'value' if it is a decimal with few digits behind the point and at most 15 in all. Such a
 * decimal survives the way to a double and back, so it is what %.15g would give; the division
 * is the reader's own. Returns -CLA_ENOTFOUND if it is not. */
static int write_short(struct cla_buf *buf, double value)
{
    double magnitude = fabs(value), scaled;
    char text[NUMBER_BYTES], *end = text + sizeof text, *p;
    uint64_t scale = scale_for(magnitude), digits;

    scaled = rint(magnitude * (double)scale);
    if (scale == 0 || scaled / (double)scale != magnitude)
        return -CLA_ENOTFOUND;
    digits = (uint64_t)scaled;
    p = digits_before(end, digits % scale + scale); /* a 1, then the fraction */
    *p = '.';
    while (end[-1] == '0' && end[-2] != '.')
        end--;
    p = digits_before(p, digits / scale);
    if (signbit(value))
        *--p = '-';
    return cla_buf_append(buf, p, (size_t)(end - p));
}

int cla_json_write_number(struct cla_buf *buf, double value)
{
    char text[NUMBER_BYTES];
    int n, digits = 15, rc;

    if (!isfinite(value))
        return -CLA_EINVAL;
    rc = write_short(buf, value);
    if (rc != -CLA_ENOTFOUND)
        return rc;
    do {
        n = snprintf(text, sizeof text, "%.*g", digits, value);
    } while (digits++ < 17 && strtod(text, NULL) != value);
    if (strpbrk(text, ".e") == NULL)
        n += snprintf(text + n, sizeof text - (size_t)n, ".0");
    return cla_buf_append(buf, text, (size_t)n);
}
