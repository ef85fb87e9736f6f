#include "json/format.h"

#include <stdint.h>

#include "base/ip.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* --- Dates and times. --- */

/* Takes 'count' digits off the front. */
static bool take_digits(struct cla_slice *s, size_t count, unsigned *value)
{
    *value = 0;
    if (s->n < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(s->p[i]))
            return false;
        *value = *value * 10 + (unsigned)(s->p[i] - '0');
    }
    *s = cla_slice(s->p + count, s->n - count);
    return true;
}

static bool take_char(struct cla_slice *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = cla_slice(s->p + 1, s->n - 1);
    return true;
}

static unsigned days_of(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static bool take_date(struct cla_slice *s)
{
    unsigned year, month, day;

    return take_digits(s, 4, &year) && take_char(s, '-') && take_digits(s, 2, &month) &&
           take_char(s, '-') && take_digits(s, 2, &day) && month >= 1 && month <= 12 && day >= 1 &&
           day <= days_of(year, month);
}

static bool take_fraction(struct cla_slice *s)
{
    unsigned digit;

    if (!take_char(s, '.'))
        return true;
    if (!take_digits(s, 1, &digit))
        return false;
    while (take_digits(s, 1, &digit))
        ;
    return true;
}

/* "Z" or "+01:30"; '*minutes' is what to add to have UTC. */
static bool take_offset(struct cla_slice *s, int *minutes)
{
    bool west = s->n > 0 && s->p[0] == '-';
    unsigned hour, minute;

    *minutes = 0;
    if (take_char(s, 'Z') || take_char(s, 'z'))
        return true;
    if (!take_char(s, '+') && !take_char(s, '-'))
        return false;
    if (!take_digits(s, 2, &hour) || !take_char(s, ':') || !take_digits(s, 2, &minute))
        return false;
    *minutes = (int)(hour * 60 + minute);
    if (!west)
        *minutes = -*minutes;
    return hour <= 23 && minute <= 59;
}

static bool take_time(struct cla_slice *s)
{
    enum { DAY = 24 * 60 };
    unsigned hour, minute, second;
    int offset;

    if (!take_digits(s, 2, &hour) || !take_char(s, ':') || !take_digits(s, 2, &minute) ||
        !take_char(s, ':') || !take_digits(s, 2, &second) || !take_fraction(s) ||
        !take_offset(s, &offset) || hour > 23 || minute > 59)
        return false;
    if (second < 60)
        return true;
    return second == 60 && ((int)(hour * 60 + minute) + offset + DAY) % DAY == DAY - 1;
}

static bool date(struct cla_slice s)
{
    return take_date(&s) && s.n == 0;
}

static bool time_of_day(struct cla_slice s)
{
    return take_time(&s) && s.n == 0;
}

static bool date_time(struct cla_slice s)
{
    return take_date(&s) && (take_char(&s, 'T') || take_char(&s, 't')) && take_time(&s) && s.n == 0;
}

/* Takes numbers with units, each the one behind the last in 'units' (so the grammar of RFC 3339,
 * appendix A); at least one. */
static bool take_units(struct cla_slice *s, const char *units)
{
    const char *next = NULL;
    unsigned digit;

    while (take_digits(s, 1, &digit)) {
        while (take_digits(s, 1, &digit))
            ;
        if (s->n == 0 || s->p[0] == '\0')
            return false;
        if (next == NULL)
            next = strchr(units, s->p[0]);
        if (next == NULL || *next != s->p[0])
            return false;
        (void)take_char(s, *next++);
    }
    return next != NULL;
}

static bool duration(struct cla_slice s)
{
    struct cla_slice weeks;

    if (!take_char(&s, 'P') || s.n == 0)
        return false;
    weeks = s;
    if (take_units(&weeks, "W"))
        return weeks.n == 0;
    if (s.n > 0 && s.p[0] != 'T' && !take_units(&s, "YMD"))
        return false;
    if (take_char(&s, 'T'))
        return take_units(&s, "HMS") && s.n == 0;
    return s.n == 0;
}

/* --- Names and addresses. --- */

static bool is_label(struct cla_slice label)
{
    if (label.n < 1 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++) {
        if (!is_letter(label.p[i]) && !is_digit(label.p[i]) && label.p[i] != '-')
            return false;
    }
    return true;
}

static bool hostname(struct cla_slice s)
{
    size_t start = 0;

    if (s.n == 0 || s.n > 253)
        return false;
    for (size_t i = 0; i <= s.n; i++) {
        if (i < s.n && s.p[i] != '.')
            continue;
        if (!is_label(cla_slice(s.p + start, i - start)))
            return false;
        start = i + 1;
    }
    return true;
}

/* An atom with dots (RFC 5321, Dot-string). */
static bool is_local_part(struct cla_slice s)
{
    bool dot = true; /* none at the start, nor two in a row */

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c == '.' ? dot
                     : !is_letter(c) && !is_digit(c) &&
                           (c == '\0' || strchr("!#$%&'*+-/=?^_`{|}~", c) == NULL))
            return false;
        dot = c == '.';
    }
    return s.n <= 64 && !dot;
}

static bool email(struct cla_slice s)
{
    const char *at = s.n > 0 ? memchr(s.p, '@', s.n) : NULL;
    size_t n;

    if (at == NULL || s.n > 254)
        return false;
    n = (size_t)(at - s.p);
    return is_local_part(cla_slice(s.p, n)) && hostname(cla_slice(at + 1, s.n - n - 1));
}

static bool is_ip(struct cla_slice s, bool v6)
{
    struct cla_ip ip;

    return s.n > 0 && (memchr(s.p, ':', s.n) != NULL) == v6 && cla_ip_read(s, &ip) == 0;
}

static bool ipv4(struct cla_slice s)
{
    return is_ip(s, false);
}

static bool ipv6(struct cla_slice s)
{
    return is_ip(s, true);
}

/* --- Others. --- */

static bool byte(struct cla_slice s)
{
    size_t n = s.n;

    if (s.n % 4 != 0)
        return false;
    for (int padding = 0; padding < 2 && n > 0 && s.p[n - 1] == '='; padding++)
        n--;
    for (size_t i = 0; i < n; i++) {
        if (!is_letter(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '+' && s.p[i] != '/')
            return false;
    }
    return true;
}

static bool is_uri_char(char c)
{
    return is_letter(c) || is_digit(c) ||
           (c != '\0' && strchr("-._~:/?#[]@!$&'()*+,;=", c) != NULL);
}

/* The length of "scheme:", or 0. */
static size_t scheme(struct cla_slice s)
{
    size_t i = 0;

    if (s.n == 0 || !is_letter(s.p[0]))
        return 0;
    while (i < s.n && (is_letter(s.p[i]) || is_digit(s.p[i]) || s.p[i] == '+' || s.p[i] == '-' ||
                       s.p[i] == '.'))
        i++;
    return i < s.n && s.p[i] == ':' ? i + 1 : 0;
}

static bool uri(struct cla_slice s)
{
    size_t i = scheme(s);
    bool fragment = false;

    if (i == 0)
        return false;
    for (; i < s.n; i++) {
        if (s.p[i] == '%') {
            if (s.n - i < 3 || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
                return false;
            i += 2;
        } else if (!is_uri_char(s.p[i]) || (s.p[i] == '#' && fragment)) {
            return false;
        }
        fragment |= s.p[i] == '#';
    }
    return true;
}

static bool uuid(struct cla_slice s)
{
    if (s.n != 36)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;

        if (hyphen ? s.p[i] != '-' : !is_hex(s.p[i]))
            return false;
    }
    return true;
}

const struct cla_json_format cla_json_formats[] = {
    {"byte", "aGVsbG8=", byte},
    {"date", "2026-11-22", date},
    {"date-time", "2026-11-22T13:35:07Z", date_time},
    {"duration", "P3DT4H", duration},
    {"email", "ana@example.com", email},
    {"hostname", "www.example.com", hostname},
    {"ipv4", "192.0.2.1", ipv4},
    {"ipv6", "2001:db8::1", ipv6},
    {"time", "13:35:07Z", time_of_day},
    {"uri", "https://example.com/", uri},
    {"uuid", "123e4567-e89b-12d3-a456-426614174000", uuid},
    {NULL, NULL, NULL},
};

const struct cla_json_format *cla_json_format_find(struct cla_slice name)
{
    for (const struct cla_json_format *f = cla_json_formats; f->name != NULL; f++) {
        if (cla_slice_eq(name, cla_slice_str(f->name)))
            return f;
    }
    return NULL;
}
