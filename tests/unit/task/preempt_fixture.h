/* What the tests of slices share. Scripts have three more functions:
 *
 *     alarm()    computes for 2.5 ms, then the watchdog's signal comes
 *     signal()   only the signal
 *     pass(ms)   the virtual time goes on */
#ifndef PREEMPT_FIXTURE_H
#define PREEMPT_FIXTURE_H

#include <signal.h>
#include <time.h>

#include "coro_fixture.h"
#include "task/preempt.h"
#include "task/watchdog.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

static struct fixture fixture;

static inline uint64_t used_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * CLA_NS_PER_S + (uint64_t)t.tv_nsec;
}

static inline int l_alarm(lua_State *L)
{
    uint64_t until = used_ns() + 2500000;

    (void)L;
    while (used_ns() < until) {
    }
    return raise(CLA_WATCHDOG_SIGNAL);
}

static inline int l_signal(lua_State *L)
{
    (void)L;
    return raise(CLA_WATCHDOG_SIGNAL);
}

static inline int l_pass(lua_State *L)
{
    fixture_on(L)->loop.virtual_ns += (uint64_t)luaL_checkinteger(L, 1) * FIXTURE_MS;
    return 0;
}

static inline int open_fixture(void **state)
{
    fixture_open(&fixture, 64 << 20);
    coro_fixture_functions(fixture.vm->L);
    lua_register(fixture.vm->L, "alarm", l_alarm);
    lua_register(fixture.vm->L, "pass", l_pass);
    lua_register(fixture.vm->L, "signal", l_signal);
    cla_preempt_attach(fixture.sched);
    *state = &fixture;
    return 0;
}

static inline int close_fixture(void **state)
{
    cla_preempt_detach(fixture.sched);
    fixture_close(*state);
    return 0;
}

#endif
