/* Plain data as bytes: what scripts keep outside their VM.
 *
 * The state's own thread. Depends on: lua.
 *
 * Plain are nil, booleans, integers, floats, strings of any bytes, cancela.json.null, and tables of
 * plain keys and values; marks of cancela.json.array and object are kept, other metatables are not
 * looked at. The bytes are for this machine only. */
#ifndef CLA_BIND_PLAIN_H
#define CLA_BIND_PLAIN_H

#include <lua.h>

#include "base/buf.h"

/* Deepest nesting of tables; so cycles end too. */
#define CLA_PLAIN_DEPTH_MAX 64

/* Appends the value at 'index'. Never raises and runs no Lua code. Returns 0; or with nothing
 * appended -CLA_ENOMEM, or -CLA_EINVAL and '*why': what cannot be kept. */
int cla_plain_write(lua_State *L, int index, struct cla_buf *buf, const char **why);

/* Pushes the value that cla_plain_write() wrote as 'bytes'. May raise (memory). */
void cla_plain_push(lua_State *L, struct cla_slice bytes);

/* A number without a Lua state. */
struct cla_plain_number {
    bool is_integer;
    lua_Integer integer;
    lua_Number number; /* if it is none */
};

#define CLA_PLAIN_NUMBER_BYTES 9

/* Reads what cla_plain_write() wrote; false: it is no number. */
bool cla_plain_read_number(struct cla_slice bytes, struct cla_plain_number *number);

/* Writes it to bytes[CLA_PLAIN_NUMBER_BYTES] as cla_plain_write() would. */
void cla_plain_write_number(const struct cla_plain_number *number, char *bytes);

#endif
