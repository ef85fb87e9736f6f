/* The TLS engine: two of them, or one and OpenSSL with other rules, back to back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "base/error.h"
#include "tls_pair.h"

/* --- Happy paths. --- */

static void text_arrives_both_ways(void **state)
{
    struct pair p;

    open_usual_pair(&p);
    run(&p);
    require_secured(&p);
    write_text(&p.client, "ping");
    write_text(&p.server, "pong");
    assert_null(memmem(p.client.out.p, p.client.out.n, "ping", 4));
    run(&p);
    require_got(&p.server, "ping");
    require_got(&p.client, "pong");
    close_pair(&p);
}

static void a_byte_at_a_time_is_as_good(void **state)
{
    struct pair p;

    open_usual_pair(&p);
    run_in_steps(&p, 1);
    require_secured(&p);
    write_text(&p.client, "ping");
    run_in_steps(&p, 1);
    require_got(&p.server, "ping");
    close_pair(&p);
}

static void many_records_arrive_whole(void **state)
{
    struct cla_buf text = {0};
    struct pair p;

    open_usual_pair(&p);
    run(&p);
    for (int i = 0; i < 30000; i++)
        assert_int_equal(cla_buf_add_number(&text, (uint64_t)i), 0);
    assert_int_equal(cla_tls_write(p.server.tls, cla_buf_slice(&text), &p.server.out), 0);
    run_in_steps(&p, 65536);
    assert_int_equal(p.client.got.n, text.n);
    assert_memory_equal(p.client.got.p, text.p, text.n);
    cla_buf_fini(&text);
    close_pair(&p);
}

static void writing_nothing_sends_nothing(void **state)
{
    struct pair p;

    open_usual_pair(&p);
    run(&p);
    write_text(&p.server, "");
    assert_int_equal(p.server.out.n, 0);
    close_pair(&p);
}

static void an_address_is_as_good_as_a_name(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1", "localhost"};

    for (size_t i = 0; i < CLA_ARRAY_LEN(hosts); i++) {
        struct pair p;

        open_pair(&p, tls_server(CLA_TLS_CLIENT_NONE), tls_client(NULL), hosts[i]);
        run(&p);
        require_secured(&p);
        close_pair(&p);
    }
}

static void a_host_that_can_be_no_name_is_refused(void **state)
{
    struct cla_tls_context *context = tls_client(NULL);
    char name[300];
    struct cla_tls *tls;

    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(cla_tls_new_client(&tls, context, name), -CLA_EINVAL);
    cla_tls_context_put(context);
}

/* --- Ends. --- */

static void close_notify_is_an_orderly_end_behind_the_text(void **state)
{
    struct pair p;

    open_usual_pair(&p);
    run(&p);
    write_text(&p.client, "bye");
    cla_tls_close(p.client.tls, &p.client.out);
    run(&p);
    require_got(&p.server, "bye");
    assert_int_equal(p.server.result, CLA_TLS_ENDED);
    write_text(&p.server, "still here"); /* half of it goes on */
    cla_tls_close(p.server.tls, &p.server.out);
    run(&p);
    require_got(&p.client, "still here");
    assert_int_equal(p.client.result, CLA_TLS_ENDED);
    close_pair(&p);
}

static void closing_in_the_handshake_says_nothing(void **state)
{
    struct pair p;

    open_usual_pair(&p);
    cla_tls_close(p.server.tls, &p.server.out);
    assert_int_equal(p.server.out.n, 0);
    close_pair(&p);
}

static void a_changed_byte_is_noticed(void **state)
{
    struct pair p;

    open_usual_pair(&p);
    run(&p);
    write_text(&p.client, "ping");
    p.client.out.p[p.client.out.n - 1] ^= 1;
    run(&p);
    require_failed(&p.server, "bad");
    assert_int_equal(p.server.got.n, 0);
    assert_int_equal(p.client.result, CLA_TLS_FAILED); /* by the alert */
    assert_int_equal(cla_tls_write(p.server.tls, CLA_LIT("x"), &p.server.out), -CLA_EPROTO);
    close_pair(&p);
}

static void plain_http_is_told_from_tls(void **state)
{
    struct cla_tls_context *context = tls_server(CLA_TLS_CLIENT_NONE);
    struct end server = {0};

    assert_int_equal(cla_tls_new_server(&server.tls, context), 0);
    assert_int_equal(feed(&server, cla_slice(NULL, 0)), CLA_TLS_MORE);
    assert_int_equal(feed(&server, CLA_LIT("G")), CLA_TLS_CLEARTEXT);
    assert_int_equal(server.out.n, 0);
    close_end(&server);
    cla_tls_context_put(context);
}

static void other_bytes_are_a_failure_in_words(void **state)
{
    struct cla_tls_context *context = tls_server(CLA_TLS_CLIENT_NONE);
    struct end server = {0};

    assert_int_equal(cla_tls_new_server(&server.tls, context), 0);
    feed(&server, CLA_LIT("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"));
    require_failed(&server, "wrong version number");
    close_end(&server);
    cla_tls_context_put(context);
}

static void a_client_says_that_the_server_speaks_plain_text(void **state)
{
    struct cla_tls_context *context = tls_client(NULL);
    struct end client = {0};

    assert_int_equal(cla_tls_new_client(&client.tls, context, "localhost"), 0);
    feed(&client, cla_slice(NULL, 0));
    feed(&client, CLA_LIT("HTTP/1.1 400 Bad Request\r\n"));
    require_failed(&client, "does not speak TLS");
    close_end(&client);
    cla_tls_context_put(context);
}

/* --- Who is who. --- */

static void a_server_for_another_name_is_refused(void **state)
{
    struct pair p;

    open_pair(&p, tls_server(CLA_TLS_CLIENT_NONE), tls_client(NULL), "elsewhere.test");
    run(&p);
    require_failed(&p.client, "certificate verify failed: hostname mismatch");
    require_failed(&p.server, "alert");
    close_pair(&p);
}

static void a_server_that_nobody_vouches_for_is_refused_unless_insecure(void **state)
{
    struct cla_tls_client_files files = {.ca = {"--cacert", tls_path("stranger.pem")}};

    for (int insecure = 0; insecure < 2; insecure++) {
        struct cla_tls_context *client;
        struct cla_tls_error error;
        struct pair p;

        files.insecure = insecure;
        assert_int_equal(cla_tls_context_new_client(&client, &files, &error), 0);
        open_pair(&p, tls_server(CLA_TLS_CLIENT_NONE), client, "elsewhere.test");
        run(&p);
        if (insecure)
            require_secured(&p);
        else
            require_failed(&p.client, "certificate verify failed");
        close_pair(&p);
    }
}

struct identity_case {
    enum cla_tls_client_auth auth;
    const char *client; /* its certificate; NULL: none */
    bool taken, named;
};

static void require_identity(const struct pair *p, bool named)
{
    struct cla_certificate *certificate = cla_tls_peer_certificate(p->server.tls);

    assert_int_equal(certificate != NULL, named);
    cla_certificate_put(&certificate);
}

static void clients_are_let_in_by_the_mode_and_their_certificate(void **state)
{
    static const struct identity_case cases[] = {
        {CLA_TLS_CLIENT_NONE, NULL, true, false},
        {CLA_TLS_CLIENT_NONE, "client", true, false},
        {CLA_TLS_CLIENT_OPTIONAL, NULL, true, false},
        {CLA_TLS_CLIENT_OPTIONAL, "client", true, true},
        {CLA_TLS_CLIENT_OPTIONAL, "stranger", false, false},
        {CLA_TLS_CLIENT_REQUIRE, NULL, false, false},
        {CLA_TLS_CLIENT_REQUIRE, "client", true, true},
        {CLA_TLS_CLIENT_REQUIRE, "stranger", false, false},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct pair p;

        open_pair(&p, tls_server(cases[i].auth), tls_client(cases[i].client), "localhost");
        run(&p);
        assert_int_equal(p.server.result != CLA_TLS_FAILED, cases[i].taken);
        assert_int_equal(p.client.result != CLA_TLS_FAILED, cases[i].taken);
        if (cases[i].taken)
            require_identity(&p, cases[i].named);
        close_pair(&p);
    }
}

static void a_client_certificate_is_told_in_texts(void **state)
{
    struct cla_certificate *certificate, *more;
    struct pair p;

    open_pair(&p, tls_server(CLA_TLS_CLIENT_REQUIRE), tls_client("client"), "localhost");
    run(&p);
    certificate = cla_tls_peer_certificate(p.server.tls);
    assert_string_equal(certificate->subject, "CN=Zoë,O=Testers\\, Inc.");
    assert_string_equal(certificate->issuer, "CN=Test Authority");
    assert_string_equal(certificate->serial, "C11E");
    assert_int_equal(strlen(certificate->fingerprint), 64);
    assert_int_equal(strspn(certificate->fingerprint, "0123456789abcdef"), 64);
    more = cla_certificate_ref(certificate);
    assert_ptr_equal(more, certificate);
    cla_certificate_put(&more);
    assert_null(more);
    cla_certificate_put(&certificate);
    close_pair(&p);
}

/* --- The rules. --- */

struct rule_case {
    const char *what;
    void (*set)(SSL_CTX *ssl);
    bool taken;
};

static void offer_1_1(SSL_CTX *ssl)
{
    SSL_CTX_set_security_level(ssl, 0);
    SSL_CTX_set_min_proto_version(ssl, TLS1_1_VERSION);
    SSL_CTX_set_max_proto_version(ssl, TLS1_1_VERSION);
    SSL_CTX_set_cipher_list(ssl, "ALL:@SECLEVEL=0");
}

static void offer_1_2(SSL_CTX *ssl)
{
    SSL_CTX_set_max_proto_version(ssl, TLS1_2_VERSION);
}

static void offer_cbc(SSL_CTX *ssl)
{
    offer_1_2(ssl);
    SSL_CTX_set_cipher_list(ssl, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA");
}

static void offer_h2(SSL_CTX *ssl)
{
    SSL_CTX_set_alpn_protos(ssl, (const unsigned char *)"\x02h2", 3);
}

static void offer_h2_and_http(SSL_CTX *ssl)
{
    SSL_CTX_set_alpn_protos(ssl, (const unsigned char *)"\x02h2\x08http/1.1", 12);
}

static void offer_no_protocol(SSL_CTX *ssl)
{
    SSL_CTX_set_alpn_protos(ssl, NULL, 0);
}

static void offers_are_taken_by_the_rules(void **state)
{
    static const struct rule_case cases[] = {
        {"TLS 1.1", offer_1_1, false},
        {"TLS 1.2", offer_1_2, true},
        {"TLS 1.2 with CBC only", offer_cbc, false},
        {"h2 only", offer_h2, false},
        {"h2 and http/1.1", offer_h2_and_http, true},
        {"no ALPN", offer_no_protocol, true},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_tls_context *client = tls_client(NULL);
        struct pair p;

        cases[i].set(cla_tls_context_ssl(client));
        open_pair(&p, tls_server(CLA_TLS_CLIENT_NONE), client, "localhost");
        run(&p);
        if ((p.server.result != CLA_TLS_FAILED) != cases[i].taken)
            fail_msg("%s: %s", cases[i].what, cla_tls_error(p.server.tls));
        close_pair(&p);
    }
}

static void a_client_that_wants_other_protocols_is_told_so(void **state)
{
    struct cla_tls_context *client = tls_client(NULL);
    struct pair p;

    offer_h2(cla_tls_context_ssl(client));
    open_pair(&p, tls_server(CLA_TLS_CLIENT_NONE), client, "localhost");
    run(&p);
    require_failed(&p.client, "no application protocol");
    close_pair(&p);
}

/* A peer of OpenSSL's own, whose SSL the test may use: over BIOs in memory. */
static SSL *open_peer(SSL_CTX *context)
{
    SSL *ssl = SSL_new(context);

    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    return ssl;
}

/* Carries what is under way between the two. */
static void exchange(SSL *ssl, struct end *server)
{
    char bytes[ROOM];
    int n;

    while ((n = BIO_read(SSL_get_wbio(ssl), bytes, sizeof bytes)) > 0)
        feed(server, cla_slice(bytes, (size_t)n));
    if (server->out.n > 0)
        BIO_write(SSL_get_rbio(ssl), server->out.p, (int)server->out.n);
    server->out.n = 0;
}

static void a_client_that_asks_for_renegotiation_is_refused(void **state)
{
    struct cla_tls_context *context = tls_server(CLA_TLS_CLIENT_NONE);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    struct end server = {0};
    SSL *ssl;

    offer_1_2(client);
    ssl = open_peer(client);
    assert_int_equal(cla_tls_new_server(&server.tls, context), 0);
    while (SSL_do_handshake(ssl) != 1)
        exchange(ssl, &server);
    assert_int_equal(SSL_renegotiate(ssl), 1);
    SSL_do_handshake(ssl);
    exchange(ssl, &server);
    require_failed(&server, "renegotiation");
    SSL_free(ssl);
    SSL_CTX_free(client);
    close_end(&server);
    cla_tls_context_put(context);
}

static void keys_may_be_updated(void **state)
{
    struct cla_tls_context *context = tls_server(CLA_TLS_CLIENT_NONE);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    SSL *ssl = open_peer(client);
    struct end server = {0};
    char text[8];

    assert_int_equal(cla_tls_new_server(&server.tls, context), 0);
    while (SSL_do_handshake(ssl) != 1)
        exchange(ssl, &server);
    assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_write(ssl, "ping", 4), 4);
    exchange(ssl, &server);
    require_got(&server, "ping");
    write_text(&server, "pong");
    exchange(ssl, &server);
    assert_int_equal(SSL_read(ssl, text, sizeof text), 4);
    SSL_free(ssl);
    SSL_CTX_free(client);
    close_end(&server);
    cla_tls_context_put(context);
}

/* --- Contexts. --- */

struct file_case {
    const char *cert, *key, *client_ca;
    const char *said[3];
};

static void files_that_do_not_serve_are_named_with_a_remedy(void **state)
{
    static const struct file_case cases[] = {
        {"", "server.key", "ca.pem", {"tls_cert", "not set"}},
        {"server.pem", "", "ca.pem", {"tls_key", "not set"}},
        {"server.pem", "server.key", "", {"tls_client_ca", "not set"}},
        {"none.pem", "server.key", "ca.pem", {"tls_cert '", "none.pem'", "No such file"}},
        {"server.pem", "none.key", "ca.pem", {"tls_key '", "none.key'", "No such file"}},
        {"server.pem", "server.key", "none.pem", {"tls_client_ca '", "No such file"}},
        {"server.key", "server.key", "ca.pem", {"tls_cert '", "server.key'", "PEM file"}},
        {"server.pem", "server.pem", "ca.pem", {"tls_key '", "server.pem'", "PEM file"}},
        {"server.pem", "server.key", "server.key", {"tls_client_ca '", "PEM file"}},
        {"server.pem", "second.key", "ca.pem", {"tls_key '", "second.key'", "not the key"}},
        {"server.pem", "locked.key", "ca.pem", {"tls_key '", "locked.key'", "passphrase"}},
        {"", "", "", {"tls_cert"}},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        const struct file_case *c = &cases[i];
        const struct cla_tls_server_files files = {
            .cert = {"tls_cert", c->cert[0] != '\0' ? tls_path(c->cert) : ""},
            .key = {"tls_key", c->key[0] != '\0' ? tls_path(c->key) : NULL},
            .client_ca = {"tls_client_ca", c->client_ca[0] != '\0' ? tls_path(c->client_ca) : ""},
            .client_auth = CLA_TLS_CLIENT_OPTIONAL,
        };
        struct cla_tls_context *context;
        struct cla_tls_error error;

        assert_int_equal(cla_tls_context_new_server(&context, &files, &error), -CLA_EINVAL);
        assert_null(context);
        for (size_t j = 0; j < CLA_ARRAY_LEN(c->said) && c->said[j] != NULL; j++) {
            if (strstr(error.text, c->said[j]) == NULL)
                fail_msg("'%s' is not in: %s", c->said[j], error.text);
        }
    }
    assert_int_equal(mem_fault.live, 0);
}

static void a_context_outlives_the_one_who_made_it(void **state)
{
    struct cla_tls_context *server = tls_server(CLA_TLS_CLIENT_NONE);
    struct pair p;

    open_pair(&p, cla_tls_context_ref(server), tls_client(NULL), "localhost");
    cla_tls_context_put(server);
    run(&p);
    require_secured(&p);
    close_pair(&p);
}

/* --- No memory. --- */

static void each_allocation_may_fail(void **state)
{
    const struct cla_tls_server_files files = tls_server_files(CLA_TLS_CLIENT_NONE);
    struct cla_tls_context *context;
    struct cla_tls_error error;
    struct cla_tls *tls;

    mem_fault_after(0);
    assert_int_equal(cla_tls_context_new_server(&context, &files, &error), -CLA_ENOMEM);
    assert_string_equal(error.text, "out of memory");
    context = tls_server(CLA_TLS_CLIENT_NONE);
    mem_fault_after(0);
    assert_int_equal(cla_tls_new_server(&tls, context), -CLA_ENOMEM);
    mem_fault_after(0);
    assert_int_equal(cla_tls_new_client(&tls, context, "localhost"), -CLA_ENOMEM);
    cla_tls_context_put(context);
    assert_int_equal(mem_fault.live, 0);
}

static void no_memory_for_what_is_sent_is_a_failure(void **state)
{
    struct pair p;

    open_usual_pair(&p);
    mem_fault_after(0); /* the client's first message */
    feed(&p.client, cla_slice(NULL, 0));
    assert_int_equal(p.client.result, CLA_TLS_FAILED);
    assert_string_not_equal(cla_tls_error(p.client.tls), "");
    close_pair(&p);

    open_usual_pair(&p);
    run(&p);
    cla_buf_fini(&p.server.out);
    mem_fault_after(0);
    assert_int_equal(cla_tls_write(p.server.tls, CLA_LIT("x"), &p.server.out), -CLA_ENOMEM);
    write_text(&p.server, "x"); /* nothing was lost */
    run(&p);
    require_got(&p.client, "x");
    close_pair(&p);
}

static void no_memory_for_a_certificate_is_none(void **state)
{
    struct pair p;

    open_pair(&p, tls_server(CLA_TLS_CLIENT_REQUIRE), tls_client("client"), "localhost");
    run(&p);
    mem_fault_after(0);
    assert_null(cla_tls_peer_certificate(p.server.tls));
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_arrives_both_ways),
        cmocka_unit_test(a_byte_at_a_time_is_as_good),
        cmocka_unit_test(many_records_arrive_whole),
        cmocka_unit_test(writing_nothing_sends_nothing),
        cmocka_unit_test(an_address_is_as_good_as_a_name),
        cmocka_unit_test(a_host_that_can_be_no_name_is_refused),
        cmocka_unit_test(close_notify_is_an_orderly_end_behind_the_text),
        cmocka_unit_test(closing_in_the_handshake_says_nothing),
        cmocka_unit_test(a_changed_byte_is_noticed),
        cmocka_unit_test(plain_http_is_told_from_tls),
        cmocka_unit_test(other_bytes_are_a_failure_in_words),
        cmocka_unit_test(a_client_says_that_the_server_speaks_plain_text),
        cmocka_unit_test(a_server_for_another_name_is_refused),
        cmocka_unit_test(a_server_that_nobody_vouches_for_is_refused_unless_insecure),
        cmocka_unit_test(clients_are_let_in_by_the_mode_and_their_certificate),
        cmocka_unit_test(a_client_certificate_is_told_in_texts),
        cmocka_unit_test(offers_are_taken_by_the_rules),
        cmocka_unit_test(a_client_that_wants_other_protocols_is_told_so),
        cmocka_unit_test(a_client_that_asks_for_renegotiation_is_refused),
        cmocka_unit_test(keys_may_be_updated),
        cmocka_unit_test(files_that_do_not_serve_are_named_with_a_remedy),
        cmocka_unit_test(a_context_outlives_the_one_who_made_it),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(no_memory_for_what_is_sent_is_a_failure),
        cmocka_unit_test(no_memory_for_a_certificate_is_none),
    };

    return cmocka_run_group_tests(tests, tls_make_certificates, tls_remove_certificates);
}
