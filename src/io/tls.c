/* Happy path: the handshake's messages go to and fro, then records are decrypted and encrypted.
 * Failure modes: OpenSSL refuses what came (an alert for the peer is in 'out'), or has no memory;
 * the engine is then good for nothing but its error text.
 * On close: cla_tls_close() leaves the close_notify in 'out'; nobody waits for the peer's. */
#include "io/tls.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"

struct cla_tls {
    SSL *ssl;
    struct cla_slice in; /* fed and not yet read; borrowed */
    struct cla_buf *out; /* of the caller, during a call */
    char *error;         /* owned; NULL: none, or no memory for it */
    bool client;
    bool begun;   /* something was fed */
    bool secured; /* the handshake is over */
    bool failed;
};

/* --- The BIO: what OpenSSL takes for the network. --- */

static int bio_read(BIO *bio, char *to, size_t size, size_t *n)
{
    struct cla_tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    *n = size < tls->in.n ? size : tls->in.n;
    if (*n == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(to, tls->in.p, *n);
    tls->in = cla_slice(tls->in.p + *n, tls->in.n - *n);
    return 1;
}

static int bio_write(BIO *bio, const char *bytes, size_t size, size_t *n)
{
    struct cla_tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    *n = 0;
    if (cla_buf_append(tls->out, bytes, size) != 0)
        return 0;
    *n = size;
    return 1;
}

static long bio_ctrl(BIO *bio, int command, long value, void *arg)
{
    (void)bio, (void)value, (void)arg;
    return command == BIO_CTRL_FLUSH;
}

static CRYPTO_ONCE bio_once = CRYPTO_ONCE_STATIC_INIT;
static BIO_METHOD *bio_method;

static void make_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "cancela");

    if (method == NULL)
        return;
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
    bio_method = method;
}

static BIO *new_bio(struct cla_tls *tls)
{
    BIO *bio = NULL;

    if (CRYPTO_THREAD_run_once(&bio_once, make_bio_method) == 1 && bio_method != NULL)
        bio = BIO_new(bio_method);
    if (bio != NULL) {
        BIO_set_data(bio, tls);
        BIO_set_init(bio, 1);
    }
    return bio;
}

/* --- Making and freeing. --- */

static int new_engine(struct cla_tls **out, struct cla_tls_context *context)
{
    struct cla_tls *tls = cla_mem_zalloc(sizeof *tls);
    BIO *bio = NULL;

    if (tls == NULL)
        return -CLA_ENOMEM;
    tls->ssl = SSL_new(cla_tls_context_ssl(context));
    if (tls->ssl != NULL)
        bio = new_bio(tls);
    if (bio == NULL) {
        cla_tls_free(tls);
        return -CLA_ENOMEM;
    }
    SSL_set_bio(tls->ssl, bio, bio);
    *out = tls;
    return 0;
}

int cla_tls_new_server(struct cla_tls **out, struct cla_tls_context *context)
{
    int rc = new_engine(out, context);

    if (rc == 0)
        SSL_set_accept_state((*out)->ssl);
    return rc;
}

/* The certificate must be for this address or name; a name is sent along (SNI). */
static bool expect(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1)
        return true;
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, host) == 1;
}

int cla_tls_new_client(struct cla_tls **out, struct cla_tls_context *context, const char *host)
{
    int rc = new_engine(out, context);

    if (rc != 0)
        return rc;
    SSL_set_connect_state((*out)->ssl);
    (*out)->client = true;
    if (expect((*out)->ssl, host))
        return 0;
    ERR_clear_error();
    cla_tls_free(*out);
    *out = NULL;
    return -CLA_EINVAL;
}

void cla_tls_free(struct cla_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    cla_mem_free(tls->error);
    cla_mem_free(tls);
}

/* --- Failure. --- */

static enum cla_tls_result fail(struct cla_tls *tls, const char *why, const char *detail)
{
    char text[256];
    int n = snprintf(text, sizeof text, "%s%s%s", why, detail[0] != '\0' ? ": " : "", detail);

    tls->failed = true;
    if (tls->error == NULL)
        tls->error = cla_mem_strndup(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    ERR_clear_error();
    return CLA_TLS_FAILED;
}

static enum cla_tls_result fail_openssl(struct cla_tls *tls)
{
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_reason_error_string(code), *detail = "";
    long verified = SSL_get_verify_result(tls->ssl);

    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
        detail = X509_verify_cert_error_string(verified);
    return fail(tls, reason != NULL ? reason : "TLS failed", detail);
}

static enum cla_tls_result why_stopped(struct cla_tls *tls, int rc)
{
    switch (SSL_get_error(tls->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return CLA_TLS_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return CLA_TLS_ENDED;
    default:
        return fail_openssl(tls);
    }
}

/* --- Reading. --- */

void cla_tls_feed(struct cla_tls *tls, struct cla_slice ciphertext)
{
    tls->in = ciphertext;
}

/* TLS begins with a record of the handshake, whose type is no letter; HTTP with a method in
 * capitals, or with its name. */
static bool is_text(struct cla_slice bytes)
{
    return bytes.p[0] >= 'A' && bytes.p[0] <= 'Z';
}

static enum cla_tls_result meet_text(struct cla_tls *tls)
{
    if (tls->client)
        return fail(tls, "the server answers in plain text: it does not speak TLS on this port",
                    "");
    fail(tls, "plain text on a port for TLS", "");
    return CLA_TLS_CLEARTEXT;
}

static enum cla_tls_result shake_hands(struct cla_tls *tls)
{
    int rc;

    if (!tls->begun && tls->in.n > 0) {
        tls->begun = true;
        if (is_text(tls->in))
            return meet_text(tls);
    }
    rc = SSL_do_handshake(tls->ssl);
    if (rc != 1)
        return why_stopped(tls, rc);
    tls->secured = true;
    return CLA_TLS_SECURED;
}

static enum cla_tls_result decrypt(struct cla_tls *tls, char *to, size_t size, size_t *n)
{
    while (*n < size) {
        size_t more = 0;
        int rc = SSL_read_ex(tls->ssl, to + *n, size - *n, &more);

        if (rc != 1)
            return why_stopped(tls, rc);
        *n += more;
    }
    return CLA_TLS_FULL;
}

/* With the handshake over, reading has nothing to say but alerts of failure, and one: that there
 * is no renegotiation. Who asks for it again and again would have it said as often. */
static enum cla_tls_result read_records(struct cla_tls *tls, char *to, size_t size, size_t *n)
{
    size_t before = tls->out->n;
    enum cla_tls_result result = decrypt(tls, to, size, n);

    if (tls->out->n > before && result != CLA_TLS_FAILED)
        return fail(tls, "the peer asked for a renegotiation", "");
    return result;
}

enum cla_tls_result cla_tls_read(struct cla_tls *tls, char *to, size_t size, size_t *n,
                                 struct cla_buf *out)
{
    enum cla_tls_result result;

    CLA_PRE(!tls->failed);
    *n = 0;
    tls->out = out;
    ERR_clear_error();
    result = tls->secured ? read_records(tls, to, size, n) : shake_hands(tls);
    tls->out = NULL;
    return result;
}

/* --- Writing. --- */

/* What encrypting adds to each record of at most 16 KiB, and more. */
#define OVERHEAD_BYTES 64
#define RECORD_BYTES 16384

int cla_tls_write(struct cla_tls *tls, struct cla_slice plaintext, struct cla_buf *out)
{
    size_t n;
    int rc = 1;

    CLA_PRE(tls->secured);
    if (tls->failed)
        return -CLA_EPROTO;
    if (cla_buf_reserve(out, plaintext.n + (plaintext.n / RECORD_BYTES + 1) * OVERHEAD_BYTES) != 0)
        return -CLA_ENOMEM;
    tls->out = out;
    ERR_clear_error();
    if (plaintext.n > 0)
        rc = SSL_write_ex(tls->ssl, plaintext.p, plaintext.n, &n);
    tls->out = NULL;
    if (rc == 1)
        return 0;
    fail_openssl(tls);
    return -CLA_EPROTO;
}

void cla_tls_close(struct cla_tls *tls, struct cla_buf *out)
{
    if (tls->failed || !tls->secured)
        return;
    tls->out = out;
    ERR_clear_error();
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
    tls->out = NULL;
}

/* --- What is known. --- */

bool cla_tls_is_secured(const struct cla_tls *tls)
{
    return tls->secured;
}

const char *cla_tls_error(const struct cla_tls *tls)
{
    if (tls->error != NULL)
        return tls->error;
    return tls->failed ? "TLS failed" : "";
}

/* RFC 2253, but with UTF-8 as it is; control characters and NULs are escaped. */
static bool print_name(BIO *to, const X509_NAME *name)
{
    return X509_NAME_print_ex(to, name, 0,
                              XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0 &&
           BIO_write(to, "", 1) == 1;
}

static bool print_serial(BIO *to, const ASN1_INTEGER *serial)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
    char *text = number != NULL ? BN_bn2hex(number) : NULL;
    bool done = text != NULL && BIO_write(to, text, (int)strlen(text) + 1) > 0;

    OPENSSL_free(text);
    BN_free(number);
    return done;
}

static bool print_fingerprint(BIO *to, const X509 *cert)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    bool done = X509_digest(cert, EVP_sha256(), digest, &n) == 1;

    for (unsigned i = 0; done && i < n; i++)
        done = BIO_printf(to, "%02x", digest[i]) == 2;
    return done && BIO_write(to, "", 1) == 1;
}

/* Four texts, one behind the other, each with its end. */
static struct cla_certificate *describe(const X509 *cert, BIO *texts)
{
    const char *p[4];

    if (!print_name(texts, X509_get_subject_name(cert)) ||
        !print_name(texts, X509_get_issuer_name(cert)) ||
        !print_serial(texts, X509_get0_serialNumber(cert)) || !print_fingerprint(texts, cert))
        return NULL;
    BIO_get_mem_data(texts, &p[0]);
    for (int i = 1; i < 4; i++)
        p[i] = p[i - 1] + strlen(p[i - 1]) + 1;
    return cla_certificate_new(p[0], p[1], p[2], p[3]);
}

struct cla_certificate *cla_tls_peer_certificate(const struct cla_tls *tls)
{
    const X509 *cert = SSL_get0_peer_certificate(tls->ssl);
    struct cla_certificate *certificate = NULL;
    BIO *texts;

    if (cert == NULL || SSL_get_verify_result(tls->ssl) != X509_V_OK)
        return NULL;
    texts = BIO_new(BIO_s_mem());
    if (texts != NULL)
        certificate = describe(cert, texts);
    BIO_free(texts);
    ERR_clear_error();
    return certificate;
}
