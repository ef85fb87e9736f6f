#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "gateway/mailbox.h"

#define MANY 10000

static struct cla_loop loop;
static struct cla_mailbox box;
static unsigned received;
static int last_fd;
static unsigned asked;

static void on_message(void *arg, struct cla_message *message)
{
    assert_ptr_equal(arg, &box);
    if (message->kind == CLA_MESSAGE_SURVEY) {
        asked = message->count;
        return;
    }
    assert_int_equal(message->count, received); /* in the order of posting */
    last_fd = message->arrival.fd;
    received++;
}

static int open_box(void **state)
{
    received = 0;
    asked = 0;
    assert_int_equal(cla_loop_init(&loop), 0);
    return cla_mailbox_open(&box, &loop, on_message, &box);
}

static int close_box(void **state)
{
    cla_mailbox_close(&box);
    cla_loop_fini(&loop);
    return 0;
}

static void post_count(unsigned count, int fd)
{
    const struct cla_message message = {
        .kind = CLA_MESSAGE_CONNECTION, .arrival.fd = fd, .count = count};

    assert_int_equal(cla_mailbox_post(&box, &message), 0);
}

static void messages_arrive_in_order_on_the_loop(void **state)
{
    for (unsigned i = 0; i < 5; i++)
        post_count(i, (int)i);
    assert_int_equal(received, 0);
    cla_loop_step(&loop, true);
    assert_int_equal(received, 5);
    assert_int_equal(last_fd, 4);
}

static void post_many(void *arg)
{
    for (unsigned i = 0; i < MANY; i++)
        post_count(i, -1);
}

static void messages_arrive_from_another_thread(void **state)
{
    uv_thread_t thread;

    assert_int_equal(uv_thread_create(&thread, post_many, NULL), 0);
    while (received < MANY)
        cla_loop_step(&loop, true);
    uv_thread_join(&thread);
    assert_int_equal(received, MANY);
}

static void descriptors_that_were_not_received_are_closed(void **state)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    post_count(0, fds[0]);
    close_box(state);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
    close(fds[1]);
    open_box(state);
}

static void one_kind_can_be_received_out_of_turn(void **state)
{
    const struct cla_message survey = {.kind = CLA_MESSAGE_SURVEY, .count = 7};

    post_count(0, -1);
    assert_int_equal(cla_mailbox_post(&box, &survey), 0);
    post_count(1, -1);
    cla_mailbox_receive(&box, CLA_MESSAGE_SURVEY);
    assert_int_equal(asked, 7);
    assert_int_equal(received, 0);
    asked = 0;
    cla_mailbox_receive(&box, CLA_MESSAGE_SURVEY);
    assert_int_equal(asked, 0);
    post_count(2, -1);
    cla_loop_step(&loop, true);
    assert_int_equal(received, 3); /* in the order of posting */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_arrive_in_order_on_the_loop),
        TEST(messages_arrive_from_another_thread),
        TEST(one_kind_can_be_received_out_of_turn),
        TEST(descriptors_that_were_not_received_are_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
