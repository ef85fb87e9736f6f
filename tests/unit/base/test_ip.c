/* IP addresses and networks: text, bytes, and who is in which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/error.h"
#include "base/ip.h"

static struct cla_ip ip(const char *text)
{
    struct cla_ip ip;

    if (cla_ip_read(cla_slice_str(text), &ip) != 0)
        fail_msg("'%s' is no address", text);
    return ip;
}

static void addresses_print_as_they_are_read(void **state)
{
    static const struct {
        const char *text;
        int port;
        const char *printed;
    } cases[] = {
        {"192.0.2.1", 80, "192.0.2.1:80"},
        {"192.0.2.1", -1, "192.0.2.1"},
        {"2001:db8::1", 443, "[2001:db8::1]:443"},
        {"2001:DB8:0:0:0:0:0:1", -1, "[2001:db8::1]"},
        {"::ffff:192.0.2.1", 0, "192.0.2.1:0"}, /* one client, not two */
        {"::", 65535, "[::]:65535"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 65535,
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    };
    char text[CLA_IP_TEXT];

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_ip address = ip(cases[i].text);

        assert_int_equal(cla_ip_print(&address, cases[i].port, text), strlen(cases[i].printed));
        assert_string_equal(text, cases[i].printed);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const cases[] = {
        "",          "1",        "1.2.3",    "1.2.3.4.5",
        "256.1.1.1", "1.2.3.4 ", "1.2.3.04", "[::1]",
        "::1%lo",    "::g",      "1::2::3",  "1.2.3.4:80",
        "localhost", "1.2.3.-4", "0x7f.1",   "1111:2222:3333:4444:5555:6666:255.255.255.2555",
    };
    struct cla_ip address;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        if (cla_ip_read(cla_slice_str(cases[i]), &address) != -CLA_EINVAL)
            fail_msg("'%s' was taken for an address", cases[i]);
    }
    assert_int_equal(cla_ip_read(CLA_LIT("1.2.3.4\0"), &address), -CLA_EINVAL);
}

static void a_network_holds_what_begins_alike(void **state)
{
    static const struct {
        const char *net, *ip;
        bool in;
    } cases[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1/32", "192.0.2.1", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "10.0.0.1", true},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::8000/113", "2001:db8::ffff", true},
        {"2001:db8::8000/113", "2001:db8::7fff", false},
        {"::1", "::1", true},
        {"::1/128", "::2", false},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_ip address = ip(cases[i].ip);
        struct cla_ip_net net;

        assert_int_equal(cla_ip_net_read(cla_slice_str(cases[i].net), &net), 0);
        if (cla_ip_in(&address, &net) != cases[i].in)
            fail_msg("%s in %s", cases[i].ip, cases[i].net);
    }
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const cases[] = {
        "",       "/",      "/8",      "10.0.0.0/",    "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.1/8",
        "::1/64", "::/129", "::/1000", "10.0.0.0/8/8", "10.0.0.0/ 8", "a/8",         "10.0.0.0/0x8",
    };
    struct cla_ip_net net;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        if (cla_ip_net_read(cla_slice_str(cases[i]), &net) != -CLA_EINVAL)
            fail_msg("'%s' was taken for a network", cases[i]);
    }
}

static void loopback_is_127_and_one(void **state)
{
    static const struct {
        const char *text;
        bool loopback;
    } cases[] = {
        {"127.0.0.1", true},  {"127.255.255.255", true},
        {"128.0.0.1", false}, {"0.0.0.0", false},
        {"::1", true},        {"::", false},
        {"::7f00:1", false},  {"::ffff:127.0.0.1", true},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_ip address = ip(cases[i].text);

        assert_int_equal(cla_ip_is_loopback(&address), cases[i].loopback);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_print_as_they_are_read),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_network_holds_what_begins_alike),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(loopback_is_127_and_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
