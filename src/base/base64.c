#include "base/base64.h"

#include "base/error.h"

int cla_base64_encode(struct cla_buf *buf, struct cla_slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes.p;
    char *to;

    if (cla_buf_reserve(buf, (bytes.n + 2) / 3 * 4) != 0)
        return -CLA_ENOMEM;
    to = buf->p + buf->n;
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        unsigned bits = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                        (left > 2 ? p[i + 2] : 0);

        *to++ = digits[bits >> 18];
        *to++ = digits[bits >> 12 & 63];
        *to++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[bits & 63] : '=';
    }
    buf->n = (size_t)(to - buf->p);
    return 0;
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

int cla_base64_decode(struct cla_buf *buf)
{
    size_t n = 0, digits = buf->n;
    unsigned bits = 0, held = 0;

    while (digits > 0 && buf->p[digits - 1] == '=')
        digits--;
    for (size_t i = 0; i < digits; i++) {
        int value = value_of(buf->p[i]);

        if (value < 0)
            return -CLA_EINVAL;
        held = (held << 6 | (unsigned)value) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            buf->p[n++] = (char)(held >> bits);
        }
    }
    if (digits % 4 == 1)
        return -CLA_EINVAL;
    buf->n = n;
    return 0;
}
