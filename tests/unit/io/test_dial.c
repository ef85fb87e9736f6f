/* Connecting to a host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "io/dial.h"

#define FILLERS 8 /* connections that fill the queue of a listener that takes none */

struct fixture {
    struct cla_loop loop;
    struct cla_dial *dial;
    int listener, fillers[FILLERS];
    uint16_t port;
    int rc, fd; /* what the callback got */
    unsigned calls;
    char error[256];
};

static int listen_on_loopback(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t n = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.rc = 1, .fd = -1};
    for (size_t i = 0; i < FILLERS; i++)
        fixture.fillers[i] = -1;
    assert_int_equal(cla_loop_init(&fixture.loop), 0);
    fixture.listener = listen_on_loopback(&fixture.port);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(f->loop.pending, 0);
    assert_int_equal(f->loop.timers.active, 0);
    cla_loop_fini(&f->loop);
    for (size_t i = 0; i < FILLERS; i++) {
        if (f->fillers[i] >= 0)
            close(f->fillers[i]);
    }
    if (f->fd >= 0)
        close(f->fd);
    if (f->listener >= 0)
        close(f->listener);
    return 0;
}

static void on_dialed(void *arg, int rc, int fd, const char *error)
{
    struct fixture *f = arg;

    f->calls++;
    f->rc = rc;
    f->fd = fd;
    snprintf(f->error, sizeof f->error, "%s", error);
    cla_loop_stop(&f->loop);
}

static void start(struct fixture *f, const char *host, uint64_t timeout_ns)
{
    int rc = cla_dial_start(&f->dial, &f->loop, host, f->port, timeout_ns, on_dialed, f);

    assert_int_equal(rc, 0);
    assert_int_equal(f->calls, 0);
}

static int dial(struct fixture *f, const char *host, uint64_t timeout_ns)
{
    start(f, host, timeout_ns);
    cla_loop_run(&f->loop);
    assert_int_equal(f->calls, 1);
    return f->rc;
}

static void stop_listening(struct fixture *f)
{
    close(f->listener);
    f->listener = -1;
}

/* Has the kernel leave further connections unanswered. */
static void fill_queue(struct fixture *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(f->port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(listen(f->listener, 0), 0);
    for (size_t i = 0; i < FILLERS; i++) {
        f->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(f->fillers[i], (struct sockaddr *)&address, sizeof address);
    }
}

static void the_descriptor_is_connected_and_non_blocking(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in peer;
    socklen_t n = sizeof peer;

    assert_int_equal(dial(f, "127.0.0.1", CLA_NEVER), 0);
    assert_int_equal(getpeername(f->fd, (struct sockaddr *)&peer, &n), 0);
    assert_int_equal(ntohs(peer.sin_port), f->port);
    assert_true(fcntl(f->fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(f->fd, F_GETFD) & FD_CLOEXEC);
    assert_string_equal(f->error, "");
}

static void a_name_reaches_a_listener_on_one_of_its_addresses(void **state)
{
    assert_int_equal(dial(*state, "localhost", CLA_NEVER), 0);
}

static void a_refusal_names_the_address(void **state)
{
    struct fixture *f = *state;

    stop_listening(f);
    assert_int_equal(dial(f, "127.0.0.1", CLA_NEVER), -CLA_EREFUSED);
    assert_int_equal(f->fd, -1);
    assert_string_equal(f->error, "connection refused (127.0.0.1)");
}

static void a_name_without_an_address_is_not_found(void **state)
{
    /* A label may have 63 bytes: the resolver refuses this without asking anybody. */
    static const char name[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b";
    struct fixture *f = *state;

    assert_int_equal(dial(f, name, CLA_NEVER), -CLA_ENOTFOUND);
    assert_string_not_equal(f->error, "");
}

static void a_text_that_can_be_no_name_is_refused_at_once(void **state)
{
    struct fixture *f = *state;
    char name[300];

    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(cla_dial_start(&f->dial, &f->loop, name, f->port, CLA_NEVER, on_dialed, f),
                     -CLA_EINVAL);
    assert_int_equal(f->calls, 0);
}

static void an_address_that_does_not_answer_times_out(void **state)
{
    struct fixture *f = *state;

    fill_queue(f);
    assert_int_equal(dial(f, "127.0.0.1", 5 * CLA_NS_PER_MS), -CLA_ETIMEOUT);
    assert_non_null(strstr(f->error, "127.0.0.1"));
}

static void a_lookup_that_takes_too_long_times_out(void **state)
{
    assert_int_equal(dial(*state, "localhost", 0), -CLA_ETIMEOUT);
}

/* Gives up after 'turns' turns of the loop: during the lookup, the connect, or what follows. */
static void cancel_after(struct fixture *f, unsigned turns)
{
    start(f, "127.0.0.1", CLA_NEVER);
    while (turns-- > 0 && f->calls == 0)
        cla_loop_step(&f->loop, true);
    if (f->calls > 0)
        return;
    cla_dial_cancel(f->dial);
    assert_int_equal(f->calls, 0);
    cla_loop_run(&f->loop);
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->rc, -CLA_ECLOSED);
    assert_int_equal(f->fd, -1);
}

static void a_cancel_after_any_turn_is_reported_once(void **state)
{
    struct fixture *f = *state;

    for (unsigned turns = 0; turns < 6; turns++) {
        f->calls = 0;
        cancel_after(f, turns);
        if (f->fd >= 0)
            close(f->fd);
        f->fd = -1;
    }
}

static void a_cancel_breaks_off_a_connect(void **state)
{
    struct fixture *f = *state;

    fill_queue(f);
    cancel_after(f, 1); /* the lookup's end */
    assert_int_equal(f->rc, -CLA_ECLOSED);
}

/* Listens on a unix socket, whose file is in 'folder'; gives its address for a dial in 'host'. */
static int listen_on_file(char folder[32], char host[64])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(folder, "/tmp/cancela-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(host, 64, "unix:%s/socket", folder);
    strcpy(address.sun_path, host + 5);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void a_unix_socket_is_reached_by_its_path(void **state)
{
    struct fixture *f = *state;
    char folder[32], host[64];
    int listener = listen_on_file(folder, host);

    assert_int_equal(dial(f, host, CLA_NEVER), 0);
    assert_true(fcntl(f->fd, F_GETFL) & O_NONBLOCK);
    close(f->fd);
    close(listener);
    f->calls = 0;
    assert_int_equal(dial(f, host, CLA_NEVER), -CLA_EREFUSED);
    assert_non_null(strstr(f->error, host + 5));
    unlink(host + 5);
    f->calls = 0;
    assert_int_equal(dial(f, host, CLA_NEVER), -CLA_EIO);
    f->calls = 0;
    start(f, host, CLA_NEVER);
    cla_dial_cancel(f->dial);
    cla_loop_run(&f->loop);
    assert_int_equal(f->rc, -CLA_ECLOSED);
    rmdir(folder);
}

static void a_path_that_can_be_none_is_refused_at_once(void **state)
{
    struct fixture *f = *state;
    char host[256] = "unix:";

    assert_int_equal(cla_dial_start(&f->dial, &f->loop, host, 0, CLA_NEVER, on_dialed, f),
                     -CLA_EINVAL);
    memset(host + 5, 'a', 108);
    assert_int_equal(cla_dial_start(&f->dial, &f->loop, host, 0, CLA_NEVER, on_dialed, f),
                     -CLA_EINVAL);
}

static void virtual_time_waits_for_a_dial(void **state)
{
    struct fixture *f = *state;

    cla_loop_use_virtual_time(&f->loop);
    assert_int_equal(dial(f, "127.0.0.1", CLA_NS_PER_MS), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_descriptor_is_connected_and_non_blocking),
        TEST(a_name_reaches_a_listener_on_one_of_its_addresses),
        TEST(a_refusal_names_the_address),
        TEST(a_name_without_an_address_is_not_found),
        TEST(a_text_that_can_be_no_name_is_refused_at_once),
        TEST(an_address_that_does_not_answer_times_out),
        TEST(a_lookup_that_takes_too_long_times_out),
        TEST(a_cancel_after_any_turn_is_reported_once),
        TEST(a_cancel_breaks_off_a_connect),
        TEST(virtual_time_waits_for_a_dial),
        TEST(a_unix_socket_is_reached_by_its_path),
        TEST(a_path_that_can_be_none_is_refused_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
