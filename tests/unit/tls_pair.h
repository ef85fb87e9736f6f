/* Two TLS engines back to back, for tests. */
#ifndef CLA_TEST_TLS_PAIR_H
#define CLA_TEST_TLS_PAIR_H

#include "io/tls.h"
#include "mem_fault.h"
#include "tls_fixture.h"

#define ROOM 40000 /* more than two records */

/* One end. */
struct end {
    struct cla_tls *tls;
    struct cla_buf out; /* ciphertext for the other end */
    struct cla_buf got; /* plaintext */
    enum cla_tls_result result;
};

struct pair {
    struct cla_tls_context *server_context, *client_context;
    struct end server, client;
};

static void open_pair(struct pair *p, struct cla_tls_context *server,
                      struct cla_tls_context *client, const char *host)
{
    *p = (struct pair){.server_context = server, .client_context = client};
    assert_int_equal(cla_tls_new_server(&p->server.tls, server), 0);
    assert_int_equal(cla_tls_new_client(&p->client.tls, client, host), 0);
}

static inline void open_usual_pair(struct pair *p)
{
    open_pair(p, tls_server(CLA_TLS_CLIENT_NONE), tls_client(NULL), "localhost");
}

static inline void close_end(struct end *end)
{
    cla_tls_free(end->tls);
    cla_buf_fini(&end->out);
    cla_buf_fini(&end->got);
}

static inline void close_pair(struct pair *p)
{
    close_end(&p->server);
    close_end(&p->client);
    cla_tls_context_put(p->server_context);
    cla_tls_context_put(p->client_context);
    assert_int_equal(mem_fault.live, 0);
}

/* Feeds 'bytes' to an end, to its end or theirs. */
static inline enum cla_tls_result feed(struct end *end, struct cla_slice bytes)
{
    static char text[ROOM];
    size_t n;

    if (end->result >= CLA_TLS_ENDED)
        return end->result;
    cla_tls_feed(end->tls, bytes);
    do {
        end->result = cla_tls_read(end->tls, text, sizeof text, &n, &end->out);
        assert_int_equal(cla_buf_append(&end->got, text, n), 0);
    } while (end->result == CLA_TLS_FULL || end->result == CLA_TLS_SECURED);
    return end->result;
}

/* Moves what one end has sent to the other, 'step' bytes at a time. */
static inline bool move(struct end *from, struct end *to, size_t step)
{
    struct cla_buf bytes = cla_buf_take(&from->out);

    for (size_t at = 0; at < bytes.n; at += step)
        feed(to, cla_slice(bytes.p + at, bytes.n - at < step ? bytes.n - at : step));
    cla_buf_fini(&bytes);
    return from->out.n + to->out.n > 0;
}

static inline void run_in_steps(struct pair *p, size_t step)
{
    feed(&p->client, cla_slice(NULL, 0));
    while (p->client.out.n + p->server.out.n > 0) {
        move(&p->client, &p->server, step);
        move(&p->server, &p->client, step);
    }
}

static inline void run(struct pair *p)
{
    run_in_steps(p, SIZE_MAX / 2);
}

static inline void require_secured(const struct pair *p)
{
    assert_string_equal(cla_tls_error(p->client.tls), "");
    assert_string_equal(cla_tls_error(p->server.tls), "");
    assert_true(cla_tls_is_secured(p->client.tls));
    assert_true(cla_tls_is_secured(p->server.tls));
}

static inline void require_failed(const struct end *end, const char *why)
{
    assert_int_equal(end->result, CLA_TLS_FAILED);
    if (strstr(cla_tls_error(end->tls), why) == NULL)
        fail_msg("'%s' is not in: %s", why, cla_tls_error(end->tls));
}

static inline void write_text(struct end *end, const char *text)
{
    assert_int_equal(cla_tls_write(end->tls, cla_slice_str(text), &end->out), 0);
}

static inline void require_got(const struct end *end, const char *text)
{
    assert_int_equal(end->got.n, strlen(text));
    assert_memory_equal(end->got.p, text, end->got.n);
}

#endif
