/* Values of settings: every kind, both sides of its limits, and how they print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/error.h"
#include "gateway/config_value.h"

/* Reads 'text' as setting 'at'; gives it printed, or NULL if it was refused. */
static const char *round_trip(size_t at, const char *text)
{
    static char printed[256];
    const struct cla_config_setting *setting = cla_config_describe(at);
    struct cla_config_value value;
    struct cla_buf remedy = {0}, to = {0};
    int rc = cla_config_value_read(setting, cla_slice_str(text), &value, &remedy);

    assert_int_equal(rc == 0, remedy.n == 0);
    cla_buf_fini(&remedy);
    if (rc != 0)
        return NULL;
    assert_int_equal(cla_config_value_print(setting, &value, &to), 0);
    assert_true(to.n < sizeof printed);
    memcpy(printed, to.n > 0 ? to.p : "", to.n);
    printed[to.n] = '\0';
    cla_buf_fini(&to);
    cla_config_value_fini(setting, &value);
    return printed;
}

static void values_print_in_the_largest_unit_that_is_exact(void **state)
{
    static const struct {
        size_t at;
        const char *text, *printed;
    } cases[] = {
        {CLA_CONFIG_AT_grace, "0", "0s"},
        {CLA_CONFIG_AT_grace, "0.5", "500ms"},
        {CLA_CONFIG_AT_grace, "90", "90s"},
        {CLA_CONFIG_AT_grace, "600s", "10m"},
        {CLA_CONFIG_AT_grace, "7200", "2h"},
        {CLA_CONFIG_AT_grace, "1500us", "1500us"},
        {CLA_CONFIG_AT_grace, "0.000000001", "0.000000001s"},
        {CLA_CONFIG_AT_grace, " 1 s ", "1s"},
        {CLA_CONFIG_AT_body_bytes, "1", "1"},
        {CLA_CONFIG_AT_body_bytes, "1000", "1000"},
        {CLA_CONFIG_AT_body_bytes, "16384", "16KiB"},
        {CLA_CONFIG_AT_body_bytes, "1.5MiB", "1536KiB"},
        {CLA_CONFIG_AT_body_bytes, "1GiB", "1GiB"},
        {CLA_CONFIG_AT_requests_per_connection, "0", "0"},
        {CLA_CONFIG_AT_half_close, "allow", "allow"},
        {CLA_CONFIG_AT_half_close, "cancel", "cancel"},
        {CLA_CONFIG_AT_access_log, "off", "off"},
        {CLA_CONFIG_AT_expose_errors, "true", "true"},
        {CLA_CONFIG_AT_origins, "", ""},
        {CLA_CONFIG_AT_origins, " https://a.test , http://[::1]:3000,null", NULL},
        {CLA_CONFIG_AT_origins, " https://a.test , http://[::1]:3000,*",
         "https://a.test,http://[::1]:3000,*"},
        {CLA_CONFIG_AT_hosts, "a.test,b.test:8080", "a.test,b.test:8080"},
        {CLA_CONFIG_AT_tls_cert, "", ""},
        {CLA_CONFIG_AT_tls_cert, " /etc/my certs/ü.pem ", "/etc/my certs/ü.pem"},
        {CLA_CONFIG_AT_tls_client_auth, "require", "require"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        const char *printed = round_trip(cases[i].at, cases[i].text);

        if (cases[i].printed == NULL)
            assert_null(printed);
        else
            assert_string_equal(printed, cases[i].printed);
    }
}

static void what_is_malformed_is_refused_with_a_remedy(void **state)
{
    static const struct {
        size_t at;
        const char *text;
    } cases[] = {
        {CLA_CONFIG_AT_max_calls, ""},
        {CLA_CONFIG_AT_max_calls, "1.5"},
        {CLA_CONFIG_AT_max_calls, "1e3"},
        {CLA_CONFIG_AT_max_calls, "0x10"},
        {CLA_CONFIG_AT_max_calls, "9999999999999999999999"},
        {CLA_CONFIG_AT_half_close, ""},
        {CLA_CONFIG_AT_half_close, "Cancel"},
        {CLA_CONFIG_AT_half_close, "cancel|allow"},
        {CLA_CONFIG_AT_expose_errors, "1"},
        {CLA_CONFIG_AT_expose_errors, ""},
        {CLA_CONFIG_AT_listen, ""},
        {CLA_CONFIG_AT_listen, ":1,:2,:1"},
        {CLA_CONFIG_AT_listen, "unix:/a mode=0660,unix:/a"},
        {CLA_CONFIG_AT_workers, "0"},
        {CLA_CONFIG_AT_workers, "Auto"},
        {CLA_CONFIG_AT_workers, "257"},
        {CLA_CONFIG_AT_origins, "https://"},
        {CLA_CONFIG_AT_origins, "https://a/"},
        {CLA_CONFIG_AT_origins, "https://a,,https://b"},
        {CLA_CONFIG_AT_origins, "://a"},
        {CLA_CONFIG_AT_origins, "https:/a"},
        {CLA_CONFIG_AT_origins, "https://a b"},
        {CLA_CONFIG_AT_tls_key, "a\nb"},
        {CLA_CONFIG_AT_tls_key, "a\x7f"},
        {CLA_CONFIG_AT_tls_key, "a\"b"},
        {CLA_CONFIG_AT_tls_key, "a\\b"},
        {CLA_CONFIG_AT_tls_client_auth, "always"},
        {CLA_CONFIG_AT_hosts, "a/b"},
        {CLA_CONFIG_AT_hosts, "a@b"},
        {CLA_CONFIG_AT_hosts, ","},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        assert_null(round_trip(cases[i].at, cases[i].text));
}

static bool is_number(const struct cla_config_setting *s)
{
    return s->kind == CLA_CONFIG_COUNT || s->kind == CLA_CONFIG_THREADS ||
           s->kind == CLA_CONFIG_BYTES || s->kind == CLA_CONFIG_DURATION;
}

/* 'number' as the setting's text, exactly; durations in whole nanoseconds. */
static const char *as_text(const struct cla_config_setting *s, uint64_t number)
{
    static char text[64];
    struct cla_buf buf = {0};

    assert_int_equal(cla_config_value_print(s, &number, &buf), 0);
    assert_true(buf.n < sizeof text);
    memcpy(text, buf.p, buf.n);
    text[buf.n] = '\0';
    cla_buf_fini(&buf);
    return text;
}

static void each_limit_admits_itself_and_refuses_one_beyond(void **state)
{
    for (size_t at = 0; at < CLA_CONFIG_SETTINGS; at++) {
        const struct cla_config_setting *s = cla_config_describe(at);

        if (!is_number(s))
            continue;
        assert_non_null(round_trip(at, as_text(s, s->least)));
        assert_non_null(round_trip(at, as_text(s, s->most)));
        assert_null(round_trip(at, as_text(s, s->most + 1)));
        if (s->least > 0 && s->kind != CLA_CONFIG_THREADS) /* whose 0 is "auto" */
            assert_null(round_trip(at, as_text(s, s->least - 1)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_print_in_the_largest_unit_that_is_exact),
        cmocka_unit_test(what_is_malformed_is_refused_with_a_remedy),
        cmocka_unit_test(each_limit_admits_itself_and_refuses_one_beyond),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
