/* The characters of a token (RFC 9110 section 5.6.2).
 *
 * Any thread. Depends on: nothing. */
#ifndef CLA_HTTP_TOKEN_H
#define CLA_HTTP_TOKEN_H

#include <stdbool.h>

/* True if 'c' may stand in a token (a method, a field name, a chunk extension's name). */
bool cla_http_is_token_char(char c);

#endif
