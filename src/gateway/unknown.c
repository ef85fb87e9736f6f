#include "gateway/unknown.h"

#include "base/mem.h"

struct unknown {
    struct cla_procedure procedure;
    char name[];
};

const struct cla_procedure *cla_unknown_new(struct cla_slice name)
{
    struct unknown *unknown = cla_mem_zalloc(sizeof *unknown + name.n);

    if (unknown == NULL)
        return NULL;
    memcpy(unknown->name, name.p, name.n);
    unknown->procedure.name = cla_slice(unknown->name, name.n);
    unknown->procedure.unknown = true;
    return &unknown->procedure;
}

void cla_unknown_free(const struct cla_procedure *procedure)
{
    cla_mem_free(CLA_CONTAINER(procedure, struct unknown, procedure));
}
