/* /healthz, /readyz and /metrics over sockets, under virtual time, with workers that the test
 * plays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/un.h>

#include "base/error.h"
#include "gateway/ops.h"
#include "mem_fault.h"
#include "tcp_pair.h"

#define WORKERS 2

static struct {
    struct cla_loop loop;
    struct cla_config config;
    struct cla_ops ops;
    struct cla_survey *asked; /* the last survey, which the test answers */
    unsigned surveys;
    const char *unready;
} scene;

static void ask(void *arg, struct cla_survey *survey)
{
    scene.asked = survey;
    scene.surveys++;
}

static const char *unready(void *arg)
{
    return scene.unready;
}

static void describe(void *arg, struct cla_metrics *metrics)
{
    metrics->reloads.done = 5;
}

static const struct cla_ops_events events = {ask, unready, describe};

static void turns(void)
{
    for (int i = 0; i < 8; i++)
        cla_loop_step(&scene.loop, false);
}

static void pass(uint64_t ns)
{
    scene.loop.virtual_ns += ns;
    turns();
}

static void set(const char *name, const char *value)
{
    struct cla_config_error error;

    assert_int_equal(cla_config_set(&scene.config, cla_slice_str(name), cla_slice_str(value),
                                    CLA_CONFIG_FLAG, &error),
                     0);
}

static int setup(void **state)
{
    struct cla_config_error error;

    memset(&scene, 0, sizeof scene);
    assert_int_equal(cla_config_init(&scene.config), 0);
    assert_int_equal(cla_loop_init(&scene.loop), 0);
    cla_loop_use_virtual_time(&scene.loop);
    set("metrics_listen", "127.0.0.1:0");
    set("hosts", "gateway.local");
    return cla_ops_open(&scene.ops, &scene.loop, &scene.config, WORKERS, &events, NULL, &error);
}

static int teardown(void **state)
{
    mem_fault_off();
    cla_ops_close(&scene.ops);
    turns();
    assert_int_equal(scene.ops.http.conn_count, 0);
    cla_ops_fini(&scene.ops);
    assert_int_equal(scene.loop.timers.active, 0);
    cla_loop_fini(&scene.loop);
    cla_config_fini(&scene.config);
    return mem_fault.live == 0 ? 0 : -1;
}

/* The worker at 'at' answers; it has so many connections. */
static void answer(unsigned at, unsigned connections)
{
    struct cla_survey_answer *own = &scene.asked->answers[at];
    struct cla_counts none = {0};

    own->metrics = cla_metrics_sample_new(&none);
    assert_non_null(own->metrics);
    own->metrics->connections = connections;
    own->given = true;
    scene.asked->given++;
    cla_ops_surveyed(&scene.ops, scene.asked);
    turns();
}

/* --- Clients. --- */

struct client {
    int fd;
    char in[65536];
    size_t n;
    bool ended;
};

static struct client client_open(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *colon = strrchr(scene.ops.http.listener.address, ':');
    struct client c = {.fd = socket(AF_INET, SOCK_STREAM, 0)};

    address.sin_port = htons((uint16_t)atoi(colon + 1));
    tcp_require(connect(c.fd, (struct sockaddr *)&address, sizeof address) == 0);
    turns();
    return c;
}

static void client_drain(struct client *c)
{
    ssize_t n = 1;

    turns();
    while (n > 0 && c->n + 1 < sizeof c->in) {
        n = recv(c->fd, c->in + c->n, sizeof c->in - 1 - c->n, MSG_DONTWAIT);
        if (n > 0)
            c->n += (size_t)n;
    }
    c->ended = n == 0 || (n < 0 && errno != EAGAIN);
    c->in[c->n] = '\0';
}

static void client_send(struct client *c, const char *text)
{
    c->n = 0;
    tcp_require(send(c->fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
    client_drain(c);
}

static void client_get(struct client *c, const char *path)
{
    char text[256];

    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    client_send(c, text);
}

static void require_has(const struct client *c, const char *text)
{
    if (strstr(c->in, text) == NULL)
        fail_msg("'%s' is not in: %s", text, c->in);
}

static unsigned count_of(const struct client *c, const char *text)
{
    unsigned n = 0;

    for (const char *p = c->in; (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

/* --- Tests. --- */

static void pages_answer_on_one_connection(void **state)
{
    struct client c = client_open();

    client_get(&c, "/healthz");
    require_has(&c, "HTTP/1.1 200 OK\r\n");
    require_has(&c, "\r\n\r\nok\n");
    client_get(&c, "/readyz?verbose");
    require_has(&c, "\r\n\r\nready\n");
    scene.unready = "draining";
    client_get(&c, "/readyz");
    require_has(&c, "HTTP/1.1 503 ");
    require_has(&c, "\r\n\r\ndraining\n");
    client_get(&c, "/healthz");
    require_has(&c, "HTTP/1.1 200 OK\r\n");
    assert_false(c.ended);
    close(c.fd);
}

struct refusal {
    const char *request, *head, *body;
    bool closes;
};

static void what_is_no_page_is_refused(void **state)
{
    static const struct refusal cases[] = {
        {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 404 ", "there are /healthz", false},
        {"GET /metrics/x HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 404 ", "", false},
        {"GET /0123456789012345678901234567890123456789 HTTP/1.1\r\nHost: localhost\r\n\r\n",
         "HTTP/1.1 404 ", "", false},
        {"DELETE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 405 ", "use GET", false},
        {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 404 ", "", false},
        {"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
         "\r\nAllow: GET, HEAD\r\n", "", false},
        {"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 405 ",
         "", true},
        {"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 413 ",
         "send no body", true},
        {"GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 413 ", "", true},
        {"GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 403 ", "hosts", false},
        {"GET /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "", true},
        {"nonsense\r\n\r\n", "HTTP/1.1 400 ", "", true},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct client c = client_open();

        client_send(&c, cases[i].request);
        require_has(&c, cases[i].head);
        require_has(&c, cases[i].body);
        assert_int_equal(c.ended, cases[i].closes);
        close(c.fd);
    }
}

static void a_listed_host_is_answered(void **state)
{
    struct client c = client_open();

    client_send(&c, "GET /healthz HTTP/1.1\r\nHost: gateway.local:9464\r\n\r\n");
    require_has(&c, "HTTP/1.1 200 ");
    close(c.fd);
}

static void head_is_answered_without_a_body(void **state)
{
    struct client c = client_open();

    client_send(&c, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    require_has(&c, "Content-Length: 3\r\n");
    assert_string_equal(strstr(c.in, "\r\n\r\n"), "\r\n\r\n");
    client_get(&c, "/healthz");
    require_has(&c, "\r\n\r\nok\n");
    close(c.fd);
}

static void a_head_may_have_8_kib_and_no_more(void **state)
{
    static char text[CLA_OPS_HEAD_MAX + 128];

    for (size_t over = 0; over < 2; over++) {
        struct client c = client_open();
        int n = snprintf(text, sizeof text, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ");

        memset(text + n, 'x', sizeof text - (size_t)n);
        strcpy(text + CLA_OPS_HEAD_MAX + over - 4, "\r\n\r\n");
        client_send(&c, text);
        require_has(&c, over == 0 ? "HTTP/1.1 200 " : "HTTP/1.1 431 ");
        assert_int_equal(c.ended, over);
        close(c.fd);
    }
}

static void metrics_come_when_all_workers_have_answered(void **state)
{
    struct client c = client_open();

    client_get(&c, "/metrics");
    assert_int_equal(c.n, 0);
    answer(0, 7);
    client_drain(&c);
    assert_int_equal(c.n, 0);
    answer(1, 8);
    client_drain(&c);
    require_has(&c, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    require_has(&c, "\ncancela_connections{worker=\"0\"} 7\n");
    require_has(&c, "\ncancela_worker_up{worker=\"1\"} 1\n");
    require_has(&c, "\ncancela_reloads_total{outcome=\"done\"} 5\n");
    assert_int_equal(scene.surveys, 1);
    close(c.fd);
}

static void a_worker_that_does_not_answer_is_told_of_with_what_it_said_last(void **state)
{
    struct client c = client_open();

    client_get(&c, "/metrics");
    answer(0, 7);
    answer(1, 8);
    client_drain(&c);
    client_get(&c, "/metrics");
    answer(1, 9);
    pass(CLA_SURVEY_NS - 1);
    client_drain(&c);
    assert_int_equal(c.n, 0);
    pass(1);
    client_drain(&c);
    require_has(&c, "\ncancela_worker_up{worker=\"0\"} 0\n");
    require_has(&c, "\ncancela_connections{worker=\"0\"} 7\n");
    require_has(&c, "\ncancela_connections{worker=\"1\"} 9\n");
    close(c.fd);
}

static void who_asks_meanwhile_waits_for_the_same_answers(void **state)
{
    struct client a = client_open(), b = client_open();

    client_get(&a, "/metrics");
    client_get(&b, "/metrics");
    client_get(&b, "/healthz"); /* behind it */
    assert_int_equal(scene.surveys, 1);
    answer(0, 1);
    answer(1, 1);
    client_drain(&a);
    client_drain(&b);
    require_has(&a, "cancela_worker_up");
    require_has(&b, "cancela_worker_up");
    require_has(&b, "\r\n\r\nok\n");
    client_get(&a, "/metrics");
    assert_int_equal(scene.surveys, 2);
    close(a.fd);
    close(b.fd);
}

static void requests_that_come_together_are_answered_in_order(void **state)
{
    struct client c = client_open();

    client_send(&c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(count_of(&c, "HTTP/1.1 200"), 1);
    answer(0, 1);
    answer(1, 1);
    client_drain(&c);
    assert_int_equal(count_of(&c, "HTTP/1.1 200"), 3);
    require_has(&c, "\r\n\r\nready\n");
    close(c.fd);
}

static void who_leaves_before_the_answer_is_forgotten(void **state)
{
    struct client c = client_open();

    client_get(&c, "/metrics");
    tcp_reset(c.fd);
    turns();
    answer(0, 1);
    answer(1, 1);
    assert_int_equal(scene.ops.http.conn_count, 0);
}

static void who_has_sent_all_still_gets_the_answer(void **state)
{
    struct client c = client_open();

    client_get(&c, "/metrics");
    shutdown(c.fd, SHUT_WR);
    turns();
    answer(0, 1);
    answer(1, 1);
    client_drain(&c);
    require_has(&c, "cancela_worker_up");
    assert_true(c.ended);
    assert_int_equal(scene.ops.http.conn_count, 0);
    close(c.fd);
}

static void http_1_0_is_closed_after_its_answer(void **state)
{
    struct client c = client_open();

    client_send(&c, "GET /healthz HTTP/1.0\r\n\r\n");
    require_has(&c, "\r\n\r\nok\n");
    assert_true(c.ended);
    close(c.fd);
    turns();
    assert_int_equal(scene.ops.http.conn_count, 0);
}

static void a_connection_that_is_slow_is_closed(void **state)
{
    struct client idle = client_open(), slow = client_open();

    client_send(&slow, "GET /heal");
    pass(CLA_OPS_IDLE_NS - 1);
    client_send(&slow, "t");
    client_drain(&idle);
    assert_false(idle.ended || slow.ended);
    pass(1);
    client_drain(&idle);
    client_drain(&slow);
    assert_true(idle.ended && slow.ended);
    close(idle.fd);
    close(slow.fd);
}

static void who_does_not_leave_after_the_last_answer_is_left(void **state)
{
    struct client c = client_open();

    client_send(&c, "nonsense\r\n\r\n");
    pass(CLA_OPS_LINGER_NS - 1);
    assert_int_equal(scene.ops.http.conn_count, 1);
    pass(1);
    assert_int_equal(scene.ops.http.conn_count, 0);
    close(c.fd);
}

static void one_connection_more_takes_the_place_of_the_longest_idle(void **state)
{
    struct client many[CLA_OPS_CONNECTIONS_MAX], more;

    for (int i = 0; i < CLA_OPS_CONNECTIONS_MAX; i++)
        many[i] = client_open();
    client_get(&many[0], "/healthz"); /* it is not the one any more */
    more = client_open();
    client_get(&more, "/healthz");
    require_has(&more, "\r\n\r\nok\n");
    for (int i = 0; i < CLA_OPS_CONNECTIONS_MAX; i++) {
        client_drain(&many[i]);
        assert_int_equal(many[i].ended, i == 1);
        close(many[i].fd);
    }
    close(more.fd);
}

static void where_all_connections_are_busy_one_more_is_closed(void **state)
{
    struct client many[CLA_OPS_CONNECTIONS_MAX], more;

    for (int i = 0; i < CLA_OPS_CONNECTIONS_MAX; i++) {
        many[i] = client_open();
        client_get(&many[i], "/metrics");
    }
    more = client_open();
    client_drain(&more);
    assert_true(more.ended);
    answer(0, 1);
    answer(1, 1);
    for (int i = 0; i < CLA_OPS_CONNECTIONS_MAX; i++) {
        client_drain(&many[i]);
        require_has(&many[i], "cancela_worker_up");
        close(many[i].fd);
    }
    close(more.fd);
}

static void without_memory_a_request_is_refused_or_its_connection_closed(void **state)
{
    bool failed = true;

    for (long n = 0; failed; n++) {
        struct client c;

        assert_in_range(n, 0, 100);
        scene.asked = NULL;
        mem_fault_after(n);
        c = client_open();
        client_get(&c, "/metrics");
        if (scene.asked != NULL) {
            scene.asked->answers[0].given = scene.asked->answers[1].given = true;
            scene.asked->given = 2;
            cla_ops_surveyed(&scene.ops, scene.asked);
        }
        failed = mem_fault.failed;
        mem_fault_off();
        client_drain(&c);
        assert_true(c.ended || c.n > 0);
        if (!failed)
            require_has(&c, "HTTP/1.1 200 ");
        close(c.fd);
        turns();
    }
}

/* --- Opening. --- */

static void opening_fails_as_a_whole(void **state)
{
    struct cla_config_error error;
    bool failed = true;

    cla_ops_close(&scene.ops);
    turns();
    cla_ops_fini(&scene.ops);
    for (long n = 0; failed; n++) {
        long live = mem_fault.live;
        int rc;

        mem_fault_after(n);
        rc = cla_ops_open(&scene.ops, &scene.loop, &scene.config, WORKERS, &events, NULL, &error);
        failed = mem_fault.failed;
        mem_fault_off();
        assert_int_equal(rc, failed ? -CLA_ENOMEM : 0);
        if (failed)
            assert_int_equal(mem_fault.live, live);
    }
}

static void an_address_that_cannot_be_listened_on_is_named(void **state)
{
    struct cla_config_error error;
    struct cla_ops other;
    char where[128];

    snprintf(where, sizeof where, "%s", scene.ops.http.listener.address);
    set("metrics_listen", where);
    assert_int_equal(
        cla_ops_open(&other, &scene.loop, &scene.config, WORKERS, &events, NULL, &error),
        -CLA_EADDRINUSE);
    assert_non_null(strstr(error.text, "metrics_listen"));
    assert_non_null(strstr(error.text, where));
    set("metrics_listen", "unix:/nowhere/at/all.sock");
    assert_int_equal(
        cla_ops_open(&other, &scene.loop, &scene.config, WORKERS, &events, NULL, &error),
        -CLA_ENOTFOUND);
}

static void off_it_is_nothing(void **state)
{
    struct cla_config_error error;
    struct cla_ops other;

    set("metrics_listen", "off");
    assert_int_equal(
        cla_ops_open(&other, &scene.loop, &scene.config, WORKERS, &events, NULL, &error), 0);
    assert_false(other.on);
    cla_ops_close(&other);
    cla_ops_fini(&other);
}

static void one_plain_address_is_taken(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {"off", 0},
        {"127.0.0.1:9464", 0},
        {":9464", 0},
        {"[::1]:0", 0},
        {"http://localhost:1", 0},
        {"unix:/run/x.sock mode=0660", 0},
        {"", -CLA_EINVAL},
        {"on", -CLA_EINVAL},
        {"127.0.0.1", -CLA_EINVAL},
        {"https://127.0.0.1:9464", -CLA_EINVAL},
        {"127.0.0.1:9464 half_close=allow", -CLA_EINVAL},
        {"127.0.0.1:1,127.0.0.1:2", -CLA_EINVAL},
        {"unix:/run/\"x\"", -CLA_EINVAL},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_config_error error;

        assert_int_equal(cla_config_set(&scene.config, CLA_LIT("metrics_listen"),
                                        cla_slice_str(cases[i].text), CLA_CONFIG_FLAG, &error),
                         cases[i].rc);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pages_answer_on_one_connection),
        TEST(what_is_no_page_is_refused),
        TEST(a_listed_host_is_answered),
        TEST(head_is_answered_without_a_body),
        TEST(a_head_may_have_8_kib_and_no_more),
        TEST(metrics_come_when_all_workers_have_answered),
        TEST(a_worker_that_does_not_answer_is_told_of_with_what_it_said_last),
        TEST(who_asks_meanwhile_waits_for_the_same_answers),
        TEST(requests_that_come_together_are_answered_in_order),
        TEST(who_leaves_before_the_answer_is_forgotten),
        TEST(who_has_sent_all_still_gets_the_answer),
        TEST(http_1_0_is_closed_after_its_answer),
        TEST(a_connection_that_is_slow_is_closed),
        TEST(who_does_not_leave_after_the_last_answer_is_left),
        TEST(one_connection_more_takes_the_place_of_the_longest_idle),
        TEST(where_all_connections_are_busy_one_more_is_closed),
        TEST(without_memory_a_request_is_refused_or_its_connection_closed),
        TEST(opening_fails_as_a_whole),
        TEST(an_address_that_cannot_be_listened_on_is_named),
        TEST(off_it_is_nothing),
        TEST(one_plain_address_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
