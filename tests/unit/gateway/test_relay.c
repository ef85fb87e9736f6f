#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/relay.h"

#define MANY 10000
#define LIMIT 1024
#define MESSAGE_BYTES 100
#define COST (sizeof(struct cla_letter) + 2 + MESSAGE_BYTES)

/* Two workers, both on this thread. */
static struct cla_loop loops[2];
static struct cla_relay relays[2];
static unsigned received;
static char last;
static struct cla_letter *kept; /* the letter that came last, if 'keep' */
static bool keep;
static unsigned rooms;

static void on_letter(void *arg, struct cla_letter *letter)
{
    received++;
    last = letter->bulletin->messages[CLA_LANGUAGE_JSONRPC].p[0];
    if (keep) {
        letter->uses++;
        kept = letter;
    }
}

static void on_room(void *arg)
{
    if (arg == &relays[0])
        rooms++;
}

static const struct cla_relay_events events = {on_letter, on_room};

static int open_relays(void **state)
{
    received = rooms = 0;
    keep = false;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cla_loop_init(&loops[i]), 0);
        assert_int_equal(cla_relay_open(&relays[i], &loops[i], relays, 2, LIMIT), 0);
        cla_relay_set_events(&relays[i], &events, &relays[i]);
        atomic_store(&relays[i].listeners, 1);
    }
    return 0;
}

static int close_relays(void **state)
{
    for (int i = 0; i < 2; i++)
        cla_relay_deafen(&relays[i]);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(atomic_load(&relays[i].passing), 0);
        assert_int_equal(atomic_load(&relays[i].held), 0);
        cla_relay_close(&relays[i]);
        cla_loop_fini(&loops[i]);
    }
    return 0;
}

static struct cla_bulletin *message(char c, enum cla_slow slow)
{
    const struct cla_topic_rules rules = {.slow = slow};
    char text[MESSAGE_BYTES];
    const struct cla_slice messages[CLA_LANGUAGES] = {{text, sizeof text}};
    struct cla_bulletin *bulletin;

    memset(text, c, sizeof text);
    assert_int_equal(cla_bulletin_new(&bulletin, CLA_LIT("tea"), false, &rules, messages), 0);
    return bulletin;
}

static unsigned post(char c, enum cla_slow slow)
{
    struct cla_bulletin *bulletin = message(c, slow);
    unsigned lost = cla_relay_send(&relays[0], bulletin);

    cla_bulletin_put(bulletin);
    return lost;
}

static void step(int at)
{
    cla_loop_step(&loops[at], false);
}

static void messages_reach_the_other_worker_alone(void **state)
{
    assert_int_equal(post('a', CLA_SLOW_DROP), 0);
    step(0);
    assert_int_equal(received, 0);
    step(1);
    assert_int_equal(received, 1);
    assert_int_equal(last, 'a');
}

static void nothing_is_sent_to_who_does_not_listen(void **state)
{
    atomic_store(&relays[1].listeners, 0);
    assert_int_equal(post('a', CLA_SLOW_DROP), 0);
    step(1);
    assert_int_equal(received, 0);
}

static void more_than_the_limit_is_lost_until_it_is_taken_up(void **state)
{
    unsigned fit = LIMIT / COST;

    for (unsigned i = 0; i < fit; i++)
        assert_int_equal(post('a', CLA_SLOW_DROP), 0);
    assert_int_equal(post('b', CLA_SLOW_DROP), 1);
    assert_int_equal(post('c', CLA_SLOW_SUSPEND), 0); /* another account */
    step(1);
    assert_int_equal(received, fit + 1);
    assert_int_equal(post('d', CLA_SLOW_CLOSE), 0);
}

static void one_message_always_finds_room(void **state)
{
    relays[0].bytes = relays[1].bytes = 1;
    assert_int_equal(post('a', CLA_SLOW_DROP), 0);
    assert_int_equal(post('b', CLA_SLOW_DROP), 1);
}

static void who_waits_learns_of_room_when_all_have_the_message(void **state)
{
    struct cla_bulletin *next = message('n', CLA_SLOW_SUSPEND);

    relays[0].bytes = relays[1].bytes = COST;
    keep = true;
    assert_true(cla_relay_has_room(&relays[0], next));
    assert_int_equal(post('a', CLA_SLOW_SUSPEND), 0);
    assert_false(cla_relay_has_room(&relays[0], next));
    cla_relay_want(&relays[0]);
    step(1);
    step(0);
    assert_int_equal(rooms, 0); /* taken up, but not delivered */
    cla_letter_put(kept);
    step(0);
    assert_int_equal(rooms, 1);
    assert_true(cla_relay_has_room(&relays[0], next));
    cla_bulletin_put(next);
}

static void nobody_waits_for_a_worker_that_has_ended(void **state)
{
    struct cla_bulletin *next = message('n', CLA_SLOW_SUSPEND);

    relays[0].bytes = relays[1].bytes = COST;
    assert_int_equal(post('a', CLA_SLOW_SUSPEND), 0);
    assert_int_equal(post('a', CLA_SLOW_DROP), 0);
    cla_relay_want(&relays[0]);
    cla_relay_deafen(&relays[1]);
    step(0);
    assert_int_equal(rooms, 1);
    assert_int_equal(post('b', CLA_SLOW_SUSPEND), 0);
    assert_true(cla_relay_has_room(&relays[0], next));
    assert_int_equal(received, 0);
    cla_bulletin_put(next);
}

static void a_language_is_spoken_if_any_worker_has_a_client_of_it(void **state)
{
    assert_false(cla_relay_speaks(&relays[0], CLA_LANGUAGE_FRAMES));
    atomic_store(&relays[1].clients[CLA_LANGUAGE_FRAMES], 1);
    assert_true(cla_relay_speaks(&relays[0], CLA_LANGUAGE_FRAMES));
    assert_false(cla_relay_speaks(&relays[0], CLA_LANGUAGE_JSONRPC));
}

static void post_many(void *arg)
{
    for (unsigned sent = 0; sent < MANY;)
        sent += post((char)('a' + sent % 26), CLA_SLOW_DROP) == 0;
}

static void messages_come_from_another_thread_and_none_is_lost_unnoticed(void **state)
{
    uv_thread_t thread;

    assert_int_equal(uv_thread_create(&thread, post_many, NULL), 0);
    while (received < MANY)
        cla_loop_step(&loops[1], true);
    uv_thread_join(&thread);
    assert_int_equal(last, 'a' + (MANY - 1) % 26);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_relays, close_relays)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_reach_the_other_worker_alone),
        TEST(nothing_is_sent_to_who_does_not_listen),
        TEST(more_than_the_limit_is_lost_until_it_is_taken_up),
        TEST(one_message_always_finds_room),
        TEST(who_waits_learns_of_room_when_all_have_the_message),
        TEST(nobody_waits_for_a_worker_that_has_ended),
        TEST(a_language_is_spoken_if_any_worker_has_a_client_of_it),
        TEST(messages_come_from_another_thread_and_none_is_lost_unnoticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
