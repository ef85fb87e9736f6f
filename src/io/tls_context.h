/* What all TLS connections of a listener, or of a client, share: certificates, keys, rules.
 *
 * Made on one thread, used by any: it does not change. Depends on: base, openssl.
 *
 * TLS 1.2 and 1.3; of 1.2 only ECDHE with AEAD ciphers, in the server's order. No renegotiation, no
 * compression, no early data. Sessions are resumed by ticket; the server keeps none. */
#ifndef CLA_IO_TLS_CONTEXT_H
#define CLA_IO_TLS_CONTEXT_H

#include "base/slice.h"

struct cla_tls_context; /* counted: whoever keeps one takes a reference */

enum cla_tls_client_auth { CLA_TLS_CLIENT_NONE, CLA_TLS_CLIENT_OPTIONAL, CLA_TLS_CLIENT_REQUIRE };

/* A PEM file, by the setting or flag that names it, for errors. */
struct cla_tls_file {
    const char *name; /* "tls_cert" */
    const char *path; /* NULL or "": none */
};

struct cla_tls_server_files {
    struct cla_tls_file cert;      /* the server's, then those between it and the root */
    struct cla_tls_file key;       /* of the first */
    struct cla_tls_file client_ca; /* who signs clients' certificates; needed unless NONE */
    enum cla_tls_client_auth client_auth;
};

struct cla_tls_client_files {
    struct cla_tls_file ca;        /* in place of the system's certificate authorities */
    struct cla_tls_file cert, key; /* the client's own; both or none */
    bool insecure;                 /* the server's certificate is not verified */
};

/* One line, without a line end: the setting, its value, the remedy. */
struct cla_tls_error {
    char text[640];
};

/* Reads the files of a server; blocks while it reads. Returns 0, -CLA_ENOMEM, or -CLA_EINVAL with
 * 'error'. */
int cla_tls_context_new_server(struct cla_tls_context **out,
                               const struct cla_tls_server_files *files,
                               struct cla_tls_error *error);

/* Reads the files of a client. Returns as cla_tls_context_new_server(). */
int cla_tls_context_new_client(struct cla_tls_context **out,
                               const struct cla_tls_client_files *files,
                               struct cla_tls_error *error);

/* Takes one more reference. Any thread. Returns 'context', which may be NULL. */
struct cla_tls_context *cla_tls_context_ref(struct cla_tls_context *context);

/* Gives up a reference; the last one frees. Any thread. NULL is fine. */
void cla_tls_context_put(struct cla_tls_context *context);

/* The SSL_CTX inside. For io/tls. */
struct ssl_ctx_st *cla_tls_context_ssl(struct cla_tls_context *context);

#endif
