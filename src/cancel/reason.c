#include "cancel/reason.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/utf8.h"

struct cla_text {
    unsigned refs; /* reasons that share it */
    size_t n;
    char bytes[];
};

static const struct {
    const char *name;
    enum cla_code code;
} kinds[CLA_CANCEL_KINDS] = {
#define X(symbol, name, code) {name, CLA_CODE_##code},
    CLA_CANCEL_TABLE(X)
#undef X
};

_Static_assert(CLA_CANCEL_KINDS <= 1 << 5, "a kind fits the field of a reason");

const char *cla_cancel_kind_name(enum cla_cancel_kind kind)
{
    CLA_PRE((unsigned)kind < CLA_CANCEL_KINDS);
    return kinds[kind].name;
}

enum cla_code cla_cancel_kind_code(enum cla_cancel_kind kind)
{
    CLA_PRE((unsigned)kind < CLA_CANCEL_KINDS);
    return kinds[kind].code;
}

static struct cla_text *text_new(struct cla_slice s)
{
    struct cla_text *text;
    size_t cap = s.n < CLA_REASON_MESSAGE_MAX ? s.n : CLA_REASON_MESSAGE_MAX;

    text = cla_mem_alloc(sizeof *text + cap);
    if (text == NULL)
        return NULL;
    text->refs = 1;
    text->n = 0;
    for (size_t i = 0; i < s.n;) {
        unsigned length = cla_utf8_sequence(s.p + i, s.n - i);
        unsigned width = length > 0 ? length : 1;

        if (text->n + width > cap)
            break;
        if (length == 0)
            text->bytes[text->n] = '?';
        else
            memcpy(text->bytes + text->n, s.p + i, length);
        text->n += width;
        i += width;
    }
    return text;
}

struct cla_reason cla_reason_make(enum cla_cancel_kind kind, uint64_t at_ns,
                                  struct cla_slice message)
{
    struct cla_reason reason = {.kind = kind, .at_ns = at_ns};

    if (message.n > 0)
        reason.message = text_new(message);
    return reason;
}

struct cla_reason cla_reason_share(const struct cla_reason *reason)
{
    if (reason->message != NULL)
        reason->message->refs++;
    return *reason;
}

void cla_reason_fini(struct cla_reason *reason)
{
    struct cla_text *text = reason->message;

    if (text != NULL && --text->refs == 0)
        cla_mem_free(text);
    *reason = (struct cla_reason){0};
}

struct cla_slice cla_reason_message(const struct cla_reason *reason)
{
    if (reason->message == NULL)
        return cla_slice("", 0);
    return cla_slice(reason->message->bytes, reason->message->n);
}
