/* JSON text <-> Lua values, without anything in between.
 *
 * The state's own thread. Depends on: json, lua.
 *
 *   null           lightuserdata NULL (cancela.json.null)
 *   integers       integers; beyond int64 floats
 *   other numbers  floats: 3.0 stays 3.0
 *   strings        UTF-8, in both directions
 *   arrays         tables with the array metatable, or with the keys 1..n and no others (n >= 1)
 *   objects        other tables, {} among them: all keys strings
 *
 * Access is raw: no metamethod runs, and metatables other than the two below say nothing. */
#ifndef CLA_BIND_JSON_CODEC_H
#define CLA_BIND_JSON_CODEC_H

#include <lua.h>

#include "base/buf.h"
#include "json/scan.h"

/* Makes the array and object metatables of this state. To be called once, before all else here.
 * Raises on memory errors. */
void cla_json_codec_open(lua_State *L);

struct cla_json_decode_opts {
    unsigned max_depth; /* 1 to CLA_JSON_DEPTH_MAX */
    bool keep_nulls;    /* null members are json.null, not absent */
    bool skip_meta;     /* the top-level object's member _meta is left out */
};

struct cla_json_decode_fault {
    const char *message; /* static text: "expected ':'" */
    size_t at;           /* byte offset in the text */
};

/* Decodes 'text' and pushes the value. null is json.null everywhere but in objects; of members
 * with one name the last counts. Returns 0; or -CLA_EJSON or -CLA_ENOMEM (the Lua stack cannot
 * grow) with 'fault' set and nothing pushed. Raises on Lua memory errors only, holding nothing. */
int cla_json_codec_push(lua_State *L, struct cla_slice text,
                        const struct cla_json_decode_opts *opts,
                        struct cla_json_decode_fault *fault);

struct cla_json_encode_opts {
    unsigned max_depth; /* 1 to CLA_JSON_DEPTH_MAX; cycles end here */
    bool top_array;     /* the value itself is an array if it is an empty table */
    const char *root;   /* what messages call the value: "result" */
};

struct cla_json_encode_fault {
    char message[256]; /* "result.items[3].x: cannot encode a function" */
};

/* Appends the value at 'index' as JSON. Never raises and runs no Lua code. Returns 0; or with
 * nothing appended and 'fault' set: -CLA_EINVAL (it cannot be encoded), -CLA_ENOMEM. */
int cla_json_codec_write(lua_State *L, int index, struct cla_buf *buf,
                         const struct cla_json_encode_opts *opts,
                         struct cla_json_encode_fault *fault);

/* Pushes the module cancela.json: encode, decode, null, array, object. Opens the codec first if
 * nobody has. A lua_CFunction. */
int cla_json_codec_luaopen(lua_State *L);

#endif
