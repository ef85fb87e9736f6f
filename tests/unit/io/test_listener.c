/* Listeners: TCP and unix, and what happens when there are no descriptors left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/error.h"
#include "io/listener.h"
#include "tcp_pair.h"

#define CLIENTS 64

struct fixture {
    struct cla_loop loop;
    struct cla_listener listener;
    bool open;
    int accepted[CLIENTS], clients[CLIENTS];
    unsigned accepted_n, clients_n, shortages;
    struct cla_listener_peer peer; /* of the last accepted */
    struct rlimit limit;           /* as it was */
    char folder[32], path[64];
};

static struct fixture f;

static void on_accept(void *arg, int fd, const struct cla_listener_peer *peer)
{
    assert_ptr_equal(arg, &f);
    assert_true(f.accepted_n < CLIENTS);
    f.accepted[f.accepted_n++] = fd;
    f.peer = *peer;
}

static void on_shortage(void *arg)
{
    f.shortages++;
}

static const struct cla_listener_events events = {on_accept, on_shortage};

static int setup(void **state)
{
    f = (struct fixture){.folder = "/tmp/cancela-test-XXXXXX"};
    assert_int_equal(cla_loop_init(&f.loop), 0);
    assert_non_null(mkdtemp(f.folder));
    snprintf(f.path, sizeof f.path, "%s/socket", f.folder);
    return getrlimit(RLIMIT_NOFILE, &f.limit);
}

static void close_all(int *fds, unsigned *n)
{
    while (*n > 0)
        close(fds[--*n]);
}

static int teardown(void **state)
{
    setrlimit(RLIMIT_NOFILE, &f.limit);
    if (f.open)
        cla_listener_close(&f.listener);
    close_all(f.accepted, &f.accepted_n);
    close_all(f.clients, &f.clients_n);
    cla_loop_fini(&f.loop);
    unlink(f.path);
    return rmdir(f.folder);
}

static void listen_tcp(const char *host)
{
    assert_int_equal(cla_listener_open(&f.listener, &f.loop, host, 0, &events, &f), 0);
    f.open = true;
}

static int listen_local(mode_t mode)
{
    int rc = cla_listener_open_local(&f.listener, &f.loop, f.path, mode, &events, &f);

    f.open = rc == 0;
    return rc;
}

static void close_listener(void)
{
    cla_listener_close(&f.listener);
    f.open = false;
    cla_loop_step(&f.loop, false);
}

/* Returns 0, or the errno of connect(). */
static int connect_to(const struct sockaddr *address, socklen_t n)
{
    int fd = socket(address->sa_family, SOCK_STREAM, 0);

    if (fd < 0)
        return errno;
    f.clients[f.clients_n++] = fd;
    return connect(fd, address, n) == 0 ? 0 : errno;
}

static int connect_tcp(void)
{
    struct sockaddr_storage address;
    socklen_t n = sizeof address;

    assert_int_equal(getsockname(f.listener.fd, (struct sockaddr *)&address, &n), 0);
    return connect_to((struct sockaddr *)&address, n);
}

static int connect_local(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, f.path);
    return connect_to((struct sockaddr *)&address, sizeof address);
}

static void turns(void)
{
    for (int i = 0; i < 5; i++)
        cla_loop_step(&f.loop, false);
}

/* Waits until 'n' are accepted. */
static void await_accepted(unsigned n)
{
    while (f.accepted_n < n)
        cla_loop_step(&f.loop, true);
    turns();
    assert_int_equal(f.accepted_n, n);
}

/* --- TCP. --- */

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t n = sizeof value;

    assert_int_equal(getsockopt(fd, level, option, &value, &n), 0);
    return value;
}

static void accepted_sockets_are_asked_if_they_are_there(void **state)
{
    static const struct {
        uint64_t timeout_ns;
        int idle, interval, user_ms;
    } cases[] = {
        {60 * CLA_NS_PER_S, 30, 10, 60000},
        {1, 1, 1, 1000},
        {12 * 3600 * CLA_NS_PER_S, 21600, 7200, 43200000},
    };

    listen_tcp("127.0.0.1");
    for (unsigned i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        cla_listener_keep_alive(&f.listener, cases[i].timeout_ns);
        assert_int_equal(connect_tcp(), 0);
        await_accepted(i + 1);
        assert_int_equal(option_of(f.accepted[i], SOL_SOCKET, SO_KEEPALIVE), 1);
        assert_int_equal(option_of(f.accepted[i], IPPROTO_TCP, TCP_KEEPIDLE), cases[i].idle);
        assert_int_equal(option_of(f.accepted[i], IPPROTO_TCP, TCP_KEEPINTVL), cases[i].interval);
        assert_int_equal(option_of(f.accepted[i], IPPROTO_TCP, TCP_KEEPCNT), 3);
        assert_int_equal(option_of(f.accepted[i], IPPROTO_TCP, TCP_USER_TIMEOUT), cases[i].user_ms);
    }
}

static void accepted_sockets_are_not_asked_unless_wanted(void **state)
{
    listen_tcp("127.0.0.1");
    assert_int_equal(connect_tcp(), 0);
    await_accepted(1);
    assert_int_equal(option_of(f.accepted[0], SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(option_of(f.accepted[0], IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
}

static void a_tcp_client_comes_with_its_address(void **state)
{
    struct sockaddr_in own;
    socklen_t n = sizeof own;

    listen_tcp("127.0.0.1");
    assert_true(f.listener.loopback);
    assert_int_equal(connect_tcp(), 0);
    await_accepted(1);
    assert_int_equal(getsockname(f.clients[0], (struct sockaddr *)&own, &n), 0);
    assert_int_equal(f.peer.port, ntohs(own.sin_port));
    assert_true(cla_ip_is_loopback(&f.peer.ip));
    assert_false(f.peer.local);
}

static void every_address_is_not_loopback(void **state)
{
    listen_tcp("");
    assert_false(f.listener.loopback);
    assert_null(strstr(f.listener.address, "127.0.0.1"));
}

static void an_address_in_use_is_told_apart(void **state)
{
    struct cla_listener second;
    struct sockaddr_in bound;
    socklen_t n = sizeof bound;

    listen_tcp("127.0.0.1");
    assert_int_equal(getsockname(f.listener.fd, (struct sockaddr *)&bound, &n), 0);
    assert_int_equal(
        cla_listener_open(&second, &f.loop, "127.0.0.1", ntohs(bound.sin_port), &events, &f),
        -CLA_EADDRINUSE);
    assert_int_equal(cla_listener_open(&second, &f.loop, "192.0.2.1", 0, &events, &f),
                     -CLA_ENOTFOUND);
}

/* --- Unix sockets. --- */

static void a_unix_client_has_no_address(void **state)
{
    assert_int_equal(listen_local(0600), 0);
    assert_string_equal(f.listener.path, f.path);
    assert_int_equal(connect_local(), 0);
    await_accepted(1);
    assert_true(f.peer.local);
    assert_false(f.listener.loopback);
}

static void the_file_has_its_mode_and_goes_with_the_listener(void **state)
{
    const mode_t before = umask(0077); /* which does not matter */
    struct stat file;

    assert_int_equal(listen_local(0660), 0);
    assert_int_equal(umask(before), 0077);
    assert_int_equal(stat(f.path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0660);
    close_listener();
    assert_int_equal(stat(f.path, &file), -1);
}

static void the_file_of_a_dead_server_is_replaced(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(address.sun_path, f.path);
    assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(dead, 1), 0);
    close(dead);
    assert_int_equal(listen_local(0600), 0);
    assert_int_equal(connect_local(), 0);
    await_accepted(1);
}

static void a_server_that_lives_keeps_its_file(void **state)
{
    struct cla_listener second;

    assert_int_equal(listen_local(0600), 0);
    assert_int_equal(cla_listener_open_local(&second, &f.loop, f.path, 0600, &events, &f),
                     -CLA_EADDRINUSE);
    assert_int_equal(connect_local(), 0);
    await_accepted(2); /* one was the look of the second */
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    int fd = open(f.path, O_CREAT | O_WRONLY, 0600);
    struct stat file;

    close(fd);
    assert_int_equal(listen_local(0600), -CLA_EADDRINUSE);
    assert_int_equal(stat(f.path, &file), 0);
    assert_true(S_ISREG(file.st_mode));
}

static void the_file_of_a_successor_stays(void **state)
{
    struct cla_listener first;
    struct stat file;

    assert_int_equal(cla_listener_open_local(&first, &f.loop, f.path, 0600, &events, &f), 0);
    unlink(f.path);
    assert_int_equal(listen_local(0600), 0);
    cla_listener_close(&first);
    cla_loop_step(&f.loop, false);
    assert_int_equal(stat(f.path, &file), 0);
}

static void a_folder_that_is_not_there_is_told_apart(void **state)
{
    struct cla_listener none;

    assert_int_equal(cla_listener_open_local(&none, &f.loop, "/nowhere/at/all", 0600, &events, &f),
                     -CLA_ENOTFOUND);
}

/* --- Sockets of others. --- */

static int adopt(int fd)
{
    int rc = cla_listener_adopt(&f.listener, &f.loop, fd, &events, &f);

    f.open = rc == 0;
    return rc;
}

/* A socket that is bound to 'address' and, if it may, listens. */
static int opened_by_others(const struct sockaddr *address, socklen_t n, int type)
{
    int fd = socket(address->sa_family, type, 0);

    assert_int_equal(bind(fd, address, n), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static void a_tcp_socket_of_others_is_gone_on_with(void **state)
{
    const struct sockaddr_in any = {.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = opened_by_others((const struct sockaddr *)&any, sizeof any, SOCK_STREAM);

    assert_int_equal(adopt(fd), 0);
    assert_ptr_equal(strstr(f.listener.address, "127.0.0.1:"), f.listener.address);
    assert_true(f.listener.loopback);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(connect_tcp(), 0);
    await_accepted(1);
    assert_false(f.peer.local);
    close_listener();
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void a_unix_socket_of_others_keeps_its_file(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat file;
    int fd;

    strcpy(address.sun_path, f.path);
    fd = opened_by_others((struct sockaddr *)&address, sizeof address, SOCK_STREAM);
    assert_int_equal(adopt(fd), 0);
    assert_ptr_equal(strstr(f.listener.address, "unix:/tmp/"), f.listener.address);
    assert_string_equal(f.listener.address + strlen("unix:"), f.path);
    cla_listener_keep_alive(&f.listener, CLA_NS_PER_S); /* no-op */
    assert_int_equal(connect_local(), 0);
    await_accepted(1);
    assert_true(f.peer.local);
    close_listener();
    assert_int_equal(stat(f.path, &file), 0);
}

static void a_unix_socket_without_a_file_is_told_by_its_name(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t n;

    n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                    (size_t)snprintf(address.sun_path + 1, 100, "cancela-test-%d", (int)getpid()));
    assert_int_equal(adopt(opened_by_others((struct sockaddr *)&address, n, SOCK_STREAM)), 0);
    assert_ptr_equal(strstr(f.listener.address, "unix:@cancela-test-"), f.listener.address);
    assert_int_equal(connect_to((struct sockaddr *)&address, n), 0);
    await_accepted(1);
}

static void what_does_not_listen_is_not_taken(void **state)
{
    const struct sockaddr_in any = {.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fds[] = {
        opened_by_others((const struct sockaddr *)&any, sizeof any, SOCK_DGRAM),
        socket(AF_INET, SOCK_STREAM, 0),
        open("/dev/null", O_RDONLY),
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(fds); i++) {
        assert_int_equal(adopt(fds[i]), -CLA_EINVAL);
        assert_int_equal(close(fds[i]), 0); /* it is still the caller's */
    }
    assert_int_equal(adopt(1000000), -CLA_EINVAL);
}

/* --- Want of descriptors. --- */

/* Listens with CROWD clients waiting, and descriptors for all of those but some. */
#define CROWD 20
#define SHORT_OF 10

static void be_short(void)
{
    struct rlimit limit = f.limit;
    int lowest = dup(0);

    close(lowest);
    limit.rlim_cur = (rlim_t)lowest + 1 + 2 * CROWD - SHORT_OF;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    listen_tcp("127.0.0.1");
    for (unsigned i = 0; i < CROWD; i++)
        assert_int_equal(connect_tcp(), 0);
    turns();
    assert_int_equal(f.shortages, 1);
    assert_in_range(f.accepted_n, 1, CROWD - SHORT_OF);
}

static void without_descriptors_it_rests_and_goes_on_when_some_are_free(void **state)
{
    unsigned served;
    uint64_t due;

    be_short();
    served = f.accepted_n;
    for (int i = 0; i < 2; i++) {
        assert_false(uv_is_active((uv_handle_t *)&f.listener.poll)); /* it does not spin */
        due = f.listener.pause.due_ns;
        while (f.listener.pause.due_ns == due)
            cla_loop_step(&f.loop, true);
    }
    assert_int_equal(f.accepted_n, served);
    for (int i = 0; i < 4; i++)
        close(f.accepted[--f.accepted_n]);
    while (f.accepted_n < served)
        cla_loop_step(&f.loop, true);
    assert_int_equal(f.shortages, 1); /* said once */
}

static void some_descriptors_are_kept_for_others(void **state)
{
    int spare;

    be_short();
    spare = dup(0);
    assert_true(spare >= 0);
    close(spare);
}

static void a_rest_ends_with_the_listener(void **state)
{
    be_short();
    close_listener();
    assert_int_equal(f.loop.timers.active, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(accepted_sockets_are_asked_if_they_are_there),
        TEST(accepted_sockets_are_not_asked_unless_wanted),
        TEST(a_tcp_client_comes_with_its_address),
        TEST(every_address_is_not_loopback),
        TEST(an_address_in_use_is_told_apart),
        TEST(a_unix_client_has_no_address),
        TEST(the_file_has_its_mode_and_goes_with_the_listener),
        TEST(the_file_of_a_dead_server_is_replaced),
        TEST(a_server_that_lives_keeps_its_file),
        TEST(a_file_that_is_no_socket_is_left_alone),
        TEST(the_file_of_a_successor_stays),
        TEST(a_folder_that_is_not_there_is_told_apart),
        TEST(a_tcp_socket_of_others_is_gone_on_with),
        TEST(a_unix_socket_of_others_keeps_its_file),
        TEST(a_unix_socket_without_a_file_is_told_by_its_name),
        TEST(what_does_not_listen_is_not_taken),
        TEST(without_descriptors_it_rests_and_goes_on_when_some_are_free),
        TEST(some_descriptors_are_kept_for_others),
        TEST(a_rest_ends_with_the_listener),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
