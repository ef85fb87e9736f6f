#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

#include "topics_fixture.h"

#define TOPIC "tea"
#define BLOCK_BYTES 1048576 /* more than the system takes */
#define MESSAGE_BYTES 100
#define COST (DELIVERY_BYTES + 2 + MESSAGE_BYTES)

static struct gate gate;
static struct cla_topics *topics;
static unsigned called;

static int open_gate(void **state)
{
    gate_init(&gate);
    gate_open_worker(&gate);
    topics = &gate.worker.topics;
    called = 0;
    return 0;
}

static int close_gate(void **state)
{
    gate_fini(&gate);
    return 0;
}

static struct cla_socket *open_subscriber(struct client *c)
{
    struct cla_socket *socket;

    topics_open(c, &gate);
    socket = topics_last(&gate);
    assert_int_equal(topics_subscribe(socket, TOPIC), 0);
    return socket;
}

/* A subscriber for whom the system takes no more. */
static struct cla_socket *open_slow(struct client *c)
{
    struct cla_socket *socket = open_subscriber(c);

    assert_int_equal(topics_publish(&gate, TOPIC, '!', BLOCK_BYTES, CLA_SLOW_DROP, COST), 1);
    gate_turns(&gate);
    assert_true(socket->conn->stream.queued > 0);
    return socket;
}

static unsigned publish(char c, enum cla_slow slow, size_t queue)
{
    return topics_publish(&gate, TOPIC, c, MESSAGE_BYTES, slow, queue);
}

/* Reads on until the gateway has nothing more, and requires that behind the block come messages
 * that begin with these letters. */
static void require_messages(struct client *c, const char *letters)
{
    size_t before, at = 10 + BLOCK_BYTES;

    do {
        before = c->in.n;
        gate_turns(&gate);
        client_drain(c);
    } while (c->in.n > before);
    for (; *letters != '\0'; letters++, at += 2 + MESSAGE_BYTES) {
        assert_true(c->in.n >= at + 2 + MESSAGE_BYTES);
        assert_int_equal(c->in.p[at + 2], *letters);
    }
    assert_int_equal(c->in.n, at);
}

static void subscribing_twice_is_once(void **state)
{
    struct client c;
    struct cla_socket *socket = open_subscriber(&c);

    assert_int_equal(topics_subscribe(socket, TOPIC), 0);
    assert_int_equal(publish('a', CLA_SLOW_DROP, COST), 1);
    assert_int_equal(socket_take(&c).n, MESSAGE_BYTES);
    assert_int_equal(socket_take(&c).opcode, 0);
    assert_true(cla_topics_unsubscribe(topics, &socket->subscriber, CLA_LIT(TOPIC)));
    assert_false(cla_topics_unsubscribe(topics, &socket->subscriber, CLA_LIT(TOPIC)));
    assert_int_equal(publish('b', CLA_SLOW_DROP, COST), 0);
    assert_int_equal(topics->count, 0);
    client_close(&c);
}

static void there_are_as_many_subscriptions_as_are_allowed(void **state)
{
    struct client c;
    struct cla_subscriber *subscriber = &open_subscriber(&c)->subscriber;

    assert_int_equal(cla_topics_subscribe(topics, subscriber, CLA_LIT("a"), 1), -CLA_ELIMIT);
    assert_int_equal(cla_topics_subscribe(topics, subscriber, CLA_LIT(TOPIC), 1), 0);
    assert_int_equal(cla_topics_subscribe(topics, subscriber, CLA_LIT("a"), 2), 0);
    assert_int_equal(cla_topics_subscribe(topics, subscriber, CLA_LIT("b"), 2), -CLA_ELIMIT);
    assert_int_equal(subscriber->count, 2);
    client_close(&c);
}

static void many_topics_are_told_apart_and_go_with_their_client(void **state)
{
    struct client c;
    struct cla_subscriber *subscriber = &open_subscriber(&c)->subscriber;
    char name[16];

    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(cla_topics_subscribe(topics, subscriber, cla_slice_str(name), 10000), 0);
    }
    assert_int_equal(topics->count, 1001);
    assert_int_equal(topics_publish(&gate, "t7", 'x', 3, CLA_SLOW_DROP, COST), 1);
    assert_int_equal(topics_publish(&gate, "t1000", 'x', 3, CLA_SLOW_DROP, COST), 0);
    socket_require(&c, "xxx");
    client_close(&c);
    gate_turns(&gate);
    assert_int_equal(topics->count, 0);
}

static void the_oldest_give_way_where_the_queue_is_full(void **state)
{
    struct client c;
    open_slow(&c);
    for (char letter = 'a'; letter <= 'e'; letter++)
        assert_int_equal(publish(letter, CLA_SLOW_DROP, 2 * COST), 1);
    assert_int_equal(topics->counters.dropped, 3);
    require_messages(&c, "de");
    assert_int_equal(topics->counters.delivered, 3);
    client_close(&c);
}

static void a_byte_less_of_queue_holds_a_message_less(void **state)
{
    struct client c;

    open_slow(&c);
    for (char letter = 'a'; letter <= 'c'; letter++)
        assert_int_equal(publish(letter, CLA_SLOW_DROP, 2 * COST - 1), 1);
    assert_int_equal(topics->counters.dropped, 2);
    require_messages(&c, "c");
    client_close(&c);
}

static void one_message_may_wait_however_large_it_is(void **state)
{
    struct client c;

    open_slow(&c);
    assert_int_equal(publish('a', CLA_SLOW_CLOSE, 1), 1);
    require_messages(&c, "a");
    client_close(&c);
}

static void who_reads_too_slowly_is_closed_and_not_before(void **state)
{
    struct client c;
    struct cla_socket *socket = open_slow(&c);

    assert_int_equal(publish('a', CLA_SLOW_CLOSE, 2 * COST), 1);
    assert_int_equal(publish('b', CLA_SLOW_CLOSE, 2 * COST), 1);
    assert_int_equal(socket->state, CLA_SOCKET_OPEN);
    (void)cla_socket_hold(socket);
    assert_int_equal(publish('c', CLA_SLOW_CLOSE, 2 * COST), 0);
    assert_int_equal(socket->state, CLA_SOCKET_OVER);
    assert_int_equal(socket->code, CLA_WS_TRY_LATER);
    assert_int_equal(topics->counters.slow_consumers, 1);
    assert_int_equal(topics->count, 0);
    cla_socket_release(socket);
    client_close(&c);
}

static void what_waits_goes_with_its_subscription(void **state)
{
    struct client c;
    struct cla_socket *socket = open_slow(&c);

    publish('a', CLA_SLOW_DROP, 2 * COST);
    assert_true(cla_topics_unsubscribe(topics, &socket->subscriber, CLA_LIT(TOPIC)));
    require_messages(&c, "");
    client_close(&c);
}

static void the_queue_of_one_topic_is_not_that_of_another(void **state)
{
    struct client c;
    struct cla_socket *socket = open_slow(&c);

    assert_int_equal(topics_subscribe(socket, "pub"), 0);
    publish('a', CLA_SLOW_DROP, COST);
    topics_publish(&gate, "pub", 'A', MESSAGE_BYTES, CLA_SLOW_DROP, COST);
    publish('b', CLA_SLOW_DROP, COST);
    require_messages(&c, "Ab");
    client_close(&c);
}

/* So many that at the end of the turn they would not fit. */
static void a_burst_is_written_at_once_for_who_keeps_up(void **state)
{
    struct client c;

    open_subscriber(&c);
    for (int i = 0; i < 100; i++)
        assert_int_equal(publish('a', CLA_SLOW_DROP, 2 * COST), 1);
    assert_int_equal(topics->counters.dropped, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(socket_take(&c).n, MESSAGE_BYTES);
    client_close(&c);
}

static void who_is_gone_keeps_nobody_else_from_it(void **state)
{
    struct client gone, stays;

    open_subscriber(&gone);
    open_subscriber(&stays);
    close(gone.fd); /* which the gateway has not seen */
    assert_int_equal(publish('a', CLA_SLOW_DROP, COST), 2);
    assert_int_equal(publish('b', CLA_SLOW_DROP, COST), 1); /* writing 'a' has failed */
    assert_int_equal(gate.worker.topics.everyone.subscriptions.next,
                     gate.worker.topics.everyone.subscriptions.prev);
    assert_int_equal(socket_take(&stays).payload[0], 'a');
    assert_int_equal(socket_take(&stays).payload[0], 'b');
    cla_buf_fini(&gone.in);
    client_close(&stays);
}

/* --- Publishers that wait. --- */

static void on_room(struct cla_publisher *publisher)
{
    called++;
}

struct waiter {
    struct cla_publisher publisher;
    struct cla_bulletin *bulletin;
};

static void init_waiter(struct waiter *waiter, char letter)
{
    waiter->bulletin = topics_message(TOPIC, letter, MESSAGE_BYTES, CLA_SLOW_SUSPEND, 2 * COST);
    waiter->publisher = (struct cla_publisher){.bulletin = waiter->bulletin, .on_room = on_room};
    cla_list_init(&waiter->publisher.link);
}

static bool try(struct waiter *waiter)
{
    unsigned count;

    return cla_publisher_try(topics, &waiter->publisher, &count);
}

static void fini_waiter(struct waiter *waiter)
{
    cla_publisher_withdraw(topics, &waiter->publisher);
    cla_bulletin_put(waiter->bulletin);
}

/* A slow subscriber whose queue is full, and two who wait for it. */
static struct cla_socket *open_full(struct client *c, struct waiter waiters[2])
{
    struct cla_socket *socket = open_slow(c);

    for (int i = 0; i < 2; i++)
        init_waiter(&waiters[i], (char)('c' + i));
    assert_true(cla_publisher_may(topics, waiters[0].bulletin));
    publish('a', CLA_SLOW_DROP, 2 * COST);
    assert_true(cla_publisher_may(topics, waiters[0].bulletin));
    publish('b', CLA_SLOW_DROP, 2 * COST);
    assert_false(cla_publisher_may(topics, waiters[0].bulletin));
    for (int i = 0; i < 2; i++)
        assert_false(cla_publisher_wait(topics, &waiters[i].publisher));
    assert_int_equal(topics->counters.suspended, 2);
    return socket;
}

static void publishers_have_their_turns_when_the_subscriber_reads(void **state)
{
    struct waiter waiters[2];
    struct client c;

    open_full(&c, waiters);
    assert_false(try(&waiters[0]));
    require_messages(&c, "ab");
    assert_int_equal(called, 1); /* the first alone */
    assert_false(try(&waiters[1]));
    assert_true(try(&waiters[0]));
    assert_int_equal(called, 2);
    assert_true(try(&waiters[1]));
    require_messages(&c, "abcd");
    for (int i = 0; i < 2; i++)
        fini_waiter(&waiters[i]);
    client_close(&c);
}

static void one_that_comes_later_does_not_pass_those_who_wait(void **state)
{
    struct waiter waiters[2];
    struct client c;

    open_full(&c, waiters);
    require_messages(&c, "ab");
    assert_false(cla_publisher_may(topics, waiters[0].bulletin));
    for (int i = 0; i < 2; i++)
        cla_publisher_withdraw(topics, &waiters[i].publisher);
    assert_true(cla_publisher_may(topics, waiters[0].bulletin));
    for (int i = 0; i < 2; i++)
        fini_waiter(&waiters[i]);
    client_close(&c);
}

static void one_that_withdraws_lets_the_next(void **state)
{
    struct waiter waiters[2];
    struct client c;

    open_full(&c, waiters);
    fini_waiter(&waiters[0]);
    assert_int_equal(called, 1);
    assert_false(try(&waiters[1]));
    require_messages(&c, "ab");
    assert_int_equal(called, 2);
    assert_true(try(&waiters[1]));
    require_messages(&c, "abd");
    fini_waiter(&waiters[1]);
    client_close(&c);
}

static void the_end_of_a_subscription_is_room(void **state)
{
    struct waiter waiters[2];
    struct client c;
    struct cla_socket *socket = open_full(&c, waiters);

    assert_true(cla_topics_unsubscribe(topics, &socket->subscriber, CLA_LIT(TOPIC)));
    assert_int_equal(called, 1);
    assert_int_equal(topics->count, 1); /* publishers wait at it */
    for (int i = 0; i < 2; i++) {
        assert_true(try(&waiters[i]));
        fini_waiter(&waiters[i]);
    }
    assert_int_equal(topics->count, 0);
    client_close(&c);
}

static void the_end_of_a_client_is_room(void **state)
{
    struct waiter waiters[2];
    struct client c;

    open_full(&c, waiters);
    client_close(&c);
    gate_turns(&gate);
    assert_int_equal(called, 1);
    assert_true(try(&waiters[0]));
    for (int i = 0; i < 2; i++)
        fini_waiter(&waiters[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_gate, close_gate)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(subscribing_twice_is_once),
        TEST(there_are_as_many_subscriptions_as_are_allowed),
        TEST(many_topics_are_told_apart_and_go_with_their_client),
        TEST(the_oldest_give_way_where_the_queue_is_full),
        TEST(a_byte_less_of_queue_holds_a_message_less),
        TEST(one_message_may_wait_however_large_it_is),
        TEST(who_reads_too_slowly_is_closed_and_not_before),
        TEST(what_waits_goes_with_its_subscription),
        TEST(the_queue_of_one_topic_is_not_that_of_another),
        TEST(a_burst_is_written_at_once_for_who_keeps_up),
        TEST(who_is_gone_keeps_nobody_else_from_it),
        TEST(publishers_have_their_turns_when_the_subscriber_reads),
        TEST(one_that_comes_later_does_not_pass_those_who_wait),
        TEST(one_that_withdraws_lets_the_next),
        TEST(the_end_of_a_subscription_is_room),
        TEST(the_end_of_a_client_is_room),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
