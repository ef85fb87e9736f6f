/* What scripts keep with a WebSocket: values by name, as bytes that the gateway does not look at.
 *
 * Worker thread. Depends on: base. They outlive the VM that wrote them. */
#ifndef CLA_GATEWAY_SOCKET_DATA_H
#define CLA_GATEWAY_SOCKET_DATA_H

#include "base/slice.h"

/* Most bytes of all names and values of a socket together. */
#define CLA_SOCKET_DATA_MAX 65536

struct cla_socket_item;

struct cla_socket_data {
    struct cla_socket_item *first; /* newest first */
    size_t bytes;                  /* of names and values */
};

/* The value of 'name' in '*value', borrowed until the next set. Returns false if there is none. */
bool cla_socket_data_get(const struct cla_socket_data *data, struct cla_slice name,
                         struct cla_slice *value);

/* Sets 'name' to a copy of 'value'; an empty one removes it. Returns 0, -CLA_ENOMEM, or -CLA_ELIMIT
 * (it would be more than CLA_SOCKET_DATA_MAX): then all is as it was. */
int cla_socket_data_set(struct cla_socket_data *data, struct cla_slice name,
                        struct cla_slice value);

/* Frees all. */
void cla_socket_data_fini(struct cla_socket_data *data);

#endif
