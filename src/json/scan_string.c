#include "base/check.h"
#include "base/utf8.h"
#include "json/plain.h"
#include "json/scan_token.h"

#define NO_HEX UINT32_MAX

static uint32_t hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0');
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10) : NO_HEX;
}

/* The value of the four hexadecimal digits at p[0..end), or NO_HEX. */
static uint32_t hex4(const char *p, const char *end)
{
    uint32_t value = 0;

    if (end - p < 4)
        return NO_HEX;
    for (int i = 0; i < 4; i++) {
        uint32_t digit = hex_digit(p[i]);

        if (digit == NO_HEX)
            return NO_HEX;
        value = value << 4 | digit;
    }
    return value;
}

static bool is_high(uint32_t unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(uint32_t unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Where the digits of a \u escape at p stop being digits: for the error's place. */
static const char *bad_hex(const char *p, const char *end)
{
    while (p < end && hex_digit(*p) != NO_HEX)
        p++;
    return p;
}

/* Checks the digits at p, behind "\u", and the second half of a pair. Returns the byte behind,
 * or NULL with the error set. */
static const char *check_unicode(struct cla_json_scan *scan, const char *p)
{
    uint32_t unit = hex4(p, scan->end);

    if (unit == NO_HEX) {
        cla_json_scan_fail(scan, bad_hex(p, scan->end), "expected four hexadecimal digits");
        return NULL;
    }
    if (is_low(unit)) {
        cla_json_scan_fail(scan, p - 2, "lone surrogate");
        return NULL;
    }
    if (!is_high(unit))
        return p + 4;
    if (scan->end - p < 6 || p[4] != '\\' || p[5] != 'u' || !is_low(hex4(p + 6, scan->end))) {
        cla_json_scan_fail(scan, p - 2, "lone surrogate");
        return NULL;
    }
    return p + 10;
}

/* Checks the escape whose backslash is at p. As check_unicode(). */
static const char *check_escape(struct cla_json_scan *scan, const char *p)
{
    int c = scan->end - p > 1 ? p[1] : -1;

    scan->escaped = true;
    switch (c) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 2;
    case 'u':
        return check_unicode(scan, p + 2);
    default:
        cla_json_scan_fail(scan, p + 1, "unknown escape");
        return NULL;
    }
}

/* Checks the byte at p, which is neither plain nor the closing quote. As check_unicode(). */
static const char *check_special(struct cla_json_scan *scan, const char *p)
{
    unsigned length;

    if (p == scan->end || (unsigned char)*p < 0x20) {
        cla_json_scan_fail(scan, p, "control character in a string");
        return NULL;
    }
    if (*p == '\\')
        return check_escape(scan, p);
    length = cla_utf8_sequence(p, (size_t)(scan->end - p));
    if (length == 0) {
        cla_json_scan_fail(scan, p, "not valid UTF-8");
        return NULL;
    }
    return p + length;
}

bool cla_json_scan_string(struct cla_json_scan *scan)
{
    const char *start = scan->p + 1, *p = start;

    scan->escaped = false;
    for (;;) {
        p = cla_json_plain_end(p, scan->end);
        if (p < scan->end && *p == '"')
            break;
        p = check_special(scan, p);
        if (p == NULL)
            return false;
    }
    scan->string = cla_slice(start, (size_t)(p - start));
    scan->p = p + 1;
    return true;
}

/* Decodes the escape at p (checked by the scan) to 'to', which moves on. Returns the byte behind.
 */
static const char *decode_escape(const char *p, const char *end, char **to)
{
    static const char short_forms[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    uint32_t unit;

    for (const char *pair = short_forms; *pair != '\0'; pair += 2) {
        if (p[1] == pair[0]) {
            *(*to)++ = pair[1];
            return p + 2;
        }
    }
    unit = hex4(p + 2, end);
    p += 6;
    if (is_high(unit)) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (hex4(p + 2, end) - 0xdc00);
        p += 6;
    }
    *to += cla_utf8_encode(unit, *to);
    return p;
}

size_t cla_json_unescape(struct cla_slice raw, char *to)
{
    const char *p = raw.p, *end = raw.p + raw.n;
    char *const start = to;

    while (p < end) {
        const char *backslash = memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((backslash != NULL ? backslash : end) - p);

        memcpy(to, p, run);
        to += run;
        p += run;
        if (p < end)
            p = decode_escape(p, end, &to);
    }
    return (size_t)(to - start);
}
