/* Calls that wait for room, and what becomes of the wait without memory for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "gateway/call.h"
#include "mem_fault.h"

struct fixture {
    struct cla_writers writers;
    struct cla_call_env env;
    struct cla_request request;
    struct cla_call call;
    bool room;
    unsigned calls;
};

struct sender {
    struct cla_writer writer;
    unsigned calls;
};

static struct fixture f;
static const struct cla_procedure procedure = {.name = {"p", 1}};

static bool has_room(const struct cla_writers *writers)
{
    return f.room;
}

static struct cla_writers *writers(const struct cla_call *call)
{
    return &f.writers;
}

static void nothing(struct cla_call *call)
{
}

static void no_error(struct cla_call *call, const struct cla_rpc_error *error)
{
}

static const struct cla_call_sink sink = {
    .part_writers = writers,
    .result_rollback = nothing,
    .error = no_error,
    .release = nothing,
};

static void on_room(struct cla_call *call)
{
    assert_ptr_equal(call, &f.call);
    f.calls++;
}

static void on_sender(struct cla_writer *writer)
{
    CLA_CONTAINER(writer, struct sender, writer)->calls++;
}

static void init_sender(struct sender *sender)
{
    *sender = (struct sender){.writer.on_room = on_sender};
    cla_list_init(&sender->writer.link);
    cla_list_init(&sender->writer.of_call);
}

static int set_up(void **state)
{
    f = (struct fixture){.env.access_log = CLA_ACCESS_LOG_OFF};
    cla_writers_init(&f.writers, has_room);
    f.request = (struct cla_request){.env = &f.env, .sink = &sink, .writers = &f.writers};
    f.call = (struct cla_call){.request = &f.request, .procedure = &procedure};
    return 0;
}

static int tear_down(void **state)
{
    mem_fault_off();
    cla_call_release(&f.call);
    return mem_fault.live == 0 ? 0 : -1;
}

static void a_call_that_finds_room_waits_for_nothing(void **state)
{
    f.room = true;
    assert_false(cla_call_wait_room(&f.call, on_room));
    assert_int_equal(mem_fault.live, 0);
}

static void a_call_waits_until_there_is_room_and_looks_again(void **state)
{
    assert_true(cla_call_wait_room(&f.call, on_room));
    f.room = true;
    cla_writers_pass(&f.writers);
    assert_int_equal(f.calls, 1);
    f.room = false; /* something that cannot wait has taken it */
    assert_true(cla_call_wait_room(&f.call, on_room));
    f.room = true;
    cla_writers_pass(&f.writers);
    assert_int_equal(f.calls, 2);
    assert_false(cla_call_wait_room(&f.call, on_room));
}

static void a_call_that_leaves_is_not_called(void **state)
{
    assert_true(cla_call_wait_room(&f.call, on_room));
    cla_call_leave_room(&f.call);
    f.room = true;
    cla_writers_pass(&f.writers);
    assert_int_equal(f.calls, 0);
}

static void without_memory_to_wait_a_call_goes_on(void **state)
{
    mem_fault_after(0);
    assert_false(cla_call_wait_room(&f.call, on_room));
    assert_true(mem_fault.failed);
    assert_true(cla_list_empty(&f.writers.waiting));
}

static void who_sends_for_a_call_is_called_when_it_ends(void **state)
{
    const struct cla_rpc_error error = {.code = CLA_CODE_NOT_FOUND};
    struct sender one, other;

    init_sender(&one);
    init_sender(&other);
    assert_false(cla_call_has_senders(&f.call));
    assert_false(cla_call_take_turn(&f.call, &one.writer));
    assert_false(cla_call_take_turn(&f.call, &other.writer));
    cla_call_leave_turn(&f.call, &other.writer);
    assert_true(cla_call_has_senders(&f.call));
    assert_true(cla_call_fail(&f.call, &error));
    assert_false(cla_call_has_senders(&f.call));
    assert_int_equal(one.calls, 1);
    assert_int_equal(other.calls, 0);
}

static void without_memory_to_wait_who_sends_has_its_turn(void **state)
{
    struct sender one;

    init_sender(&one);
    mem_fault_after(0);
    assert_true(cla_call_take_turn(&f.call, &one.writer));
    assert_true(mem_fault.failed);
    assert_true(cla_list_empty(&f.writers.waiting));
    assert_false(cla_call_has_senders(&f.call));
}

static const struct cla_call_tokens tokens = {.item = {"\"t\"", 3}};

static void a_call_with_tokens_waits_as_others_do(void **state)
{
    assert_int_equal(cla_call_set_tokens(&f.call, &tokens), 0);
    f.room = true;
    assert_false(cla_call_wait_room(&f.call, on_room));
    f.room = false;
    assert_true(cla_call_wait_room(&f.call, on_room));
    assert_true(cla_slice_eq(cla_call_token(&f.call, CLA_CALL_ITEM), CLA_LIT("\"t\"")));
    assert_int_equal(cla_call_token(&f.call, CLA_CALL_PROGRESS).n, 0);
    f.room = true;
    cla_writers_pass(&f.writers);
    assert_int_equal(f.calls, 1);
}

static void a_call_that_waits_has_no_tokens(void **state)
{
    assert_true(cla_call_wait_room(&f.call, on_room));
    assert_int_equal(cla_call_token(&f.call, CLA_CALL_ITEM).n, 0);
    assert_int_equal(cla_call_token(&f.call, CLA_CALL_PROGRESS).n, 0);
}

static void without_memory_there_are_no_tokens(void **state)
{
    mem_fault_after(0);
    assert_int_equal(cla_call_set_tokens(&f.call, &tokens), -CLA_ENOMEM);
    assert_int_equal(cla_call_token(&f.call, CLA_CALL_ITEM).n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_that_finds_room_waits_for_nothing),
        TEST(a_call_waits_until_there_is_room_and_looks_again),
        TEST(a_call_that_leaves_is_not_called),
        TEST(without_memory_to_wait_a_call_goes_on),
        TEST(who_sends_for_a_call_is_called_when_it_ends),
        TEST(without_memory_to_wait_who_sends_has_its_turn),
        TEST(a_call_with_tokens_waits_as_others_do),
        TEST(a_call_that_waits_has_no_tokens),
        TEST(without_memory_there_are_no_tokens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
