#include "gateway/upgrade.h"

#include <sys/random.h>
#include <sys/types.h>

#include "base/error.h"
#include "http/head.h"
#include "ws/list.h"

void cla_upgrade_random(void *to, size_t n)
{
    CLA_PRE(getrandom(to, n, 0) == (ssize_t)n);
}

int cla_upgrade_request(struct cla_upgrade *upgrade, struct cla_buf *out,
                        const struct cla_client_call *to)
{
    struct cla_http_request request = {
        .method = "GET", .target = to->target, .host = to->authority};
    struct cla_buf fields = {0};
    unsigned char nonce[16];
    int rc;

    cla_upgrade_random(nonce, sizeof nonce);
    cla_ws_handshake_key(nonce, upgrade->key);
    rc = cla_ws_handshake_request(&fields, upgrade->key, &upgrade->offer);
    if (rc == 0)
        rc = cla_buf_add(&fields, to->fields);
    request.fields = cla_buf_slice(&fields);
    if (rc == 0)
        rc = cla_http_write_request(out, &request);
    cla_buf_fini(&fields);
    return rc;
}

static struct cla_slice *value_of(struct cla_ws_response *response, struct cla_slice name)
{
    const struct {
        struct cla_slice name;
        struct cla_slice *value;
    } fields[] = {
        {CLA_LIT("upgrade"), &response->upgrade},
        {CLA_LIT("sec-websocket-accept"), &response->accept},
        {CLA_LIT("sec-websocket-protocol"), &response->protocol},
        {CLA_LIT("sec-websocket-extensions"), &response->extensions},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(fields); i++) {
        if (cla_slice_eq_nocase(name, fields[i].name))
            return fields[i].value;
    }
    return NULL;
}

/* Returns NULL, or what is wrong. Only Connection may name more than what was asked for. */
static const char *read_fields(const struct cla_http_head *head, struct cla_ws_response *response)
{
    for (unsigned i = 0; i < head->field_count; i++) {
        const struct cla_http_field *field = &head->fields[i];
        struct cla_slice *value = value_of(response, field->name);

        if (cla_slice_eq_nocase(field->name, CLA_LIT("connection")) &&
            cla_ws_list_has(field->value, CLA_LIT("upgrade")))
            response->connection = field->value;
        if (value != NULL && value->n > 0)
            return "a field of the server's upgrade came twice";
        if (value != NULL)
            *value = field->value;
    }
    return NULL;
}

void cla_upgrade_judge(struct cla_upgrade *upgrade, const struct cla_http_head *head)
{
    struct cla_ws_response response = {.status = head->status};

    upgrade->why = read_fields(head, &response);
    if (upgrade->why == NULL)
        (void)cla_ws_handshake_verify(&response, upgrade->key, &upgrade->offer, &upgrade->accept,
                                      &upgrade->why);
}
