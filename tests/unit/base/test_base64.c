#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/error.h"

/* RFC 4648 section 10. */
static const struct {
    const char *bytes, *text;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xff\xfe\xfd\xfb", "//79+w=="},
};

static void encodes_the_vectors(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(vectors); i++) {
        struct cla_buf buf = {0};

        assert_int_equal(cla_buf_push(&buf, '>'), 0);
        assert_int_equal(cla_base64_encode(&buf, cla_slice_str(vectors[i].bytes)), 0);
        assert_int_equal(cla_buf_push(&buf, '\0'), 0);
        assert_string_equal(buf.p + 1, vectors[i].text);
        cla_buf_fini(&buf);
    }
}

static int decode(const char *text, struct cla_buf *buf)
{
    *buf = (struct cla_buf){0};
    assert_int_equal(cla_buf_add(buf, cla_slice_str(text)), 0);
    return cla_base64_decode(buf);
}

static void decodes_the_vectors(void **state)
{
    struct cla_buf buf;

    for (size_t i = 0; i < CLA_ARRAY_LEN(vectors); i++) {
        assert_int_equal(decode(vectors[i].text, &buf), 0);
        assert_true(cla_slice_eq(cla_buf_slice(&buf), cla_slice_str(vectors[i].bytes)));
        cla_buf_fini(&buf);
    }
}

static void decodes_the_url_alphabet_without_padding(void **state)
{
    struct cla_buf buf;

    assert_int_equal(decode("__79-w", &buf), 0);
    assert_true(cla_slice_eq(cla_buf_slice(&buf), CLA_LIT("\xff\xfe\xfd\xfb")));
    cla_buf_fini(&buf);
}

static void refuses_other_characters_and_lengths(void **state)
{
    static const char *const bad[] = {"Zg=v", "Z g=", "Z", "Zm9vY", "Zm9\n"};
    struct cla_buf buf;

    for (size_t i = 0; i < CLA_ARRAY_LEN(bad); i++) {
        assert_int_equal(decode(bad[i], &buf), -CLA_EINVAL);
        cla_buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_the_vectors),
        cmocka_unit_test(decodes_the_vectors),
        cmocka_unit_test(decodes_the_url_alphabet_without_padding),
        cmocka_unit_test(refuses_other_characters_and_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
