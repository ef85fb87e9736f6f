/* JSON numbers compared exactly, integers and floats with one another.
 *
 * Any thread. Depends on: base/slice. Pure. */
#ifndef CLA_JSON_NUMBER_H
#define CLA_JSON_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

struct cla_json_number {
    bool integer;
    union {
        int64_t i;
        double d; /* finite */
    };
};

/* Below, at, or above 0 as 'a' is less than, equal to, or more than 'b'; nothing is rounded. */
int cla_json_number_compare(struct cla_json_number a, struct cla_json_number b);

/* The integer that 'd' is; false if it has a fraction or does not fit. */
bool cla_json_number_to_int(double d, int64_t *i);

#endif
