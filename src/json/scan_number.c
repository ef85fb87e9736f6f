#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json/scan_token.h"

/* What one pass over a number's text learns. */
struct decimal {
    bool negative;
    size_t digits;     /* of integer part and fraction, leading zeros included */
    uint64_t mantissa; /* those digits; meaningless above 19 of them */
    int64_t exponent;  /* of ten, the fraction's shift included */
};

/* Digits that a mantissa of 64 bits always holds. */
#define MANTISSA_DIGITS 19

/* The halfway point between two doubles has at most 767 significant digits; whether anything
 * but zeros follows decides on which side of it a longer number is. */
#define SIGNIFICANT_DIGITS 770

/* Beyond this any exponent gives zero or infinity, unless that many digits make up for it. */
#define EXPONENT_LIMIT INT64_C(100000000000000000)

static bool is_digit(const char *p, const char *end)
{
    return p < end && *p >= '0' && *p <= '9';
}

/* Reads digits at p into the mantissa. Returns the byte behind them. */
static const char *read_digits(const char *p, const char *end, struct decimal *d)
{
    const char *start = p;
    uint64_t mantissa = d->mantissa;

    for (; is_digit(p, end); p++)
        mantissa = mantissa * 10 + (uint64_t)(*p - '0');
    d->mantissa = mantissa;
    d->digits += (size_t)(p - start);
    return p;
}

/* Reads the exponent at p, behind its 'e'. Returns the byte behind it, or NULL with
 * the error set. */
static const char *read_exponent(struct cla_json_scan *scan, const char *p, int64_t *exponent)
{
    bool negative = p < scan->end && *p == '-';

    if (p < scan->end && (*p == '-' || *p == '+'))
        p++;
    if (!is_digit(p, scan->end)) {
        cla_json_scan_fail(scan, p, "expected a digit");
        return NULL;
    }
    for (; is_digit(p, scan->end); p++) {
        if (*exponent < EXPONENT_LIMIT)
            *exponent = *exponent * 10 + (*p - '0');
    }
    if (negative)
        *exponent = -*exponent;
    return p;
}

/* Reads what follows the integer part. Returns the byte behind the number, or NULL with the
 * error set. */
static const char *read_fraction(struct cla_json_scan *scan, const char *p, struct decimal *d)
{
    int64_t exponent = 0;

    if (*p == '.') {
        const char *start = ++p;

        p = read_digits(p, scan->end, d);
        if (p == start) {
            cla_json_scan_fail(scan, p, "expected a digit");
            return NULL;
        }
        d->exponent = -(int64_t)(p - start);
    }
    if (p < scan->end && (*p == 'e' || *p == 'E'))
        p = read_exponent(scan, p + 1, &exponent);
    d->exponent += exponent;
    return p;
}

/* Copies the significant digits of p[0..end) to 'to' (SIGNIFICANT_DIGITS + 1 bytes), a last 1
 * standing for all that do not fit. Adds the digits left out to '*exponent'; returns how many
 * were written. */
static size_t copy_significant(const char *p, const char *end, char *to, int64_t *exponent)
{
    size_t n = 0, dropped = 0;
    bool sticky = false;

    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (!is_digit(p, end) || (n == 0 && *p == '0'))
            continue;
        if (n < SIGNIFICANT_DIGITS) {
            to[n++] = *p;
            continue;
        }
        dropped++;
        sticky = sticky || *p != '0';
    }
    *exponent += (int64_t)dropped;
    if (sticky) {
        to[n++] = '1';
        --*exponent;
    }
    return n;
}

/* The exact conversion, in time linear in the text however long it is. Saturates to infinity. */
static double convert(const char *p, const char *end, const struct decimal *d)
{
    char text[SIGNIFICANT_DIGITS + 32];
    int64_t exponent = d->exponent;
    size_t n = copy_significant(p, end, text, &exponent);

    if (n == 0)
        return 0;
    if (exponent > 9999)
        exponent = 9999;
    if (exponent < -9999)
        exponent = -9999;
    snprintf(text + n, sizeof text - n, "e%d", (int)exponent);
    return strtod(text, NULL);
}

/* Both operands are exact, so that one rounding gives the nearest double (Clinger 1990). */
static bool convert_fast(const struct decimal *d, double *number)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

    if (FLT_EVAL_METHOD != 0 || d->digits > MANTISSA_DIGITS || d->mantissa > UINT64_C(1) << 53 ||
        d->exponent < -22 || d->exponent > 22)
        return false;
    *number = (double)d->mantissa;
    if (d->exponent < 0)
        *number /= powers[-d->exponent];
    else
        *number *= powers[d->exponent];
    return true;
}

static enum cla_json_event finish_number(struct cla_json_scan *scan, const char *p,
                                         const struct decimal *d)
{
    double number;

    if (!convert_fast(d, &number))
        number = convert(scan->p, p, d);
    if (isinf(number))
        return cla_json_scan_fail(scan, scan->p, "number out of range");
    scan->number = d->negative ? -number : number;
    scan->p = p;
    return CLA_JSON_NUMBER;
}

static enum cla_json_event finish_integer(struct cla_json_scan *scan, const char *p,
                                          const struct decimal *d)
{
    uint64_t limit = (uint64_t)INT64_MAX + d->negative;

    if (d->digits > MANTISSA_DIGITS || d->mantissa > limit)
        return finish_number(scan, p, d);
    scan->integer = (int64_t)(d->negative ? 0 - d->mantissa : d->mantissa);
    scan->p = p;
    return CLA_JSON_INT;
}

enum cla_json_event cla_json_scan_number(struct cla_json_scan *scan)
{
    const char *p = scan->p, *end = scan->end;
    struct decimal d = {.negative = *p == '-'};

    p += d.negative;
    if (!is_digit(p, end))
        return cla_json_scan_fail(scan, p, "expected a digit");
    if (*p == '0' && is_digit(p + 1, end))
        return cla_json_scan_fail(scan, p, "number with a leading zero");
    p = read_digits(p, end, &d);
    if (p == end || (*p != '.' && *p != 'e' && *p != 'E'))
        return finish_integer(scan, p, &d);
    p = read_fraction(scan, p, &d);
    return p != NULL ? finish_number(scan, p, &d) : CLA_JSON_ERROR;
}
