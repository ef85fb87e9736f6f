#include "json/number.h"

#include <math.h>

#define TWO_63 9223372036854775808.0

bool cla_json_number_to_int(double d, int64_t *i)
{
    if (!(d >= -TWO_63 && d < TWO_63) || d != trunc(d))
        return false;
    *i = (int64_t)d;
    return true;
}

static int compare_ints(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_int_double(int64_t i, double d)
{
    double whole = trunc(d);

    if (d >= TWO_63)
        return -1;
    if (d < -TWO_63)
        return 1;
    if (i != (int64_t)whole)
        return compare_ints(i, (int64_t)whole);
    return (whole > d) - (whole < d);
}

int cla_json_number_compare(struct cla_json_number a, struct cla_json_number b)
{
    if (a.integer && b.integer)
        return compare_ints(a.i, b.i);
    if (a.integer)
        return compare_int_double(a.i, b.d);
    if (b.integer)
        return -compare_int_double(b.i, a.d);
    return (a.d > b.d) - (a.d < b.d);
}
