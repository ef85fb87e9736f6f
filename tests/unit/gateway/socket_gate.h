/* What the tests of a worker's WebSockets share: one worker and one client, made and ended around
 * each test. Include it in one file of a test program. */
#ifndef CLA_TEST_SOCKET_GATE_H
#define CLA_TEST_SOCKET_GATE_H

#include "socket_fixture.h"

static struct gate gate;
static struct client c;

static int set_up(void **state)
{
    gate_init(&gate);
    return 0;
}

static int tear_down(void **state)
{
    client_close(&c);
    gate_fini(&gate);
    return 0;
}

/* Connects the client, as a WebSocket. */
static inline void socket_gate_open(void)
{
    gate_open_worker(&gate);
    socket_upgrade(&c, &gate);
}

/* The worker has let the connection go. */
static inline void socket_gate_require_gone(void)
{
    gate_turns(&gate);
    assert_int_equal(gate.worker.conn_count, 0);
    assert_int_equal(gate.worker.env.in_flight, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
