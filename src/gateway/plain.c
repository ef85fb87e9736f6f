#include "gateway/plain.h"

#include "base/error.h"

void cla_plain_reset(struct cla_plain *plain)
{
    plain->status = 200;
    plain->has_body = plain->unsized = plain->begun = false;
    plain->type.n = plain->fields.n = 0;
}

int cla_plain_set_type(struct cla_plain *plain, struct cla_slice type)
{
    plain->type.n = 0;
    if (cla_buf_reserve(&plain->type, type.n + 1) != 0)
        return -CLA_ENOMEM;
    (void)cla_buf_add(&plain->type, type);
    (void)cla_buf_push(&plain->type, '\0');
    return 0;
}

const char *cla_plain_type(const struct cla_plain *plain)
{
    return plain->has_body && plain->type.n > 0 ? plain->type.p : NULL;
}

void cla_plain_fini(struct cla_plain *plain)
{
    cla_buf_fini(&plain->type);
    cla_buf_fini(&plain->fields);
}
