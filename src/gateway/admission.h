/* Who may connect: how many in all, and from one address.
 *
 * Control thread; the counts themselves are given back by the workers. Depends on: base/ip.
 *
 * An IPv6 client has a whole network of addresses, so its first 64 bits are what is counted. An
 * address is forgotten, when room is needed, once none of its connections is open: only this side
 * counts up, so one that was found at zero stays there. */
#ifndef CLA_GATEWAY_ADMISSION_H
#define CLA_GATEWAY_ADMISSION_H

#include <stdatomic.h>

#include "base/ip.h"

struct cla_admission {
    struct cla_admission_address **slots; /* hash table; NULL: free */
    size_t mask;                          /* slots - 1 */
    size_t used;
    unsigned max_connections, per_address;
};

/* Sets the limits. */
void cla_admission_init(struct cla_admission *admission, unsigned max_connections,
                        unsigned per_address);

/* Judges a connection from 'ip' (NULL: by a unix socket, which has no address) when 'open' others
 * are there. Returns NULL: it may come, and is counted in '*of_address' (NULL: not counted). Else
 * why not. */
const char *cla_admission_judge(struct cla_admission *admission, unsigned open,
                                const struct cla_ip *ip, atomic_uint **of_address);

/* Counts a connection out that was counted in '*of_address'; NULL is fine. Any thread. */
void cla_admission_leave(atomic_uint *of_address);

/* Frees all. Nobody may count out any more. */
void cla_admission_fini(struct cla_admission *admission);

#endif
