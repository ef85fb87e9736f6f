#include "base/names.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/mem.h"

static size_t home(const struct cla_names *names, struct cla_slice name)
{
    return cla_hash(names->seed, name) & (names->slots - 1);
}

size_t cla_names_find(const struct cla_names *names, struct cla_slice name)
{
    size_t mask = names->slots - 1;

    if (names->slots == 0)
        return CLA_NAMES_NONE;
    for (size_t at = home(names, name); names->index[at] != 0; at = (at + 1) & mask) {
        if (cla_slice_eq(cla_slice_str(names->texts[names->index[at] - 1]), name))
            return names->index[at] - 1;
    }
    return CLA_NAMES_NONE;
}

static void put_in_index(struct cla_names *names, size_t number)
{
    size_t at = home(names, cla_slice_str(names->texts[number]));

    while (names->index[at] != 0)
        at = (at + 1) & (names->slots - 1);
    names->index[at] = (uint32_t)number + 1;
}

/* The table of texts is half as large as the index. */
static int grow(struct cla_names *names)
{
    size_t slots = names->slots > 0 ? names->slots * 2 : 16;
    char **texts = cla_mem_realloc(names->texts, slots / 2 * sizeof *texts);
    uint32_t *index;

    if (texts == NULL)
        return -CLA_ENOMEM;
    names->texts = texts;
    index = cla_mem_zalloc(slots * sizeof *index);
    if (index == NULL)
        return -CLA_ENOMEM;
    if (names->slots == 0)
        names->seed = cla_hash_seed();
    cla_mem_free(names->index);
    names->index = index;
    names->slots = slots;
    names->cap = slots / 2;
    for (size_t i = 0; i < names->count; i++)
        put_in_index(names, i);
    return 0;
}

int cla_names_add(struct cla_names *names, struct cla_slice name)
{
    char *copy;

    if (names->count == names->cap && grow(names) != 0)
        return -CLA_ENOMEM;
    copy = cla_mem_strndup(name.p, name.n);
    if (copy == NULL)
        return -CLA_ENOMEM;
    names->texts[names->count] = copy;
    put_in_index(names, names->count++);
    return 0;
}

void cla_names_fini(struct cla_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        cla_mem_free(names->texts[i]);
    cla_mem_free(names->texts);
    cla_mem_free(names->index);
    *names = (struct cla_names){0};
}
