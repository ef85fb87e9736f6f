/* What may stand in 'listen'. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "gateway/listen.h"

static void addresses_are_read_in_each_form(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned port;
    } cases[] = {
        {"127.0.0.1:3000", "127.0.0.1", 3000},
        {"0.0.0.0:0", "0.0.0.0", 0},
        {"[::1]:80", "::1", 80},
        {"[::]:65535", "::", 65535},
        {"[fe80::1:2]:1", "fe80::1:2", 1},
        {":3000", "", 3000},
        {"localhost:8080", "localhost", 8080},
        {"my-host.example:1", "my-host.example", 1},
        {"1.2.3.4.example:1", "1.2.3.4.example", 1},
    };
    struct cla_listen address;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_buf text = {0};

        assert_null(cla_listen_read(cla_slice_str(cases[i].text), &address));
        assert_string_equal(address.host, cases[i].host);
        assert_int_equal(address.port, cases[i].port);
        assert_int_equal(cla_listen_print(&address, &text), 0);
        assert_true(cla_slice_eq(cla_buf_slice(&text), cla_slice_str(cases[i].text)));
        cla_buf_fini(&text);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const cases[] = {
        "3000",         ":",           "127.0.0.1", "127.0.0.1:",      "127.0.0.1:65536",
        "127.0.0.1:-1", "127.0.0.1:x", "a:1:2",     "::1:3000",        "[::1]",
        "[::1]3000",    "[]:1",        "[::g]:1",   "[127.0.0.1]:1",   "256.0.0.1:1",
        "1.2.3:1",      "ftp://a:1",   "a b:1",     "*:3000",          "127.0.0.1:000080",
        "http://",      "https://a",   "unix:",     "unix: mode=0600", "[::1:1",
        "::1]:1",
    };
    struct cla_listen address;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        if (cla_listen_read(cla_slice_str(cases[i]), &address) == NULL)
            fail_msg("'%s' was taken for an address", cases[i]);
    }
    assert_non_null(cla_listen_read(CLA_LIT("a\0b:1"), &address));
}

static void the_longest_host_is_255_bytes(void **state)
{
    struct cla_listen address;
    char text[256 + 2];

    memset(text, 'a', sizeof text);
    memcpy(text + 255, ":1", 2);
    assert_null(cla_listen_read(cla_slice(text, 257), &address));
    assert_int_equal(strlen(address.host), 255);
    memset(text, 'a', sizeof text);
    memcpy(text + 256, ":1", 2);
    assert_non_null(cla_listen_read(cla_slice(text, 258), &address));
}

static struct cla_listen read_item(const char *text)
{
    struct cla_listen listen;
    const char *why = cla_listen_read(cla_slice_str(text), &listen);

    if (why != NULL)
        fail_msg("'%s' %s", text, why);
    return listen;
}

static void a_url_is_an_address_too(void **state)
{
    struct cla_listen plain = read_item("http://127.0.0.1:80/"),
                      tls = read_item("https://[::1]:443");

    assert_string_equal(plain.host, "127.0.0.1");
    assert_false(plain.tls);
    assert_string_equal(tls.host, "::1");
    assert_int_equal(tls.port, 443);
    assert_true(tls.tls);
}

static void a_unix_socket_is_a_path_and_nobody_elses_by_default(void **state)
{
    struct cla_listen own = read_item("unix:/run/a:1.sock"),
                      shared = read_item("unix:/run/b  mode=0660");

    assert_true(own.local);
    assert_string_equal(own.host, "/run/a:1.sock");
    assert_int_equal(own.mode, 0600);
    assert_string_equal(shared.host, "/run/b");
    assert_int_equal(shared.mode, 0660);
}

static void a_path_fits_what_the_system_takes(void **state)
{
    struct cla_listen listen;
    char text[5 + CLA_LISTEN_PATH];

    memset(text, 'a', sizeof text);
    memcpy(text, "unix:", 5);
    assert_null(cla_listen_read(cla_slice(text, sizeof text - 1), &listen));
    assert_int_equal(strlen(listen.host), CLA_LISTEN_PATH - 1);
    assert_non_null(cla_listen_read(cla_slice(text, sizeof text), &listen));
}

static void passed_sockets_are_all_or_those_of_a_name(void **state)
{
    static const struct {
        const char *text, *name, *printed;
        bool tls;
    } cases[] = {
        {"systemd", "", "systemd", false},
        {"systemd:web", "web", "systemd:web", false},
        {"http://systemd/", "", "systemd", false},
        {"https://systemd half_close=allow", "", "https://systemd", true},
        {"https://systemd:3000", "3000", "https://systemd:3000", true},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_listen listen = read_item(cases[i].text);
        struct cla_buf text = {0};

        assert_true(listen.passed);
        assert_false(listen.local);
        assert_string_equal(listen.host, cases[i].name);
        assert_int_equal(listen.tls, cases[i].tls);
        assert_int_equal(cla_listen_print(&listen, &text), 0);
        assert_true(cla_slice_eq(cla_buf_slice(&text), cla_slice_str(cases[i].printed)));
        cla_buf_fini(&text);
    }
    assert_false(read_item("systemd.example:80").passed);
}

static void names_of_passed_sockets_are_what_a_socket_unit_may_write(void **state)
{
    static const char *const wrong[] = {"systemd:", "systemd:a:b", "systemd:a\x7f", "systemd:\t",
                                        "systemdx"};
    struct cla_listen listen;
    char text[8 + 256];

    for (size_t i = 0; i < CLA_ARRAY_LEN(wrong); i++)
        assert_non_null(cla_listen_read(cla_slice_str(wrong[i]), &listen));
    memset(text, 'a', sizeof text);
    memcpy(text, "systemd:", 8);
    assert_null(cla_listen_read(cla_slice(text, 8 + 255), &listen));
    assert_int_equal(strlen(listen.host), 255);
    assert_non_null(cla_listen_read(cla_slice(text, 8 + 256), &listen));
}

static void half_close_is_the_listeners_own_or_not_said(void **state)
{
    assert_false(read_item(":1").half_close_set);
    assert_true(read_item(":1 half_close=cancel").half_close_set);
    assert_int_equal(read_item(":1 half_close=cancel").half_close, CLA_HALF_CLOSE_CANCEL);
    assert_int_equal(read_item(":1 half_close=allow").half_close, CLA_HALF_CLOSE_ALLOW);
}

static void wrong_options_are_named(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {":1 mode=0600", "has a wrong mode"},
        {"unix:/a mode=", "has a wrong mode"},
        {"unix:/a mode=888", "has a wrong mode"},
        {"unix:/a mode=1777", "has a wrong mode"},
        {"unix:/a mode=7", "has a wrong mode"},
        {":1 half_close=maybe", "has a wrong half_close"},
        {"systemd mode=0600", "has a wrong mode"},
        {":1 nonsense", "has an unknown option"},
        {":1 backlog=5", "has an unknown option"},
    };
    struct cla_listen listen;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        const char *why = cla_listen_read(cla_slice_str(cases[i].text), &listen);

        assert_non_null(why);
        assert_ptr_equal(strstr(why, cases[i].why), why);
    }
}

static void the_same_port_of_the_same_address_is_the_same(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"127.0.0.1:80", "http://127.0.0.1:80 half_close=allow", true},
        {"127.0.0.1:80", "https://127.0.0.1:80", true},
        {"127.0.0.1:80", "127.0.0.1:81", false},
        {"127.0.0.1:80", "[::1]:80", false},
        {"127.0.0.1:0", "127.0.0.1:0", false}, /* any free port, twice */
        {"unix:/a", "unix:/a mode=0660", true},
        {"unix:/a", "unix:/b", false},
        {"unix:a", "a:0", false},
        {"systemd", "systemd", true},
        {"systemd", "https://systemd:a", true}, /* it is one of them */
        {"systemd:a", "systemd:a half_close=allow", true},
        {"systemd:a", "systemd:b", false},
        {"systemd:a", "unix:a", false},
        {"systemd", ":0", false},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_listen a = read_item(cases[i].a), b = read_item(cases[i].b);

        assert_int_equal(cla_listen_same(&a, &b), cases[i].same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_in_each_form),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(the_longest_host_is_255_bytes),
        cmocka_unit_test(a_url_is_an_address_too),
        cmocka_unit_test(a_unix_socket_is_a_path_and_nobody_elses_by_default),
        cmocka_unit_test(a_path_fits_what_the_system_takes),
        cmocka_unit_test(passed_sockets_are_all_or_those_of_a_name),
        cmocka_unit_test(names_of_passed_sockets_are_what_a_socket_unit_may_write),
        cmocka_unit_test(half_close_is_the_listeners_own_or_not_said),
        cmocka_unit_test(wrong_options_are_named),
        cmocka_unit_test(the_same_port_of_the_same_address_is_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
