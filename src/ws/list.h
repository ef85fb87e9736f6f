/* Reads the lists of WebSocket header fields: tokens, and extensions with their parameters (RFC
 * 6455 section 9.1, RFC 9110 section 5.6).
 *
 * Any thread. Depends on: base/slice. Every function cuts what it has read off '*list'. */
#ifndef CLA_WS_LIST_H
#define CLA_WS_LIST_H

#include "base/slice.h"

#define CLA_WS_VALUE_MAX 16 /* bytes of a quoted value that are kept: no known one is longer */

struct cla_ws_param {
    struct cla_slice name;
    struct cla_slice value; /* points into 'unquoted' if it was quoted */
    bool has_value;
    char unquoted[CLA_WS_VALUE_MAX];
};

/* Skips to the next item; empty ones do not count. Returns false at the end. */
bool cla_ws_list_item(struct cla_slice *list);

/* True behind an item: a comma or the end is next, neither is cut off. */
bool cla_ws_list_ends(struct cla_slice *list);

/* Cuts off 'separator' if it is next. */
bool cla_ws_list_more(struct cla_slice *list, char separator);

/* Reads a token. Returns 0 or -CLA_EPROTO. */
int cla_ws_list_token(struct cla_slice *list, struct cla_slice *token);

/* Reads a parameter: a name, or name=value, where the value is a token or quoted.
 * Returns 0 or -CLA_EPROTO. A quoted value that is too long is cut. */
int cla_ws_list_param(struct cla_slice *list, struct cla_ws_param *param);

/* True if 'item' is one of the comma-separated 'list', compared without case. */
bool cla_ws_list_has(struct cla_slice list, struct cla_slice item);

#endif
