/* The growing buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"

static void assert_holds(const struct cla_buf *buf, const char *text)
{
    assert_int_equal(buf->n, strlen(text));
    assert_memory_equal(buf->p, text, buf->n);
}

static void empty_append_allocates_nothing(void **state)
{
    struct cla_buf buf = {0};

    assert_int_equal(cla_buf_append(&buf, NULL, 0), 0);
    assert_null(buf.p);
    assert_int_equal(buf.n, 0);
}

static void appends_keep_their_order(void **state)
{
    struct cla_buf buf = {0};

    assert_int_equal(cla_buf_append(&buf, "ab", 2), 0);
    assert_int_equal(cla_buf_add(&buf, CLA_LIT("cd")), 0);
    assert_int_equal(cla_buf_push(&buf, 'e'), 0);
    assert_int_equal(cla_buf_printf(&buf, "%d-%s", 7, "f"), 0);
    assert_holds(&buf, "abcde7-f");
    cla_buf_fini(&buf);
}

static void growth_keeps_every_byte(void **state)
{
    struct cla_buf buf = {0};

    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(cla_buf_push(&buf, (char)i), 0);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(buf.p[i], (char)i);
    assert_true(buf.cap < 400000);
    cla_buf_fini(&buf);
}

static void reserved_room_is_used_without_moving(void **state)
{
    struct cla_buf buf = {0};
    char *p;

    assert_int_equal(cla_buf_reserve(&buf, 1000), 0);
    p = buf.p;
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(cla_buf_push(&buf, 'x'), 0);
    assert_ptr_equal(buf.p, p);
    cla_buf_fini(&buf);
}

static void absurd_growth_is_refused_and_changes_nothing(void **state)
{
    struct cla_buf buf = {0};

    assert_int_equal(cla_buf_append(&buf, "keep", 4), 0);
    assert_int_equal(cla_buf_reserve(&buf, SIZE_MAX), -CLA_ENOMEM);
    assert_int_equal(cla_buf_reserve(&buf, SIZE_MAX / 2), -CLA_ENOMEM);
    assert_holds(&buf, "keep");
    cla_buf_fini(&buf);
}

static void printf_longer_than_the_buffer_is_whole(void **state)
{
    struct cla_buf buf = {0};

    assert_int_equal(cla_buf_printf(&buf, "%0500d", 7), 0);
    assert_int_equal(buf.n, 500);
    assert_int_equal(buf.p[0], '0');
    assert_int_equal(buf.p[499], '7');
    cla_buf_fini(&buf);
}

static void drop_removes_from_the_front(void **state)
{
    struct cla_buf buf = {0};

    assert_int_equal(cla_buf_append(&buf, "abcdef", 6), 0);
    cla_buf_drop(&buf, 0);
    assert_holds(&buf, "abcdef");
    cla_buf_drop(&buf, 2);
    assert_holds(&buf, "cdef");
    cla_buf_drop(&buf, 4);
    assert_int_equal(buf.n, 0);
    cla_buf_fini(&buf);
}

static void take_moves_and_leaves_an_empty_buffer(void **state)
{
    struct cla_buf buf = {0}, taken;

    assert_int_equal(cla_buf_append(&buf, "abc", 3), 0);
    taken = cla_buf_take(&buf);
    assert_holds(&taken, "abc");
    assert_null(buf.p);
    assert_int_equal(buf.n, 0);
    assert_int_equal(buf.cap, 0);
    assert_int_equal(cla_buf_push(&buf, 'z'), 0);
    assert_holds(&buf, "z");
    cla_buf_fini(&buf);
    cla_buf_fini(&taken);
}

static void fini_twice_is_once(void **state)
{
    struct cla_buf buf = {0};

    assert_int_equal(cla_buf_push(&buf, 'a'), 0);
    cla_buf_fini(&buf);
    cla_buf_fini(&buf);
    assert_null(buf.p);
    assert_int_equal(buf.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_append_allocates_nothing),
        cmocka_unit_test(appends_keep_their_order),
        cmocka_unit_test(growth_keeps_every_byte),
        cmocka_unit_test(reserved_room_is_used_without_moving),
        cmocka_unit_test(absurd_growth_is_refused_and_changes_nothing),
        cmocka_unit_test(printf_longer_than_the_buffer_is_whole),
        cmocka_unit_test(drop_removes_from_the_front),
        cmocka_unit_test(take_moves_and_leaves_an_empty_buffer),
        cmocka_unit_test(fini_twice_is_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
