#include "gateway/socket_data.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

struct cla_socket_item {
    struct cla_socket_item *next;
    size_t name_n, value_n;
    char bytes[]; /* the name, then the value */
};

static struct cla_socket_item **find(struct cla_socket_item *const *first, struct cla_slice name)
{
    struct cla_socket_item **at = (struct cla_socket_item **)first;

    while (*at != NULL && !cla_slice_eq(cla_slice((*at)->bytes, (*at)->name_n), name))
        at = &(*at)->next;
    return at;
}

static size_t cost(const struct cla_socket_item *item)
{
    return item != NULL ? item->name_n + item->value_n : 0;
}

bool cla_socket_data_get(const struct cla_socket_data *data, struct cla_slice name,
                         struct cla_slice *value)
{
    const struct cla_socket_item *item = *find(&data->first, name);

    if (item == NULL)
        return false;
    *value = cla_slice(item->bytes + item->name_n, item->value_n);
    return true;
}

static struct cla_socket_item *new_item(struct cla_slice name, struct cla_slice value)
{
    struct cla_socket_item *item = cla_mem_alloc(sizeof *item + name.n + value.n);

    if (item == NULL)
        return NULL;
    item->name_n = name.n;
    item->value_n = value.n;
    memcpy(item->bytes, name.p, name.n);
    memcpy(item->bytes + name.n, value.p, value.n);
    return item;
}

static void unlink_item(struct cla_socket_data *data, struct cla_socket_item **at)
{
    struct cla_socket_item *item = *at;

    if (item == NULL)
        return;
    *at = item->next;
    data->bytes -= cost(item);
    cla_mem_free(item);
}

int cla_socket_data_set(struct cla_socket_data *data, struct cla_slice name, struct cla_slice value)
{
    struct cla_socket_item **at = find(&data->first, name), *item;

    if (value.n == 0) {
        unlink_item(data, at);
        return 0;
    }
    if (data->bytes - cost(*at) + name.n + value.n > CLA_SOCKET_DATA_MAX)
        return -CLA_ELIMIT;
    item = new_item(name, value);
    if (item == NULL)
        return -CLA_ENOMEM;
    unlink_item(data, at);
    item->next = data->first;
    data->first = item;
    data->bytes += cost(item);
    return 0;
}

void cla_socket_data_fini(struct cla_socket_data *data)
{
    while (data->first != NULL)
        unlink_item(data, &data->first);
}
