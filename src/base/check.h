/* Preconditions and small compile-time helpers.
 *
 * Any thread. Depends on: nothing. */
#ifndef CLA_BASE_CHECK_H
#define CLA_BASE_CHECK_H

#include <stddef.h>

/* Prints the broken condition and aborts. Called by CLA_PRE only. */
_Noreturn void cla_check_failed(const char *condition, const char *file, int line);

/* Guards against programmer errors; compiled in always, so it must be cheap. */
#define CLA_PRE(condition) \
    ((condition) ? (void)0 : cla_check_failed(#condition, __FILE__, __LINE__))

/* The struct of 'type' whose member 'member' is at 'pointer'. */
#define CLA_CONTAINER(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define CLA_ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* Has the compiler check a printf-like function's arguments. */
#define CLA_PRINTF(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))

#endif
