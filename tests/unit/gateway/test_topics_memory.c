/* Each allocation of subscribing, publishing and waiting fails in turn: a subscriber gets every
 * message that was published, in order, or is closed; nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

#include "mem_fault.h"
#include "topics_fixture.h"

#define MESSAGE_BYTES 300
#define MESSAGES 8
#define BLOCK_BYTES 1048576 /* more than the system takes */

static struct gate gate;

/* Publishes a message that is made beforehand. */
static void publish(struct cla_bulletin *bulletin)
{
    (void)cla_topics_publish(&gate.worker.topics, bulletin);
    cla_bulletin_put(bulletin);
}

static void read_all(struct client *c)
{
    size_t before;

    do {
        before = c->in.n;
        gate_turns(&gate);
        client_drain(c);
    } while (c->in.n > before);
}

/* What has come behind the block: whole messages, in order, from the first on. Returns how many. */
static unsigned count_messages(const struct client *c)
{
    size_t at = 10 + BLOCK_BYTES, size = 4 + MESSAGE_BYTES;
    unsigned n = 0;

    for (; at + size <= c->in.n && (c->in.p[at] & 15) == CLA_WS_TEXT; at += size)
        assert_int_equal(c->in.p[at + 4], 'a' + n++);
    return n;
}

/* Returns false once no allocation was left to fail. */
static bool run(long n)
{
    struct cla_bulletin *messages[MESSAGES], *block;
    struct cla_socket *socket;
    struct client c;
    bool failed;
    int rc;

    gate_init(&gate);
    gate_open_worker(&gate);
    topics_open(&c, &gate);
    socket = topics_last(&gate);
    block = topics_message("tea", '!', BLOCK_BYTES, CLA_SLOW_DROP, 65536);
    for (int i = 0; i < MESSAGES; i++)
        messages[i] = topics_message("tea", (char)('a' + i), MESSAGE_BYTES, CLA_SLOW_DROP, 65536);
    assert_int_equal(cla_buf_reserve(&c.in, 2 * BLOCK_BYTES), 0); /* the client's own */
    mem_fault_after(n);
    rc = topics_subscribe(socket, "tea");
    assert_true(rc == 0 || (rc == -CLA_ENOMEM && mem_fault.failed));
    publish(block);
    gate_turns(&gate);
    for (int i = 0; i < MESSAGES; i++)
        publish(messages[i]);
    failed = mem_fault.failed;
    read_all(&c);
    failed |= mem_fault.failed;
    mem_fault_off();
    if (rc != 0)
        assert_int_equal(c.in.n, 0);
    else if (count_messages(&c) != MESSAGES)
        assert_true(failed && c.ended);
    client_close(&c);
    gate_fini(&gate);
    return failed;
}

static void nobody_misses_a_message_unnoticed_whichever_allocation_fails(void **state)
{
    long n = 0, live = mem_fault.live;

    while (run(n)) {
        assert_int_equal(mem_fault.live, live);
        assert_in_range(++n, 1, 200);
    }
    assert_in_range(n, 8, 200);
    assert_int_equal(mem_fault.live, live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_misses_a_message_unnoticed_whichever_allocation_fails),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
