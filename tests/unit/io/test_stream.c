/* Streams over a pair of connected TCP sockets: one end is the stream, the other is raw. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "io/stream.h"
#include "mem_fault.h"
#include "tcp_pair.h"

#define NO_END 1 /* no on_end yet */

struct fixture {
    struct cla_loop loop;
    struct cla_stream stream;
    int peer;
    struct cla_buf got;
    int end; /* of on_end, or NO_END */
    unsigned ends, drains, closes;
    bool close_on_end;
};

static struct fixture *fixture_of(struct cla_stream *stream)
{
    return CLA_CONTAINER(stream, struct fixture, stream);
}

static void on_read(struct cla_stream *stream, struct cla_slice bytes)
{
    assert_int_equal(cla_buf_add(&fixture_of(stream)->got, bytes), 0);
}

static void on_end(struct cla_stream *stream, int rc)
{
    struct fixture *f = fixture_of(stream);

    f->end = rc;
    f->ends++;
    if (f->close_on_end)
        cla_stream_close(stream);
}

static void on_drained(struct cla_stream *stream)
{
    fixture_of(stream)->drains++;
}

static void on_closed(struct cla_stream *stream)
{
    fixture_of(stream)->closes++;
}

static const struct cla_stream_events events = {on_read, on_end, on_drained, on_closed};

static struct fixture fixture;

static int open_pair(void **state)
{
    int fd;

    fixture = (struct fixture){.end = NO_END};
    *state = &fixture;
    assert_int_equal(cla_loop_init(&fixture.loop), 0);
    tcp_pair(&fd, &fixture.peer);
    return cla_stream_open(&fixture.stream, &fixture.loop, fd, &events);
}

/* The same over a unix socket. */
static int open_local_pair(void **state)
{
    int fds[2];

    fixture = (struct fixture){.end = NO_END};
    *state = &fixture;
    assert_int_equal(cla_loop_init(&fixture.loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    fixture.peer = fds[1];
    return cla_stream_open(&fixture.stream, &fixture.loop, fds[0], &events);
}

static int close_pair(void **state)
{
    struct fixture *f = *state;

    cla_stream_close(&f->stream);
    cla_stream_close(&f->stream);
    while (f->closes == 0)
        cla_loop_step(&f->loop, true);
    if (f->peer >= 0)
        close(f->peer);
    cla_loop_fini(&f->loop);
    cla_buf_fini(&f->got);
    assert_int_equal(f->closes, 1);
    assert_int_equal(mem_fault.live, 0);
    return 0;
}

static void drop_peer(struct fixture *f)
{
    close(f->peer);
    f->peer = -1;
}

static void peer_writes(struct fixture *f, const char *text)
{
    assert_int_equal(write(f->peer, text, strlen(text)), strlen(text));
}

/* Runs the loop until on_end. */
static void await_end(struct fixture *f)
{
    for (unsigned n = 0; f->ends == 0 && n < 1000; n++)
        cla_loop_step(&f->loop, true);
    assert_int_equal(f->ends, 1);
}

/* Fills the connection until bytes have to wait; returns how many were written in all. */
static size_t fill(struct fixture *f)
{
    struct cla_buf bytes = {0};
    size_t total = 0;

    while (f->stream.queued == 0) {
        assert_int_equal(cla_buf_reserve(&bytes, 100000), 0);
        memset(bytes.p, 'x', 100000);
        bytes.n = 100000;
        total += bytes.n;
        cla_stream_write(&f->stream, &bytes);
        assert_int_equal(bytes.n, 0);
    }
    assert_null(bytes.p); /* taken */
    return total;
}

static size_t peer_reads_all(struct fixture *f, size_t want)
{
    char text[65536];
    size_t total = 0;

    while (total < want) {
        ssize_t n = recv(f->peer, text, sizeof text, MSG_DONTWAIT);

        if (n > 0)
            total += (size_t)n;
        else
            cla_loop_step(&f->loop, false);
    }
    return total;
}

static void bytes_arrive_as_they_were_sent(void **state)
{
    struct fixture *f = *state;

    cla_stream_read(&f->stream);
    cla_stream_read(&f->stream);
    peer_writes(f, "hello");
    while (f->got.n < 5)
        cla_loop_step(&f->loop, true);
    assert_memory_equal(f->got.p, "hello", 5);
}

static void write_that_fits_keeps_its_memory(void **state)
{
    struct fixture *f = *state;
    struct cla_buf bytes = {0};
    char text[8];

    assert_int_equal(cla_buf_add(&bytes, CLA_LIT("reply")), 0);
    cla_stream_write(&f->stream, &bytes);
    assert_int_equal(bytes.n, 0);
    assert_non_null(bytes.p);
    assert_int_equal(f->stream.queued, 0);
    assert_int_equal(read(f->peer, text, sizeof text), 5);
    assert_int_equal(f->drains, 0); /* nothing was queued */
    cla_buf_fini(&bytes);
}

static void peer_that_does_not_read_is_written_to_later(void **state)
{
    struct fixture *f = *state;
    size_t total = fill(f);
    struct cla_buf more = {0};

    assert_int_equal(cla_buf_add(&more, CLA_LIT("the end")), 0);
    cla_stream_write(&f->stream, &more); /* behind what waits */
    total += 7;
    assert_int_equal(peer_reads_all(f, total), total);
    while (f->drains == 0)
        cla_loop_step(&f->loop, true);
    assert_int_equal(f->stream.queued, 0);
    assert_int_equal(f->drains, 1);
}

static void close_loses_what_was_not_written(void **state)
{
    struct fixture *f = *state;

    fill(f);
    cla_stream_close(&f->stream);
    while (f->closes == 0)
        cla_loop_step(&f->loop, true);
    assert_int_equal(f->ends, 0);
    assert_int_equal(f->drains, 0);
}

static void read_and_report_fin(struct fixture *f)
{
    cla_stream_read(&f->stream);
    shutdown(f->peer, SHUT_WR);
    await_end(f);
    assert_int_equal(f->end, 0);
}

static void orderly_end_is_reported_once(void **state)
{
    struct fixture *f = *state;

    read_and_report_fin(f);
    cla_stream_read(&f->stream);
    for (int i = 0; i < 3; i++)
        cla_loop_step(&f->loop, false);
    assert_int_equal(f->ends, 1);
}

static void can_write_after_the_peer_ended(void **state)
{
    struct fixture *f = *state;
    struct cla_buf bytes = {0};
    char text[8];

    read_and_report_fin(f);
    assert_int_equal(cla_buf_add(&bytes, CLA_LIT("reply")), 0);
    cla_stream_write(&f->stream, &bytes);
    assert_int_equal(read(f->peer, text, sizeof text), 5);
    cla_buf_fini(&bytes);
}

static void reset_is_an_error(void **state)
{
    struct fixture *f = *state;

    cla_stream_read(&f->stream);
    tcp_reset(f->peer);
    f->peer = -1;
    await_end(f);
    assert_int_equal(f->end, -CLA_EIO);
}

static void paused_stream_reads_nothing(void **state)
{
    struct fixture *f = *state;

    cla_stream_read(&f->stream);
    cla_stream_pause(&f->stream);
    cla_stream_pause(&f->stream);
    peer_writes(f, "unread");
    for (int i = 0; i < 3; i++)
        cla_loop_step(&f->loop, false);
    assert_int_equal(f->got.n, 0);
    assert_int_equal(f->ends, 0);
    cla_stream_read(&f->stream);
    while (f->got.n < 6)
        cla_loop_step(&f->loop, true);
    assert_memory_equal(f->got.p, "unread", 6);
}

static void paused_stream_sees_the_orderly_end_behind_unread_bytes(void **state)
{
    struct fixture *f = *state;

    cla_stream_read(&f->stream);
    cla_stream_pause(&f->stream);
    peer_writes(f, "unread");
    shutdown(f->peer, SHUT_WR);
    await_end(f);
    assert_int_equal(f->end, 0);
}

static void paused_stream_sees_a_reset(void **state)
{
    struct fixture *f = *state;

    f->close_on_end = true;
    cla_stream_read(&f->stream);
    cla_stream_pause(&f->stream);
    peer_writes(f, "unread");
    tcp_reset(f->peer);
    f->peer = -1;
    await_end(f);
    assert_int_equal(f->end, -CLA_EIO);
}

static void end_is_not_hidden_for_want_of_memory_to_watch_for_it(void **state)
{
    struct fixture *f = *state;

    cla_stream_read(&f->stream);
    mem_fault_after(0);
    cla_stream_pause(&f->stream);
    assert_true(mem_fault.failed);
    assert_int_equal(f->ends, 1);
    assert_int_equal(f->end, -CLA_ENOMEM);
}

static void pausing_and_reading_in_turn_leaks_no_watch(void **state)
{
    struct fixture *f = *state;
    int before = dup(0), after;

    close(before);
    cla_stream_read(&f->stream);
    for (int i = 0; i < 50; i++) {
        cla_stream_pause(&f->stream);
        cla_stream_read(&f->stream);
        cla_loop_step(&f->loop, false);
    }
    after = dup(0); /* the lowest free descriptor */
    close(after);
    assert_int_equal(after, before);
    assert_int_equal(f->stream.handles, 1);
}

static void close_inside_on_end_is_fine(void **state)
{
    struct fixture *f = *state;

    f->close_on_end = true;
    read_and_report_fin(f);
    while (f->closes == 0)
        cla_loop_step(&f->loop, true);
}

static void write_to_a_peer_that_reset_is_an_error_once(void **state)
{
    struct fixture *f = *state;
    struct cla_buf bytes = {0};

    tcp_reset(f->peer);
    f->peer = -1;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cla_buf_add(&bytes, CLA_LIT("lost")), 0);
        cla_stream_write(&f->stream, &bytes);
        assert_int_equal(bytes.n, 0);
    }
    assert_int_equal(f->ends, 1);
    assert_int_equal(f->end, -CLA_EIO);
    cla_buf_fini(&bytes);
}

static void queued_write_to_a_peer_that_reset_is_an_error(void **state)
{
    struct fixture *f = *state;

    fill(f);
    tcp_reset(f->peer);
    f->peer = -1;
    await_end(f);
    assert_int_equal(f->end, -CLA_EIO);
    assert_int_equal(f->drains, 0);
}

static void shutdown_sends_the_end_after_the_bytes(void **state)
{
    struct fixture *f = *state;
    size_t total = fill(f);
    char c;

    cla_stream_shutdown(&f->stream);
    assert_int_equal(peer_reads_all(f, total), total);
    for (int i = 0; i < 3; i++)
        cla_loop_step(&f->loop, false);
    assert_int_equal(read(f->peer, &c, 1), 0);
    cla_stream_read(&f->stream); /* reading goes on */
    peer_writes(f, "late");
    while (f->got.n < 4)
        cla_loop_step(&f->loop, true);
}

static void close_during_shutdown_is_fine(void **state)
{
    struct fixture *f = *state;

    fill(f);
    cla_stream_shutdown(&f->stream);
    cla_stream_close(&f->stream);
    cla_stream_shutdown(&f->stream);
}

static void queueing_without_memory_is_an_end(void **state)
{
    struct fixture *f = *state;
    struct cla_buf bytes = {0};

    fill(f);
    assert_int_equal(cla_buf_add(&bytes, CLA_LIT("more")), 0);
    mem_fault_after(0);
    cla_stream_write(&f->stream, &bytes);
    assert_int_equal(f->end, -CLA_ENOMEM);
    assert_int_equal(bytes.n, 0);
    cla_buf_fini(&bytes);
}

static void descriptor_that_is_no_socket_is_refused(void **state)
{
    struct fixture *f = *state;
    struct fixture bad = {.end = NO_END};

    assert_int_equal(cla_stream_open(&bad.stream, &f->loop, 9999, &events), -CLA_EIO);
    while (bad.closes == 0)
        cla_loop_step(&f->loop, false);
    assert_int_equal(bad.ends, 0);
    drop_peer(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
#define LOCAL(name)                                              \
    {                                                            \
#name " (unix)", name, open_local_pair, close_pair, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_arrive_as_they_were_sent),
        TEST(write_that_fits_keeps_its_memory),
        TEST(peer_that_does_not_read_is_written_to_later),
        TEST(close_loses_what_was_not_written),
        TEST(orderly_end_is_reported_once),
        TEST(can_write_after_the_peer_ended),
        TEST(reset_is_an_error),
        TEST(paused_stream_reads_nothing),
        TEST(paused_stream_sees_the_orderly_end_behind_unread_bytes),
        TEST(paused_stream_sees_a_reset),
        TEST(end_is_not_hidden_for_want_of_memory_to_watch_for_it),
        TEST(pausing_and_reading_in_turn_leaks_no_watch),
        TEST(close_inside_on_end_is_fine),
        TEST(write_to_a_peer_that_reset_is_an_error_once),
        TEST(queued_write_to_a_peer_that_reset_is_an_error),
        TEST(shutdown_sends_the_end_after_the_bytes),
        TEST(close_during_shutdown_is_fine),
        TEST(queueing_without_memory_is_an_end),
        TEST(descriptor_that_is_no_socket_is_refused),
        LOCAL(bytes_arrive_as_they_were_sent),
        LOCAL(write_that_fits_keeps_its_memory),
        LOCAL(peer_that_does_not_read_is_written_to_later),
        LOCAL(close_loses_what_was_not_written),
        LOCAL(orderly_end_is_reported_once),
        LOCAL(can_write_after_the_peer_ended),
        LOCAL(paused_stream_reads_nothing),
        LOCAL(paused_stream_sees_the_orderly_end_behind_unread_bytes),
        LOCAL(end_is_not_hidden_for_want_of_memory_to_watch_for_it),
        LOCAL(pausing_and_reading_in_turn_leaks_no_watch),
        LOCAL(close_inside_on_end_is_fine),
        LOCAL(write_to_a_peer_that_reset_is_an_error_once),
        LOCAL(queued_write_to_a_peer_that_reset_is_an_error),
        LOCAL(shutdown_sends_the_end_after_the_bytes),
        LOCAL(close_during_shutdown_is_fine),
        LOCAL(queueing_without_memory_is_an_end),
    };

    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
