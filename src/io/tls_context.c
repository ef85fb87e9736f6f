#include "io/tls_context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"

#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20:!aPSK"
#define CIPHERS_1_3 "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
#define GROUPS "X25519:P-256:P-384"
/* 112 bits: no RSA key below 2048, no SHA-1 in signatures. */
#define SECURITY_LEVEL 2

struct cla_tls_context {
    SSL_CTX *ssl;
    atomic_uint refs;
};

static const char alpn_http[] = "http/1.1";

static bool given(const struct cla_tls_file *file)
{
    return file->path != NULL && file->path[0] != '\0';
}

/* --- Errors. --- */

static int fail(struct cla_tls_error *error, const struct cla_tls_file *file, const char *why)
{
    snprintf(error->text, sizeof error->text, "%s '%s': %s", file->name, file->path, why);
    return -CLA_EINVAL;
}

/* What OpenSSL says is wrong, then 'remedy'. */
static int fail_openssl(struct cla_tls_error *error, const struct cla_tls_file *file,
                        const char *remedy)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    char why[256];

    snprintf(why, sizeof why, "%s%s%s", reason != NULL ? reason : "", reason != NULL ? ": " : "",
             remedy);
    return fail(error, file, why);
}

static int fail_missing(struct cla_tls_error *error, const struct cla_tls_file *file,
                        const char *why)
{
    snprintf(error->text, sizeof error->text, "%s is not set: %s", file->name, why);
    return -CLA_EINVAL;
}

/* --- Files. --- */

/* OpenSSL's own words for a file that cannot be read are no help. */
static int require_readable(const struct cla_tls_file *file, struct cla_tls_error *error)
{
    FILE *stream = fopen(file->path, "rbe");
    int failure = errno;
    bool empty;

    if (stream == NULL)
        return fail(error, file, strerror(failure));
    errno = 0;
    empty = fgetc(stream) == EOF;
    failure = errno;
    fclose(stream);
    if (empty)
        return fail(error, file, failure != 0 ? strerror(failure) : "the file is empty");
    return 0;
}

/* Nobody is there to type a passphrase. */
static int no_passphrase(char *buf, int size, int writing, void *asked)
{
    (void)buf, (void)size, (void)writing;
    *(bool *)asked = true;
    return -1;
}

static int use_certificates(SSL_CTX *ssl, const struct cla_tls_file *file,
                            struct cla_tls_error *error)
{
    int rc = require_readable(file, error);

    if (rc == 0 && SSL_CTX_use_certificate_chain_file(ssl, file->path) != 1)
        rc = fail_openssl(error, file,
                          "give a PEM file with the certificate, then those of its chain");
    return rc;
}

static int use_key(SSL_CTX *ssl, const struct cla_tls_file *file, struct cla_tls_error *error)
{
    bool asked = false;
    int rc = require_readable(file, error), used;

    if (rc != 0)
        return rc;
    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, &asked);
    used = SSL_CTX_use_PrivateKey_file(ssl, file->path, SSL_FILETYPE_PEM);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    if (asked)
        return fail(error, file,
                    "the key has a passphrase: write it without one, with openssl pkey");
    if (used != 1 && ERR_GET_REASON(ERR_peek_last_error()) != X509_R_KEY_VALUES_MISMATCH)
        return fail_openssl(error, file, "give a PEM file with the private key");
    return 0;
}

/* The certificate and its key. */
static int use_pair(SSL_CTX *ssl, const struct cla_tls_file *cert, const struct cla_tls_file *key,
                    struct cla_tls_error *error)
{
    int rc = use_certificates(ssl, cert, error);

    if (rc == 0)
        rc = use_key(ssl, key, error);
    if (rc == 0 && SSL_CTX_check_private_key(ssl) != 1) {
        snprintf(error->text, sizeof error->text,
                 "%s '%.200s' is not the key of the certificate in %s '%.200s': give the pair",
                 key->name, key->path, cert->name, cert->path);
        rc = -CLA_EINVAL;
    }
    return rc;
}

static int trust(SSL_CTX *ssl, const struct cla_tls_file *file, struct cla_tls_error *error)
{
    int rc = require_readable(file, error);

    if (rc == 0 && SSL_CTX_load_verify_file(ssl, file->path) != 1)
        rc = fail_openssl(error, file, "give a PEM file with certificates of authorities");
    return rc;
}

/* --- A server. --- */

/* A client that offers protocols, but not ours, is told so (RFC 7301 section 3.2). */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                   const unsigned char *offer, unsigned offer_n, void *arg)
{
    const unsigned char n = sizeof alpn_http - 1;

    (void)ssl, (void)arg;
    for (unsigned at = 0; at < offer_n; at += 1u + offer[at]) {
        if (offer[at] == n && at + n < offer_n && memcmp(offer + at + 1, alpn_http, n) == 0) {
            *out = offer + at + 1;
            *out_n = n;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int verify_clients(SSL_CTX *ssl, const struct cla_tls_server_files *files,
                          struct cla_tls_error *error)
{
    static const unsigned char id[] = "cancela";
    int mode = SSL_VERIFY_PEER, rc;

    if (files->client_auth == CLA_TLS_CLIENT_NONE)
        return 0;
    if (!given(&files->client_ca))
        return fail_missing(error, &files->client_ca,
                            "give a PEM file with the authorities that sign clients' certificates");
    rc = trust(ssl, &files->client_ca, error);
    if (rc != 0)
        return rc;
    if (files->client_auth == CLA_TLS_CLIENT_REQUIRE)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ssl, mode, NULL);
    SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(files->client_ca.path));
    SSL_CTX_set_session_id_context(ssl, id, sizeof id - 1); /* resumed ones are verified too */
    return 0;
}

static int set_up_server(SSL_CTX *ssl, const struct cla_tls_server_files *files,
                         struct cla_tls_error *error)
{
    int rc;

    if (!given(&files->cert))
        return fail_missing(error, &files->cert, "https needs a certificate in a PEM file");
    if (!given(&files->key))
        return fail_missing(error, &files->key, "give the PEM file of the certificate's key");
    rc = use_pair(ssl, &files->cert, &files->key, error);
    if (rc == 0)
        rc = verify_clients(ssl, files, error);
    SSL_CTX_set_alpn_select_cb(ssl, on_alpn, NULL);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    return rc;
}

/* --- A client. --- */

static int set_up_client(SSL_CTX *ssl, const struct cla_tls_client_files *files,
                         struct cla_tls_error *error)
{
    static const unsigned char offer[] = "\x08http/1.1";
    int rc = 0;

    SSL_CTX_set_alpn_protos(ssl, offer, sizeof offer - 1);
    SSL_CTX_set_verify(ssl, files->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (given(&files->ca))
        rc = trust(ssl, &files->ca, error);
    else
        SSL_CTX_set_default_verify_paths(ssl);
    if (rc != 0 || (!given(&files->cert) && !given(&files->key)))
        return rc;
    if (!given(&files->key))
        return fail_missing(error, &files->key, "give the PEM file of the certificate's key");
    if (!given(&files->cert))
        return fail_missing(error, &files->cert, "give the PEM file of the key's certificate");
    return use_pair(ssl, &files->cert, &files->key, error);
}

/* --- Both. --- */

static bool set_rules(SSL_CTX *ssl)
{
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ssl, CIPHERS_1_2) == 1 &&
           SSL_CTX_set_ciphersuites(ssl, CIPHERS_1_3) == 1 &&
           SSL_CTX_set1_groups_list(ssl, GROUPS) == 1;
}

static int new_context(struct cla_tls_context **out, const SSL_METHOD *method,
                       struct cla_tls_error *error)
{
    struct cla_tls_context *context = cla_mem_zalloc(sizeof *context);

    ERR_clear_error();
    *out = NULL;
    snprintf(error->text, sizeof error->text, "%s", cla_error_text(-CLA_ENOMEM));
    if (context == NULL)
        return -CLA_ENOMEM;
    atomic_init(&context->refs, 1);
    context->ssl = SSL_CTX_new(method);
    if (context->ssl == NULL || !set_rules(context->ssl)) {
        cla_tls_context_put(context);
        return -CLA_ENOMEM;
    }
    *out = context;
    return 0;
}

/* Ends the making of a context: what does not work is not kept. */
static int finish(struct cla_tls_context **context, int rc)
{
    ERR_clear_error();
    if (rc != 0) {
        cla_tls_context_put(*context);
        *context = NULL;
    }
    return rc;
}

int cla_tls_context_new_server(struct cla_tls_context **out,
                               const struct cla_tls_server_files *files,
                               struct cla_tls_error *error)
{
    int rc = new_context(out, TLS_server_method(), error);

    return rc != 0 ? rc : finish(out, set_up_server((*out)->ssl, files, error));
}

int cla_tls_context_new_client(struct cla_tls_context **out,
                               const struct cla_tls_client_files *files,
                               struct cla_tls_error *error)
{
    int rc = new_context(out, TLS_client_method(), error);

    return rc != 0 ? rc : finish(out, set_up_client((*out)->ssl, files, error));
}

struct cla_tls_context *cla_tls_context_ref(struct cla_tls_context *context)
{
    if (context != NULL)
        atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void cla_tls_context_put(struct cla_tls_context *context)
{
    if (context == NULL || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(context->ssl);
    cla_mem_free(context);
}

SSL_CTX *cla_tls_context_ssl(struct cla_tls_context *context)
{
    return context->ssl;
}
