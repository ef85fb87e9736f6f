#include "base/units.h"

#include <math.h>

#include "base/check.h"
#include "base/error.h"

#define HUNDRED_YEARS_S (100.0 * 365.25 * 86400.0)

struct unit {
    struct cla_slice name;
    double factor;
};

/* Reads digits with at most one point; leaves the unit in '*rest'. False if there are no digits. */
static bool read_decimal(struct cla_slice text, double *value, struct cla_slice *rest)
{
    double scale = 0;
    size_t i = 0, digits = 0;

    *value = 0;
    for (; i < text.n; i++) {
        char c = text.p[i];

        if (c == '.' && scale == 0) {
            scale = 1;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        *value = *value * 10 + (c - '0');
        scale *= 10;
        digits++;
    }
    if (scale > 1)
        *value /= scale;
    *rest = cla_slice_trim(cla_slice(text.p + i, text.n - i));
    return digits > 0;
}

static bool read_unit(struct cla_slice name, const struct unit *units, size_t count, double *factor)
{
    for (size_t i = 0; i < count; i++) {
        if (cla_slice_eq_nocase(name, units[i].name)) {
            *factor = units[i].factor;
            return true;
        }
    }
    return false;
}

/* Reads a decimal and its unit, and scales it. */
static bool read_scaled(struct cla_slice text, const struct unit *units, size_t count,
                        double *value)
{
    struct cla_slice rest;
    double factor;

    if (!read_decimal(cla_slice_trim(text), value, &rest) ||
        !read_unit(rest, units, count, &factor))
        return false;
    *value *= factor;
    return true;
}

int cla_units_bytes(struct cla_slice text, uint64_t *bytes)
{
    static const struct unit units[] = {
        {{"", 0}, 1},     {{"b", 1}, 1},      {{"kb", 2}, 1e3},     {{"mb", 2}, 1e6},
        {{"gb", 2}, 1e9}, {{"kib", 3}, 1024}, {{"mib", 3}, 0x1p20}, {{"gib", 3}, 0x1p30},
    };
    double value;

    if (!read_scaled(text, units, CLA_ARRAY_LEN(units), &value) || value >= 0x1p63 ||
        value != floor(value))
        return -CLA_EINVAL;
    *bytes = (uint64_t)value;
    return 0;
}

int cla_units_duration_ns(struct cla_slice text, uint64_t *ns)
{
    static const struct unit units[] = {
        {{"", 0}, 1},      {{"s", 1}, 1},  {{"ms", 2}, 1e-3},
        {{"us", 2}, 1e-6}, {{"m", 1}, 60}, {{"h", 1}, 3600},
    };
    double value;

    if (!read_scaled(text, units, CLA_ARRAY_LEN(units), &value) || value > HUNDRED_YEARS_S)
        return -CLA_EINVAL;
    *ns = (uint64_t)llround(value * 1e9);
    return 0;
}
