/* The strict gate in front of llhttp: reads a head ahead of it and refuses what it lets through.
 *
 * One thread. Depends on: base, http/fault. Pure: no state but struct cla_http_gate.
 *
 * It checks what can be seen without knowing a field's meaning (http/rules.h does the rest): each
 * line ends with CR LF and neither stands alone; no control characters but tab; no line begins
 * with white space or a colon; the first line's form and version; the limits of the head.
 * Method, field names and values are left to llhttp, which is strict about them. */
#ifndef CLA_HTTP_GATE_H
#define CLA_HTTP_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "http/fault.h"

struct cla_http_limits;

/* Zeroed (and 'response' set) before each head. */
struct cla_http_gate {
    size_t at;       /* bytes let through; after DONE the whole head, after FAILED the bad byte */
    size_t line;     /* where the current line begins */
    size_t method_n; /* after the first line of a request: its method is p[0..method_n) */
    size_t target_n; /* … and its target p[method_n + 1 .. + target_n) */
    unsigned fields; /* field lines begun */
    bool cr;         /* the byte before 'at' is a CR */
    bool response;   /* the first line is a status line */
};

enum cla_http_gate_result {
    CLA_HTTP_GATE_MORE, /* all bytes let through, the head goes on */
    CLA_HTTP_GATE_DONE, /* gate->at is the length of the head with its blank line */
    CLA_HTTP_GATE_FAILED,
};

/* Reads on from gate->at. p[0..n) is the head from its first byte, the bytes behind it do no harm.
 * The same bytes give the same answer however they are split over calls. */
enum cla_http_gate_result cla_http_gate_scan(struct cla_http_gate *gate,
                                             const struct cla_http_limits *limits, const char *p,
                                             size_t n, struct cla_http_fault *fault);

#endif
