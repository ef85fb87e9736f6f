#include "gateway/bulletin.h"

#include "base/error.h"
#include "base/mem.h"
#include "ws/frame.h"

static const unsigned char first_bytes[CLA_LANGUAGES] = {
    [CLA_LANGUAGE_JSONRPC] = CLA_WS_FIN | CLA_WS_TEXT,
    [CLA_LANGUAGE_FRAMES] = CLA_WS_FIN | CLA_WS_BINARY,
};

/* Copies the message to 'to' as a frame; returns where that ends. */
static char *add_frame(struct cla_bulletin *bulletin, enum cla_language language,
                       struct cla_slice message, char *to)
{
    char *payload = to + CLA_WS_HEADER_MAX;
    size_t head = cla_ws_header_write(payload, first_bytes[language], message.n, NULL);
    struct cla_slice frame = cla_slice(payload - head, head + message.n);

    memcpy(payload, message.p, message.n);
    bulletin->frames[language] = frame;
    bulletin->messages[language] = cla_slice(payload, message.n);
    if (frame.n > bulletin->n)
        bulletin->n = frame.n;
    return payload + message.n;
}

int cla_bulletin_new(struct cla_bulletin **out, struct cla_slice name, bool broadcast,
                     const struct cla_topic_rules *rules,
                     const struct cla_slice messages[CLA_LANGUAGES])
{
    size_t n = name.n + CLA_LANGUAGES * CLA_WS_HEADER_MAX;
    struct cla_bulletin *bulletin;
    char *to;

    for (int i = 0; i < CLA_LANGUAGES; i++)
        n += messages[i].n;
    bulletin = cla_mem_alloc(sizeof *bulletin + n);
    if (bulletin == NULL)
        return -CLA_ENOMEM;
    memset(bulletin, 0, sizeof *bulletin);
    atomic_init(&bulletin->refs, 1);
    bulletin->broadcast = broadcast;
    bulletin->rules = *rules;
    bulletin->name = cla_slice(bulletin->bytes, name.n);
    memcpy(bulletin->bytes, name.p, name.n);
    to = bulletin->bytes + name.n;
    for (int i = 0; i < CLA_LANGUAGES; i++) {
        if (messages[i].n > 0)
            to = add_frame(bulletin, (enum cla_language)i, messages[i], to);
    }
    *out = bulletin;
    return 0;
}

struct cla_bulletin *cla_bulletin_ref(struct cla_bulletin *bulletin)
{
    atomic_fetch_add_explicit(&bulletin->refs, 1, memory_order_relaxed);
    return bulletin;
}

void cla_bulletin_put(struct cla_bulletin *bulletin)
{
    if (bulletin == NULL || atomic_fetch_sub_explicit(&bulletin->refs, 1, memory_order_acq_rel) > 1)
        return;
    cla_mem_free(bulletin);
}
