/* The members of a JSON-RPC object, one at a time. Private to rpc/.
 *
 * Any thread. Depends on: base, json. */
#ifndef CLA_RPC_JSONRPC_MEMBER_H
#define CLA_RPC_JSONRPC_MEMBER_H

#include "base/error.h"
#include "json/scan.h"

/* No name that matters is longer, decoded. */
#define CLA_JSONRPC_NAME_MAX 24

struct cla_jsonrpc_member {
    enum cla_json_event event; /* first event of its value; CLA_JSON_ERROR (0): absent */
    bool escaped;              /* a string: it holds escapes */
    struct cla_slice text;     /* of the value */
};

/* Decodes raw[0..) if it could be a name that matters, into 'name' (CLA_JSONRPC_NAME_MAX * 6
 * bytes); else gives it raw: then it holds a backslash, as no such name does. */
static inline struct cla_slice cla_jsonrpc_decode(struct cla_slice raw, char *name)
{
    if (raw.n > CLA_JSONRPC_NAME_MAX * 6)
        return raw;
    return cla_slice(name, cla_json_unescape(raw, name));
}

/* Makes 'member' absent. Cheaper than clearing whole structs of them with every request. */
static inline void cla_jsonrpc_member_init(struct cla_jsonrpc_member *member)
{
    member->event = CLA_JSON_ERROR;
    member->text = cla_slice(NULL, 0);
}

/* Reads the value that comes next. Returns 0, or -CLA_EJSON. */
static inline int cla_jsonrpc_member_read(struct cla_json_scan *scan,
                                          struct cla_jsonrpc_member *member)
{
    member->event = cla_json_scan_next(scan);
    member->escaped = scan->escaped;
    return cla_json_scan_rest(scan, member->event, &member->text);
}

/* True if the value is the string 'expected', however it was escaped. */
static inline bool cla_jsonrpc_member_is(const struct cla_jsonrpc_member *member,
                                         struct cla_slice expected)
{
    char name[CLA_JSONRPC_NAME_MAX * 6];
    struct cla_slice raw;

    if (member->event != CLA_JSON_STRING)
        return false;
    raw = cla_slice(member->text.p + 1, member->text.n - 2);
    return cla_slice_eq(raw, expected) || cla_slice_eq(cla_jsonrpc_decode(raw, name), expected);
}

/* The name of the KEY just read, decoded into 'name' if need be (as cla_jsonrpc_decode()). */
static inline struct cla_slice cla_jsonrpc_key(const struct cla_json_scan *scan, char *name)
{
    return scan->escaped ? cla_jsonrpc_decode(scan->string, name) : scan->string;
}

/* A member to look for, and where to put it. */
struct cla_jsonrpc_wanted {
    struct cla_slice name;
    struct cla_jsonrpc_member *member;
};

/* Reads 'text', which must be an object, for the members in 'wanted' (ends with a NULL member).
 * Returns 0, or -CLA_EPROTO. */
int cla_jsonrpc_object_read(struct cla_slice text, const struct cla_jsonrpc_wanted *wanted);

/* True for what may be an id: a string, a number or null. */
static inline bool cla_jsonrpc_is_id(enum cla_json_event event)
{
    return event == CLA_JSON_STRING || event == CLA_JSON_INT || event == CLA_JSON_NUMBER ||
           event == CLA_JSON_NULL;
}

#endif
