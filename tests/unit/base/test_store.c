/* The shared store: one key, many keys, memory, time, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/store.h"

#define BYTES (1 << 20)
#define THREADS 4
#define TIMES 20000

static struct cla_store *store;
static struct cla_buf value;

static int open_store(void **state)
{
    return cla_store_new(&store, BYTES);
}

static int close_store(void **state)
{
    cla_store_free(store);
    cla_buf_fini(&value);
    return 0;
}

static enum cla_store_verdict put(void *arg, const struct cla_store_item *old,
                                  struct cla_store_item *fresh)
{
    *fresh = *(const struct cla_store_item *)arg;
    return CLA_STORE_PUT;
}

static enum cla_store_verdict keep(void *arg, const struct cla_store_item *old,
                                   struct cla_store_item *fresh)
{
    *(bool *)arg = old != NULL;
    return CLA_STORE_KEEP;
}

static enum cla_store_verdict erase(void *arg, const struct cla_store_item *old,
                                    struct cla_store_item *fresh)
{
    return CLA_STORE_DELETE;
}

static int set(const char *key, struct cla_slice text, uint64_t now, uint64_t expires)
{
    struct cla_store_item item = {.value = text, .expires_ns = expires};

    return cla_store_update(store, cla_slice_str(key), now, put, &item);
}

/* The version of 'key', whose value must be 'want'; 0 where there is none, if 'want' is NULL. */
static uint64_t require(const char *key, uint64_t now, const char *want)
{
    struct cla_store_item item = {0};
    int rc;

    value.n = 0;
    rc = cla_store_get(store, cla_slice_str(key), now, &value, &item);
    assert_int_equal(rc, want != NULL);
    if (want != NULL)
        assert_true(cla_slice_eq(cla_buf_slice(&value), cla_slice_str(want)));
    return item.version;
}

static void item_is_found_changed_and_deleted(void **state)
{
    uint64_t first, second;
    bool there;

    (void)require("k", 0, NULL);
    assert_int_equal(set("k", CLA_LIT("one"), 0, CLA_NEVER), 0);
    first = require("k", 0, "one");
    assert_int_equal(set("k", CLA_LIT("three"), 0, CLA_NEVER), 0);
    second = require("k", 0, "three");
    assert_int_not_equal(first, second);
    assert_int_equal(set("k", CLA_LIT("seven"), 0, CLA_NEVER), 0); /* of the same length */
    assert_int_not_equal(require("k", 0, "seven"), second);
    assert_int_equal(cla_store_update(store, CLA_LIT("k"), 0, keep, &there), 0);
    assert_true(there);
    assert_int_equal(cla_store_update(store, CLA_LIT("k"), 0, erase, NULL), 0);
    (void)require("k", 0, NULL);
    assert_int_equal(cla_store_used(store), 0);
}

static void many_items_are_all_found(void **state)
{
    char key[16], text[16];

    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        snprintf(text, sizeof text, "v%d", i);
        assert_int_equal(set(key, cla_slice_str(text), 0, CLA_NEVER), 0);
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        snprintf(text, sizeof text, "v%d", i);
        (void)require(key, 0, text);
    }
}

static void item_expires_at_its_time(void **state)
{
    bool there;

    assert_int_equal(set("k", CLA_LIT("v"), 0, 100), 0);
    (void)require("k", 99, "v");
    (void)require("k", 100, NULL);
    assert_int_equal(cla_store_update(store, CLA_LIT("k"), 100, keep, &there), 0);
    assert_false(there);
    assert_int_equal(cla_store_used(store), 0); /* found so, it went */
}

static void expired_items_go_bit_by_bit_as_others_are_written(void **state)
{
    char key[16];

    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "old%d", i);
        assert_int_equal(set(key, CLA_LIT("v"), 0, 100), 0);
    }
    for (int i = 0; i < 10000; i++) {
        snprintf(key, sizeof key, "new%d", i % 100);
        assert_int_equal(set(key, CLA_LIT("v"), 200, CLA_NEVER), 0);
    }
    assert_true(cla_store_used(store) < 100 * 128);
}

static void store_is_full_at_its_bytes_and_not_before(void **state)
{
    static char block[BYTES];
    size_t own;

    assert_int_equal(set("a", cla_slice(block, 1000), 0, 100), 0);
    own = cla_store_used(store) - 1001;
    assert_int_equal(set("b", cla_slice(block, BYTES - 1001 - 2 * own), 0, CLA_NEVER), -CLA_ELIMIT);
    (void)require("b", 0, NULL);
    assert_int_equal(set("b", cla_slice(block, BYTES - 1001 - 2 * own - 1), 0, CLA_NEVER), 0);
    assert_int_equal(cla_store_used(store), BYTES);
    assert_int_equal(set("a", cla_slice(block, 1001), 0, 100), -CLA_ELIMIT);
    assert_int_equal(set("a", cla_slice(block, 1000), 0, 100), 0); /* in its own place */
    assert_int_equal(set("a", cla_slice(block, 999), 0, 100), 0);
    assert_int_equal(set("c", cla_slice(block, 900), 0, CLA_NEVER), -CLA_ELIMIT);
    assert_int_equal(set("c", cla_slice(block, 900), 100, CLA_NEVER), 0); /* 'a' has expired */
    assert_int_equal(set("d", cla_slice(block, BYTES), 0, CLA_NEVER), -CLA_ELIMIT);
}

static enum cla_store_verdict count(void *arg, const struct cla_store_item *old,
                                    struct cla_store_item *fresh)
{
    uint64_t *n = arg;

    *n = 0;
    if (old != NULL)
        memcpy(n, old->value.p, sizeof *n);
    (*n)++;
    fresh->value = cla_slice((const char *)n, sizeof *n);
    return CLA_STORE_PUT;
}

static void *count_often(void *arg)
{
    uint64_t n;

    for (int i = 0; i < TIMES; i++)
        (void)cla_store_update(store, CLA_LIT("n"), 0, count, &n);
    return NULL;
}

static void threads_lose_no_change(void **state)
{
    pthread_t threads[THREADS];
    uint64_t n;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_often, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(cla_store_update(store, CLA_LIT("n"), 0, count, &n), 0);
    assert_int_equal(n, THREADS * TIMES + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(item_is_found_changed_and_deleted),
        TEST(many_items_are_all_found),
        TEST(item_expires_at_its_time),
        TEST(expired_items_go_bit_by_bit_as_others_are_written),
        TEST(store_is_full_at_its_bytes_and_not_before),
        TEST(threads_lose_no_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
