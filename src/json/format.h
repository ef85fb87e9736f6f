/* The formats of strings that a schema can ask for.
 *
 * Any thread. Depends on: base/slice, base/ip. Pure; each is decided in one pass. */
#ifndef CLA_JSON_FORMAT_H
#define CLA_JSON_FORMAT_H

#include "base/slice.h"

struct cla_json_format {
    const char *name;    /* "date-time" */
    const char *example; /* for messages */
    bool (*matches)(struct cla_slice text);
};

/* Sorted by name; the last has the name NULL.
 *   byte       base64 with padding (RFC 4648 section 4), as in OpenAPI
 *   date, time, date-time, duration   RFC 3339; a time has an offset; a leap second only where it
 *              can be: at 23:59:60 UTC
 *   email      local part of letters, digits and !#$%&'*+-/=?^_`{|}~ with single dots between, at
 *              most 64 bytes; '@'; a hostname. No quotes, comments or addresses in brackets
 *   hostname   labels of 1 to 63 letters, digits and inner hyphens; at most 253 bytes
 *   ipv4, ipv6 no zone, no leading zeros in IPv4
 *   uri        RFC 3986: a scheme, then its characters, escapes of two hexadecimal digits, at most
 *              one '#'; what a scheme demands beyond that is not looked at
 *   uuid       RFC 9562: 8-4-4-4-12 hexadecimal digits, of any version */
extern const struct cla_json_format cla_json_formats[];

/* The format of that name, or NULL. */
const struct cla_json_format *cla_json_format_find(struct cla_slice name);

#endif
