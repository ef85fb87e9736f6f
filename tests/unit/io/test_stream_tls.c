/* Streams with TLS over a pair of connected TCP sockets: a server's, and a client's or a bare
 * socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "stream_tls_fixture.h"

/* --- Happy paths. --- */

static void text_goes_both_ways(void **state)
{
    struct fixture *f = *state;

    connect_both(f);
    write_text(&f->client, "ping");
    turns(f);
    require_got(&f->server, "ping");
    write_text(&f->server, "pong");
    turns(f);
    require_got(&f->client, "pong");
    assert_int_equal(f->server.stream.queued, 0);
    assert_string_equal(cla_stream_error(&f->server.stream), "");
}

static void text_written_before_the_handshake_is_over_waits_for_it(void **state)
{
    struct fixture *f = *state;

    secure_server(f, &tls_events);
    secure_client(f, "localhost");
    assert_true(cla_stream_handshaking(&f->client.stream));
    write_text(&f->client, "early ");
    write_text(&f->client, "bird");
    write_text(&f->server, "worm");
    assert_int_equal(f->client.stream.queued, 10);
    assert_int_equal(cla_stream_unwritten(&f->server.stream), 4);
    turns(f);
    require_got(&f->server, "early bird");
    require_got(&f->client, "worm");
    assert_int_equal(f->client.stream.queued, 0);
    assert_int_equal(f->client.drains, 1);
    assert_int_equal(f->server.drains, 1);
}

static void a_slow_reader_gets_all_of_it_later(void **state)
{
    struct fixture *f = *state;
    size_t total;

    connect_both(f);
    cla_stream_pause(&f->client.stream);
    total = fill(&f->server);
    assert_true(cla_stream_unwritten(&f->server.stream) > 0);
    cla_stream_read(&f->client.stream);
    while (f->client.got.n < total)
        cla_loop_step(&f->loop, true);
    turns(f);
    assert_int_equal(f->client.got.n, total);
    assert_int_equal(f->server.drains, 1);
    assert_int_equal(f->server.stream.queued, 0);
}

static void the_peer_is_known_by_its_certificate(void **state)
{
    struct fixture *f = *state;
    struct cla_certificate *certificate;

    connect_both(f);
    certificate = cla_stream_certificate(&f->server.stream);
    assert_string_equal(certificate->serial, "C11E");
    cla_certificate_put(&certificate);
}

static void a_plain_stream_has_no_certificate_and_no_error(void **state)
{
    struct fixture *f = *state;

    assert_null(cla_stream_certificate(&f->server.stream));
    assert_string_equal(cla_stream_error(&f->server.stream), "");
    assert_false(cla_stream_handshaking(&f->server.stream));
}

/* --- Ends. --- */

static void shutdown_is_an_orderly_end_and_the_other_half_goes_on(void **state)
{
    struct fixture *f = *state;

    connect_both(f);
    write_text(&f->client, "bye");
    cla_stream_shutdown(&f->client.stream);
    turns(f);
    require_got(&f->server, "bye");
    require_end(&f->server, 0);
    write_text(&f->server, "well, bye");
    turns(f);
    require_got(&f->client, "well, bye");
}

static void close_says_goodbye(void **state)
{
    struct fixture *f = *state;

    connect_both(f);
    cla_stream_close(&f->client.stream);
    turns(f);
    require_end(&f->server, 0);
}

static void close_with_bytes_unwritten_is_no_orderly_end(void **state)
{
    struct fixture *f = *state;

    connect_both(f);
    cla_stream_pause(&f->client.stream);
    fill(&f->server);
    cla_stream_close(&f->server.stream);
    turns(f);
    f->client.ends = 0; /* what the pause saw */
    f->client.stream.ended = f->client.stream.failed = false;
    cla_stream_read(&f->client.stream);
    turns(f);
    require_end(&f->client, -CLA_EIO);
}

/* The client's socket, to be used behind the back of its stream. */
static int socket_of(struct side *side)
{
    int fd;

    assert_int_equal(uv_fileno((uv_handle_t *)&side->stream.tcp, &fd), 0);
    return fd;
}

static void fin_without_close_notify_is_a_failure(void **state)
{
    struct fixture *f = *state;

    connect_both(f);
    shutdown(socket_of(&f->client), SHUT_WR);
    turns(f);
    require_end(&f->server, -CLA_EIO);
}

static void reset_is_a_failure(void **state)
{
    struct fixture *f = *state;
    const struct linger none = {.l_onoff = 1, .l_linger = 0};

    connect_both(f);
    setsockopt(socket_of(&f->client), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    f->client.stream.failed = true; /* so that it says nothing before */
    cla_stream_close(&f->client.stream);
    turns(f);
    require_end(&f->server, -CLA_EIO);
}

static void an_end_in_the_handshake_is_a_failure(void **state)
{
    struct fixture *f = *state;

    secure_server(f, &tls_events);
    close(f->fd);
    f->fd = -1;
    turns(f);
    require_end(&f->server, -CLA_EIO);
}

static void a_paused_stream_sees_the_end_behind_unread_bytes(void **state)
{
    struct fixture *f = *state;

    connect_both(f);
    cla_stream_pause(&f->server.stream);
    write_text(&f->client, "unread");
    cla_stream_close(&f->client.stream);
    turns(f);
    require_end(&f->server, 0);
    assert_int_equal(f->server.got.n, 0);
}

static void a_paused_stream_sees_a_reset(void **state)
{
    struct fixture *f = *state;
    const struct linger none = {.l_onoff = 1, .l_linger = 0};

    connect_both(f);
    cla_stream_pause(&f->server.stream);
    write_text(&f->client, "unread");
    setsockopt(socket_of(&f->client), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    cla_stream_close(&f->client.stream);
    turns(f);
    require_end(&f->server, -CLA_EIO);
}

static void pausing_and_reading_loses_nothing(void **state)
{
    struct fixture *f = *state;

    connect_both(f);
    cla_stream_pause(&f->server.stream);
    write_text(&f->client, "one ");
    turns(f);
    assert_int_equal(f->server.got.n, 0);
    cla_stream_read(&f->server.stream);
    write_text(&f->client, "two");
    turns(f);
    require_got(&f->server, "one two");
}

/* --- Failures of TLS. --- */

static void a_client_without_a_cipher_in_common_is_told_and_cut(void **state)
{
    struct fixture *f = *state;
    char alert[64];
    /* A ClientHello of TLS 1.1, without extensions. */
    char hello[] = "\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x02"
                   "01234567890123456789012345678901\x00\x00\x02\x00\x2f\x01\x00";

    secure_server(f, &tls_events);
    assert_int_equal(write(f->fd, hello, sizeof hello - 1), sizeof hello - 1);
    turns(f);
    require_end(&f->server, -CLA_EPROTO);
    assert_string_equal(cla_stream_error(&f->server.stream), "unsupported protocol");
    assert_int_equal(read(f->fd, alert, sizeof alert), 7);
    assert_int_equal(alert[0], 0x15);
    write_text(&f->server, "in vain");
    assert_int_equal(f->server.ends, 1);
}

static void a_server_for_another_name_fails_the_client(void **state)
{
    struct fixture *f = *state;

    secure_server(f, &tls_events);
    secure_client(f, "elsewhere.test");
    write_text(&f->client, "secret");
    turns(f);
    require_end(&f->client, -CLA_EPROTO);
    assert_non_null(strstr(cla_stream_error(&f->client.stream), "hostname mismatch"));
    assert_int_equal(f->server.got.n, 0);
    assert_int_equal(f->server.end, -CLA_EPROTO);
}

static void garbage_behind_the_handshake_fails(void **state)
{
    struct fixture *f = *state;

    connect_both(f);
    assert_int_equal(write(socket_of(&f->client), "garbage of some length", 22), 22);
    turns(f);
    require_end(&f->server, -CLA_EPROTO);
    assert_string_not_equal(cla_stream_error(&f->server.stream), "");
}

static void plain_text_makes_the_stream_plain(void **state)
{
    struct fixture *f = *state;
    char text[16] = "";

    secure_server(f, &tls_events);
    write_text(&f->server, "held, and dropped");
    assert_int_equal(write(f->fd, "GET / HTTP/1.1\r\n", 16), 16);
    turns(f);
    assert_int_equal(f->server.cleartexts, 1);
    assert_int_equal(f->server.stream.queued, 0);
    assert_int_equal(f->server.ends, 0);
    write_text(&f->server, "HTTP/1.1 400 ");
    assert_int_equal(read(f->fd, text, sizeof text - 1), 13);
    assert_string_equal(text, "HTTP/1.1 400 ");
    assert_int_equal(write(f->fd, "more", 4), 4);
    turns(f);
    require_got(&f->server, "more");
}

static void plain_text_is_a_failure_where_nobody_asks_for_it(void **state)
{
    static const struct cla_stream_tls_events none = {NULL, NULL};
    struct fixture *f = *state;

    secure_server(f, &none);
    assert_int_equal(write(f->fd, "GET / HTTP/1.1\r\n", 16), 16);
    turns(f);
    require_end(&f->server, -CLA_EPROTO);
    assert_non_null(strstr(cla_stream_error(&f->server.stream), "plain text"));
}

/* --- Closing inside callbacks. --- */

static void closing_inside_any_callback_is_fine(void **state)
{
    static const char *const callbacks[] = {"on_secured", "on_read", "on_end", "on_cleartext"};
    struct fixture *f = *state;

    for (size_t i = 0; i < CLA_ARRAY_LEN(callbacks); i++) {
        int fd;

        if (i > 0) {
            close_side(f, &f->server);
            close_side(f, &f->client);
            if (f->fd >= 0)
                close(f->fd);
            tcp_pair(&fd, &f->fd);
            open_side(f, &f->server, fd);
        }
        f->server.close_in = callbacks[i];
        secure_server(f, &tls_events);
        if (strcmp(callbacks[i], "on_cleartext") == 0) {
            assert_int_equal(write(f->fd, "GET / HTTP/1.1\r\n", 16), 16);
        } else {
            secure_client(f, "localhost");
            write_text(&f->client, "one");
            turns(f);
            cla_stream_shutdown(&f->client.stream);
        }
        turns(f);
        assert_int_equal(f->server.closes, 1);
    }
}

/* --- No memory. --- */

static void without_memory_the_stream_is_not_secured(void **state)
{
    struct fixture *f = *state;
    struct cla_tls *tls;

    for (long n = 0; n < 2; n++) {
        assert_int_equal(cla_tls_new_server(&tls, f->server_context), 0);
        mem_fault_after(n);
        assert_int_equal(cla_stream_secure(&f->server.stream, tls, &tls_events), -CLA_ENOMEM);
        assert_null(f->server.stream.tls);
        cla_mem_free(f->loop.plain_buf);
        f->loop.plain_buf = NULL;
    }
}

static void without_memory_to_hold_text_the_stream_ends(void **state)
{
    struct fixture *f = *state;
    struct cla_buf bytes = {0};

    secure_server(f, &tls_events);
    assert_int_equal(cla_buf_add(&bytes, CLA_LIT("early")), 0);
    mem_fault_after(0);
    cla_stream_write(&f->server.stream, &bytes);
    require_end(&f->server, -CLA_ENOMEM);
    assert_int_equal(f->server.stream.queued, 0);
    cla_buf_fini(&bytes);
}

static void without_memory_to_encrypt_the_stream_ends(void **state)
{
    struct fixture *f = *state;
    struct cla_buf bytes = {0};

    connect_both(f);
    cla_buf_fini(&f->loop.cipher_buf);
    assert_int_equal(cla_buf_add(&bytes, CLA_LIT("reply")), 0);
    mem_fault_after(0);
    cla_stream_write(&f->server.stream, &bytes);
    require_end(&f->server, -CLA_ENOMEM);
    cla_buf_fini(&bytes);
}

/* --- Memory. --- */

static size_t openssl_bytes; /* that OpenSSL has allocated */

static void *counted_realloc(void *block, size_t bytes, const char *file, int line)
{
    size_t before = malloc_usable_size(block);

    block = realloc(block, bytes);
    openssl_bytes += malloc_usable_size(block) - before;
    return block;
}

static void *counted_malloc(size_t bytes, const char *file, int line)
{
    return counted_realloc(NULL, bytes, file, line);
}

static void counted_free(void *block, const char *file, int line)
{
    openssl_bytes -= malloc_usable_size(block);
    free(block);
}

/* A record alone takes 16 KiB each way. */
#define QUIET_BYTES_MAX 15500

static void a_quiet_connection_holds_no_buffers(void **state)
{
    struct fixture *f = *state;
    size_t before, bytes;
    int fd;

    cla_tls_context_put(f->client_context);
    f->client_context = tls_client(NULL);
    connect_both(f); /* what all connections share is there from now on */
    close_side(f, &f->client);
    close_side(f, &f->server);
    before = openssl_bytes;
    tcp_pair(&fd, &f->fd);
    open_side(f, &f->server, fd);
    connect_both(f);
    write_text(&f->client, "hello");
    turns(f);
    require_got(&f->server, "hello");
    cla_stream_pause(&f->server.stream); /* so that it is as it is while nothing comes */
    close_side(f, &f->client);
    bytes = openssl_bytes - before;
    print_message("a quiet TLS connection: %zu bytes of OpenSSL's\n", bytes);
    assert_in_range(bytes, 1, QUIET_BYTES_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(text_goes_both_ways),
        TEST(text_written_before_the_handshake_is_over_waits_for_it),
        TEST(a_slow_reader_gets_all_of_it_later),
        TEST(the_peer_is_known_by_its_certificate),
        TEST(a_plain_stream_has_no_certificate_and_no_error),
        TEST(shutdown_is_an_orderly_end_and_the_other_half_goes_on),
        TEST(close_says_goodbye),
        TEST(close_with_bytes_unwritten_is_no_orderly_end),
        TEST(fin_without_close_notify_is_a_failure),
        TEST(reset_is_a_failure),
        TEST(an_end_in_the_handshake_is_a_failure),
        TEST(a_paused_stream_sees_the_end_behind_unread_bytes),
        TEST(a_paused_stream_sees_a_reset),
        TEST(pausing_and_reading_loses_nothing),
        TEST(a_client_without_a_cipher_in_common_is_told_and_cut),
        TEST(a_server_for_another_name_fails_the_client),
        TEST(garbage_behind_the_handshake_fails),
        TEST(plain_text_makes_the_stream_plain),
        TEST(plain_text_is_a_failure_where_nobody_asks_for_it),
        TEST(closing_inside_any_callback_is_fine),
        TEST(without_memory_the_stream_is_not_secured),
        TEST(without_memory_to_hold_text_the_stream_ends),
        TEST(without_memory_to_encrypt_the_stream_ends),
        TEST(a_quiet_connection_holds_no_buffers),
    };

    signal(SIGPIPE, SIG_IGN); /* as the program does */
    if (CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) != 1)
        return 1;
    return cmocka_run_group_tests(tests, tls_make_certificates, tls_remove_certificates);
}
