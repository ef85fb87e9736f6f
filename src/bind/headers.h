/* What scripts read of an HTTP request.
 *
 * VM thread. Depends on: base, http/url, io/certificate, lua. */
#ifndef CLA_BIND_HEADERS_H
#define CLA_BIND_HEADERS_H

#include <lua.h>

#include "base/slice.h"
#include "io/certificate.h"

/* Pushes the fields of a raw head, checked when it was read, as a table of lower-case names; values
 * of repeated fields are joined by ", ". May raise. */
void cla_headers_push(lua_State *L, struct cla_slice head);

/* Pushes a part of a path, decoded; what is malformed as it came. May raise. */
void cla_headers_push_decoded(lua_State *L, struct cla_slice text);

/* Pushes a name or a value of a query, decoded, where a plus is a space. May raise. */
void cla_headers_push_form(lua_State *L, struct cla_slice text);

/* Pushes a query's names and values, decoded, as a table; of a repeated name the last. What is
 * malformed stays as it came. May raise. */
void cla_headers_push_query(lua_State *L, struct cla_slice query);

/* Pushes {subject, issuer, serial, fingerprint}, or nil for NULL. May raise. */
void cla_headers_push_certificate(lua_State *L, const struct cla_certificate *certificate);

#endif
