/* One TLS connection as a pure engine: ciphertext in, plaintext out, and the other way round.
 *
 * One thread. Depends on: base, io/tls_context, io/certificate, openssl. No sockets, no buffers of
 * its own: it reads from what it was fed, and appends what is to be sent to a buffer of the
 * caller's. What is in it after an error must be sent all the same: the alert that tells the peer.
 */
#ifndef CLA_IO_TLS_H
#define CLA_IO_TLS_H

#include "base/buf.h"
#include "io/certificate.h"
#include "io/tls_context.h"

struct cla_tls;

enum cla_tls_result {
    CLA_TLS_MORE,      /* all that was fed is used */
    CLA_TLS_FULL,      /* the plaintext's room is: call again */
    CLA_TLS_SECURED,   /* the handshake is over, just now: call again */
    CLA_TLS_ENDED,     /* the peer's close_notify: nothing follows */
    CLA_TLS_CLEARTEXT, /* a server's first bytes are no TLS, but text, as of plain HTTP */
    CLA_TLS_FAILED,    /* cla_tls_error() says why; only cla_tls_free() may follow */
};

/* Makes a server's engine. Returns 0 or -CLA_ENOMEM. */
int cla_tls_new_server(struct cla_tls **out, struct cla_tls_context *context);

/* Makes a client's engine, which requires the server's certificate to be for 'host' (a name or an
 * address without brackets), unless the context is insecure. Returns 0, -CLA_ENOMEM, or -CLA_EINVAL
 * ('host' can be no name). */
int cla_tls_new_client(struct cla_tls **out, struct cla_tls_context *context, const char *host);

/* Frees the engine; NULL is fine. */
void cla_tls_free(struct cla_tls *tls);

/* Puts ciphertext before the engine: cla_tls_read() takes it from there, and the bytes must live
 * until it returns something else than FULL and SECURED. */
void cla_tls_feed(struct cla_tls *tls, struct cla_slice ciphertext);

/* Goes on with what was fed: '*n' bytes of plaintext in 'to', at most 'size', also if what it
 * returns is an end. A client calls it once before anything was fed, to begin. */
enum cla_tls_result cla_tls_read(struct cla_tls *tls, char *to, size_t size, size_t *n,
                                 struct cla_buf *out);

/* Encrypts. Only when the handshake is over. Returns 0, -CLA_ENOMEM or -CLA_EPROTO: the engine has
 * failed. */
int cla_tls_write(struct cla_tls *tls, struct cla_slice plaintext, struct cla_buf *out);

/* Tells the peer that nothing follows (close_notify), if that can be told. Reading may go on. */
void cla_tls_close(struct cla_tls *tls, struct cla_buf *out);

/* True once the handshake is over. */
bool cla_tls_is_secured(const struct cla_tls *tls);

/* Why it failed, for people; "" if it did not. Valid as long as the engine. */
const char *cla_tls_error(const struct cla_tls *tls);

/* The certificate that the peer presented, if it was verified; NULL: none, or no memory. The caller
 * owns a reference. Only when the handshake is over. */
struct cla_certificate *cla_tls_peer_certificate(const struct cla_tls *tls);

#endif
