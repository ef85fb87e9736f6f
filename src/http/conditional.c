#include "http/conditional.h"

#include "base/check.h"

struct cla_http_conditions cla_http_conditions_read(struct cla_slice head)
{
    struct cla_http_conditions c = {0};
    const struct {
        struct cla_slice name;
        struct cla_slice *to;
    } fields[] = {
        {CLA_LIT("if-match"), &c.if_match},
        {CLA_LIT("if-unmodified-since"), &c.if_unmodified_since},
        {CLA_LIT("if-none-match"), &c.if_none_match},
        {CLA_LIT("if-modified-since"), &c.if_modified_since},
        {CLA_LIT("range"), &c.range},
        {CLA_LIT("if-range"), &c.if_range},
    };
    struct cla_slice line, name;

    while (cla_slice_next(&head, '\n', &line)) {
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (!cla_slice_next(&line, ':', &name))
            continue;
        for (size_t i = 0; i < CLA_ARRAY_LEN(fields); i++) {
            if (fields[i].to->p == NULL && cla_slice_eq_nocase(name, fields[i].name))
                *fields[i].to = line.n > 0 ? cla_slice_trim(line) : cla_slice("", 0);
        }
    }
    return c;
}

/* --- Dates. --- */

/* Cuts a number of 'digits' digits off; false if there is none. */
static bool take_number(struct cla_slice *text, size_t digits, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < digits; i++) {
        if (i >= text->n || text->p[i] < '0' || text->p[i] > '9')
            return false;
        *number = *number * 10 + (uint64_t)(text->p[i] - '0');
    }
    *text = cla_slice(text->p + digits, text->n - digits);
    return true;
}

static bool take_text(struct cla_slice *text, struct cla_slice wanted)
{
    if (!cla_slice_starts(*text, wanted))
        return false;
    *text = cla_slice(text->p + wanted.n, text->n - wanted.n);
    return true;
}

static bool take_month(struct cla_slice *text, uint64_t *month)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (*month = 1; *month <= 12; ++*month) {
        if (take_text(text, cla_slice(months + (*month - 1) * 3, 3)))
            return true;
    }
    return false;
}

/* Days since 1970 of a date of the Gregorian calendar. */
static uint64_t days(uint64_t year, uint64_t month, uint64_t day)
{
    uint64_t y = month > 2 ? year : year - 1;
    uint64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return y * 365 + y / 4 - y / 100 + y / 400 + of_year - 719468;
}

uint64_t cla_http_date_read(struct cla_slice text)
{
    uint64_t day, month, year, hour, minute, second;

    if (text.n != 29 || text.p[3] != ',' || text.p[4] != ' ')
        return 0;
    text = cla_slice(text.p + 5, text.n - 5);
    if (!take_number(&text, 2, &day) || !take_text(&text, CLA_LIT(" ")) ||
        !take_month(&text, &month) || !take_text(&text, CLA_LIT(" ")) ||
        !take_number(&text, 4, &year) || !take_text(&text, CLA_LIT(" ")) ||
        !take_number(&text, 2, &hour) || !take_text(&text, CLA_LIT(":")) ||
        !take_number(&text, 2, &minute) || !take_text(&text, CLA_LIT(":")) ||
        !take_number(&text, 2, &second) || !take_text(&text, CLA_LIT(" GMT")))
        return 0;
    if (year < 1970 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
        return 0;
    return ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
}

/* --- Entity tags. --- */

/* True if 'tag' is in the list; a weak one counts only if 'weak'. */
static bool lists(struct cla_slice list, struct cla_slice tag, bool weak)
{
    struct cla_slice item;

    if (cla_slice_eq(list, CLA_LIT("*")))
        return true;
    while (cla_slice_next(&list, ',', &item)) { /* ours holds no comma */
        if (weak)
            (void)take_text(&item, CLA_LIT("W/"));
        if (cla_slice_eq(item, tag))
            return true;
    }
    return false;
}

/* --- Ranges. --- */

/* Cuts a number off that may be of any length; false if there is none. */
static bool take_position(struct cla_slice *text, uint64_t *position)
{
    size_t i = 0;

    *position = 0;
    for (; i < text->n && text->p[i] >= '0' && text->p[i] <= '9'; i++)
        *position = *position < UINT64_MAX / 16 ? *position * 10 + (uint64_t)(text->p[i] - '0')
                                                : UINT64_MAX;
    *text = cla_slice(text->p + i, text->n - i);
    return i > 0;
}

/* Returns 206, 416, or 200: there is no range to speak of. */
static int read_range(struct cla_slice text, uint64_t size, uint64_t *first, uint64_t *count)
{
    uint64_t from = 0, to = UINT64_MAX;
    bool has_from, has_to;

    if (text.n < 6 || !cla_slice_eq_nocase(cla_slice(text.p, 6), CLA_LIT("bytes=")))
        return 200;
    text = cla_slice_trim(cla_slice(text.p + 6, text.n - 6));
    has_from = take_position(&text, &from);
    if (!take_text(&text, CLA_LIT("-")))
        return 200;
    has_to = take_position(&text, &to);
    if (text.n > 0 || (!has_from && !has_to) || (has_from && has_to && from > to))
        return 200;
    if (!has_from) { /* the last 'to' bytes */
        from = to < size ? size - to : 0;
        has_to = to == 0;
    }
    if (from >= size || (!has_from && has_to))
        return 416;
    *first = from;
    *count = (has_to && to < size - 1 ? to + 1 : size) - from;
    return 206;
}

/* True if the range is of what the client has the rest of. */
static bool range_counts(const struct cla_http_conditions *c, const struct cla_http_entity *entity)
{
    if (c->range.p == NULL)
        return false;
    if (c->if_range.p == NULL || cla_slice_eq(c->if_range, entity->etag))
        return true;
    return entity->modified_s > 0 && cla_http_date_read(c->if_range) == entity->modified_s;
}

/* --- The order of RFC 9110 section 13.2.2. --- */

static bool failed(const struct cla_http_conditions *c, const struct cla_http_entity *entity)
{
    uint64_t date;

    if (c->if_match.p != NULL)
        return !lists(c->if_match, entity->etag, false);
    date = c->if_unmodified_since.p != NULL ? cla_http_date_read(c->if_unmodified_since) : 0;
    return date > 0 && entity->modified_s > date;
}

static bool not_modified(const struct cla_http_conditions *c, const struct cla_http_entity *entity)
{
    if (c->if_none_match.p != NULL)
        return lists(c->if_none_match, entity->etag, true);
    return c->if_modified_since.p != NULL &&
           entity->modified_s <= cla_http_date_read(c->if_modified_since);
}

struct cla_http_verdict cla_http_conditions_judge(const struct cla_http_conditions *conditions,
                                                  const struct cla_http_entity *entity, bool get)
{
    struct cla_http_verdict verdict = {.status = 200, .size = entity->size};

    if (failed(conditions, entity))
        verdict.status = 412;
    else if (not_modified(conditions, entity))
        verdict.status = 304;
    else if (get && range_counts(conditions, entity))
        verdict.status = read_range(conditions->range, entity->size, &verdict.first, &verdict.size);
    return verdict;
}
