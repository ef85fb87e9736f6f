/* Happy path: the stream shakes hands, the peer's certificate is noted, the connection begins.
 * Failure modes: a handshake that fails or takes too long is logged, and the connection closed; who
 * speaks plain HTTP is told so in plain HTTP.
 * On close: the certificate is given up with the connection. */
#include "gateway/conn_tls.h"

#include "gateway/access.h"
#include "gateway/worker.h"

static struct cla_conn *conn_of(struct cla_stream *stream)
{
    return CLA_CONTAINER(stream, struct cla_conn, stream);
}

static void on_secured(struct cla_stream *stream)
{
    struct cla_conn *conn = conn_of(stream);

    conn->certificate = cla_stream_certificate(stream);
    cla_conn_begin(conn);
}

static void on_cleartext(struct cla_stream *stream)
{
    struct cla_conn *conn = conn_of(stream);

    if (conn->state == CLA_CONN_OPEN)
        cla_conn_refuse(conn, 400,
                        "this address speaks HTTPS, and the request came as plain HTTP: write "
                        "https:// in the URL");
    else
        cla_conn_close(conn, CLA_CANCEL_DISCONNECT); /* refused before, in vain */
}

static const struct cla_stream_tls_events events = {on_secured, on_cleartext};

int cla_conn_tls_open(struct cla_conn *conn)
{
    struct cla_tls_context *context = conn->arrival.tls;
    struct cla_tls *tls;
    int rc;

    conn->arrival.tls = NULL;
    rc = cla_tls_new_server(&tls, context);
    cla_tls_context_put(context);
    return rc != 0 ? rc : cla_stream_secure(&conn->stream, tls, &events);
}

void cla_conn_tls_failed(const struct cla_conn *conn, const char *why)
{
    const struct cla_call_env *env = &conn->worker->env;

    cla_access_tls_failed(env, cla_slice(conn->arrival.peer, conn->arrival.peer_n), why);
}
