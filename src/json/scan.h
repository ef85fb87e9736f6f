/* Strict JSON scanner (RFC 8259): text in, one event a call out.
 *
 * Any thread, one at a time. Depends on: base. No Lua, no allocation: spans borrow the text.
 * The scanner holds the whole grammar, so that a consumer only sees well-formed events.
 * Refused: anything after the value, invalid UTF-8, a byte-order mark, unescaped control
 * characters, lone surrogate escapes, numbers beyond the range of a double, nesting deeper than
 * 'max_depth'. Integers beyond int64 become NUMBER; -0 is INT 0, -0.0 is NUMBER -0.0; a number
 * too small for a double is NUMBER 0. Numbers are converted with strtod(): the process stays in
 * the C locale. */
#ifndef CLA_JSON_SCAN_H
#define CLA_JSON_SCAN_H

#include <stdint.h>

#include "base/slice.h"

/* The deepest nesting that any scan can allow. */
#define CLA_JSON_DEPTH_MAX 1024

enum cla_json_event {
    CLA_JSON_ERROR, /* see scan->error and scan->error_at; every later call repeats it */
    CLA_JSON_END,   /* the text held exactly one value; every later call repeats it */
    CLA_JSON_NULL,
    CLA_JSON_FALSE,
    CLA_JSON_TRUE,
    CLA_JSON_INT,    /* scan->integer */
    CLA_JSON_NUMBER, /* scan->number */
    CLA_JSON_STRING, /* scan->string, raw; scan->escaped */
    CLA_JSON_KEY,    /* as STRING; the member's value follows */
    CLA_JSON_ARRAY_BEGIN,
    CLA_JSON_ARRAY_END,
    CLA_JSON_OBJECT_BEGIN,
    CLA_JSON_OBJECT_END,
};

struct cla_json_scan {
    const char *p;     /* next byte */
    const char *start; /* of the text */
    const char *end;   /* of the text */
    const char *token; /* first byte of the last event's token; p is behind its last byte */
    union {
        int64_t integer;
        double number;
        struct cla_slice string; /* between the quotes, escapes as they stand */
    };
    const char *error;  /* what was wrong, for people: "unexpected ']'"; NULL if nothing */
    size_t error_at;    /* byte offset in the text */
    bool escaped;       /* the string holds escapes: cla_json_unescape() it */
    uint8_t state;      /* of the grammar */
    uint16_t depth;     /* open arrays and objects */
    uint16_t max_depth; /* 1 to CLA_JSON_DEPTH_MAX */
    uint64_t is_object[CLA_JSON_DEPTH_MAX / 64]; /* one bit a level */
};

/* Starts scanning 'text', which must outlive the scan. 'max_depth': 1 to CLA_JSON_DEPTH_MAX;
 * 1 admits [] but not [[]]. */
void cla_json_scan_init(struct cla_json_scan *scan, struct cla_slice text, unsigned max_depth);

/* True if the innermost open container is an object. */
static inline bool cla_json_scan_in_object(const struct cla_json_scan *scan)
{
    unsigned level = scan->depth - 1u;

    return scan->depth > 0 && (scan->is_object[level / 64] >> level % 64 & 1) != 0;
}

/* Reads the next event. Never reads past the text, which need not end with NUL. */
enum cla_json_event cla_json_scan_next(struct cla_json_scan *scan);

/* Reads on to the end of the value whose first event, 'first', was just read, checking all of it,
 * and gives its text without surrounding white space. Returns 0, -CLA_EJSON, or -CLA_EOF if
 * 'first' is ARRAY_END or END: there is no value. KEY and OBJECT_END are the caller's mistake. */
int cla_json_scan_rest(struct cla_json_scan *scan, enum cla_json_event first,
                       struct cla_slice *value);

/* Reads over the value that comes next (after KEY, or an array's element): as
 * cla_json_scan_next(), then cla_json_scan_rest(). */
int cla_json_scan_value(struct cla_json_scan *scan, struct cla_slice *value);

/* Checks that 'text' is exactly one JSON value. Returns 0, or -CLA_EJSON with the reason and the
 * byte offset in 'error' and 'error_at' (both may be NULL). */
int cla_json_check(struct cla_slice text, unsigned max_depth, const char **error, size_t *error_at);

/* Decodes the raw text of a STRING or KEY event into 'to', which has room for raw.n bytes.
 * Returns the bytes written (at most raw.n). The text must have come from a scan. */
size_t cla_json_unescape(struct cla_slice raw, char *to);

#endif
