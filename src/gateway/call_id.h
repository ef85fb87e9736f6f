/* The id that a client gave a call, raw JSON: kept in place if it is short, as most are, so that
 * the text it stood in may go.
 *
 * Any thread. Depends on: base/slice. */
#ifndef CLA_GATEWAY_CALL_ID_H
#define CLA_GATEWAY_CALL_ID_H

#include <stdint.h>

#include "base/slice.h"

#define CLA_CALL_ID_SHORT 15 /* bytes that are kept in place */

/* All zeros is none. */
struct cla_call_id {
    union {
        struct {
            char bytes[CLA_CALL_ID_SHORT];
            unsigned char n; /* above CLA_CALL_ID_SHORT: it is not here, but … */
        } here;
        struct {
            const char *p; /* … there, borrowed */
            uint32_t n;
        } there;
    };
};

/* 'id' is borrowed for as long as this is, if it is not short. */
static inline struct cla_call_id cla_call_id_make(struct cla_slice id)
{
    struct cla_call_id made = {0};

    if (id.n > CLA_CALL_ID_SHORT) {
        made.there.p = id.p;
        made.there.n = (uint32_t)id.n; /* messages are smaller: body_bytes, message_bytes */
        made.here.n = CLA_CALL_ID_SHORT + 1;
        return made;
    }
    for (size_t i = 0; i < id.n; i++) /* most are of a few digits */
        made.here.bytes[i] = id.p[i];
    made.here.n = (unsigned char)id.n;
    return made;
}

/* True if it is not kept in place. */
static inline bool cla_call_id_is_borrowed(const struct cla_call_id *id)
{
    return id->here.n > CLA_CALL_ID_SHORT;
}

/* True if there is none. */
static inline bool cla_call_id_is_none(const struct cla_call_id *id)
{
    return id->here.n == 0;
}

/* The id's bytes, which may lie in it. */
static inline struct cla_slice cla_call_id_slice(const struct cla_call_id *id)
{
    return cla_call_id_is_borrowed(id) ? cla_slice(id->there.p, id->there.n)
                                       : cla_slice(id->here.bytes, id->here.n);
}

#endif
