/* Who a request is from, by what trusted proxies say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "http/forwarded.h"

/* 10.0.0.0/8 and 2001:db8:f::/48 are the proxies. */
static struct cla_ip_net nets[2];
static struct cla_http_trusted trusted = {nets, 2};

static int read_nets(void **state)
{
    return cla_ip_net_read(CLA_LIT("10.0.0.0/8"), &nets[0]) != 0 ||
           cla_ip_net_read(CLA_LIT("2001:db8:f::/48"), &nets[1]) != 0;
}

static void add(struct cla_http_head *head, const char *name, struct cla_slice value)
{
    head->fields[head->field_count++] = (struct cla_http_field){cla_slice_str(name), value};
}

/* Requires that the client is 'expected'; NULL: not told. */
static void require(const struct cla_http_head *head, const char *expected, const char *what)
{
    struct cla_http_client client;
    char text[CLA_IP_TEXT] = "none";

    if (cla_http_forwarded(head, &trusted, &client))
        cla_ip_print(&client.ip, client.port, text);
    if (strcmp(text, expected != NULL ? expected : "none") != 0)
        fail_msg("%s: %s", what, text);
}

struct example {
    const char *value, *client; /* NULL: not told */
};

static void check(const char *name, const struct example *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cla_http_head head = {0};

        add(&head, name, cla_slice_str(cases[i].value));
        require(&head, cases[i].client, cases[i].value);
    }
}

static void x_forwarded_for_is_read_from_the_right(void **state)
{
    static const struct example cases[] = {
        {"203.0.113.9", "203.0.113.9"},
        {" 203.0.113.9 ", "203.0.113.9"},
        {"203.0.113.9, 10.0.0.1", "203.0.113.9"},
        {"203.0.113.9,10.0.0.1,10.9.9.9", "203.0.113.9"},
        {"198.51.100.1, 203.0.113.9", "203.0.113.9"}, /* the left one is the client's own claim */
        {"10.0.0.7, 203.0.113.9, 10.0.0.1", "203.0.113.9"},
        {"10.0.0.7, 10.0.0.1", "10.0.0.7"}, /* from inside: the first there is */
        {"2001:db8::9", "[2001:db8::9]"},
        {"2001:db8::9, 2001:db8:f::1", "[2001:db8::9]"},
        {"[2001:db8::9]:4711, 10.0.0.1", "[2001:db8::9]:4711"},
        {"[2001:db8::9]", "[2001:db8::9]"},
        {"203.0.113.9:80", "203.0.113.9:80"},
        {"::ffff:203.0.113.9, ::ffff:10.0.0.1", "203.0.113.9"},
        {"203.0.113.9,,10.0.0.1,", "203.0.113.9"},
        {"203.0.113.9, unknown", NULL},
        {"203.0.113.9, nonsense, 10.0.0.1", "10.0.0.1"},
        {"unknown, 203.0.113.9, 10.0.0.1", "203.0.113.9"},
        {"", NULL},
        {",", NULL},
        {"unknown", NULL},
        {"203.0.113.256", NULL},
        {"203.0.113.9:", "203.0.113.9"},
        {"203.0.113.9:99999", "203.0.113.9"},
        {"[2001:db8::9", NULL},
        {"[2001:db8::9]x", NULL},
        {"[]", NULL},
        {"[", NULL},
        {":", NULL},
        {":80", NULL},
        {"fe80::1%eth0", NULL},
        {"\"203.0.113.9\"", NULL},
        {"203.0.113.9 10.0.0.1", NULL},
    };

    check("X-Forwarded-For", cases, CLA_ARRAY_LEN(cases));
}

static void forwarded_is_read_by_its_grammar(void **state)
{
    static const struct example cases[] = {
        {"for=203.0.113.9", "203.0.113.9"},
        {"For=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"},
        {"proto=https;FOR=\"203.0.113.9:4711\"", "203.0.113.9:4711"},
        {"for=\"[2001:db8::9]\"", "[2001:db8::9]"},
        {"for=\"[2001:db8::9]:4711\", for=10.0.0.1", "[2001:db8::9]:4711"},
        {"for=\"203.0.113.9:_port\"", "203.0.113.9"},
        {"for=\"\\2\\03.0.113.9\"", "203.0.113.9"},
        {"for=198.51.100.1, for=203.0.113.9", "203.0.113.9"},
        {"for=203.0.113.9, for=10.0.0.1;host=\"a,b;c\"", "203.0.113.9"},
        {"for=10.0.0.7, for=10.0.0.1", "10.0.0.7"},
        {"for=203.0.113.9 ; proto=http , for=10.0.0.1", "203.0.113.9"},
        {",,for=203.0.113.9,", "203.0.113.9"},
        {";for=203.0.113.9;", "203.0.113.9"},
        {"for=_hidden, for=10.0.0.1", "10.0.0.1"},
        {"for=203.0.113.9, for=unknown", NULL},
        {"for=\"_gazonk\"", NULL},
        {"for=unknown", NULL},
        {"proto=https", NULL},
        {"for=203.0.113.9, proto=https", NULL}, /* who it came from, the last proxy did not say */
        {"", NULL},
        {"for=", NULL},
        {"for", NULL},
        {"=203.0.113.9", NULL},
        {"for=\"203.0.113.9", NULL},
        {"for=203.0.113.9\"", NULL},
        {"for=\"203.0.113.9\\", NULL},
        {"for=203.0.113.9 10.0.0.1", NULL},
        {"for=203.0.113.9;for=203.0.113.8", NULL},
        {"for =203.0.113.9", NULL},
        {"for=[2001:db8::9]", NULL}, /* must be quoted */
        {"for=\"\"", NULL},
        {"for=broken\", for=203.0.113.9", NULL},
    };

    check("Forwarded", cases, CLA_ARRAY_LEN(cases));
}

static void fields_of_one_name_are_one_list(void **state)
{
    struct cla_http_head head = {0};

    add(&head, "X-Forwarded-For", CLA_LIT("198.51.100.1, 203.0.113.9"));
    add(&head, "x-forwarded-for", CLA_LIT("10.0.0.1"));
    require(&head, "203.0.113.9", "two fields");
}

static void forwarded_counts_if_both_are_there(void **state)
{
    struct cla_http_head head = {0};

    add(&head, "X-Forwarded-For", CLA_LIT("198.51.100.1"));
    add(&head, "Forwarded", CLA_LIT("for=203.0.113.9"));
    require(&head, "203.0.113.9", "both");
    head.fields[1].value = CLA_LIT("for=\"broken");
    require(&head, NULL, "a broken Forwarded is no reason to believe the other");
}

static void other_fields_say_nothing(void **state)
{
    struct cla_http_head head = {0};

    add(&head, "X-Real-IP", CLA_LIT("203.0.113.9"));
    add(&head, "X-Forwarded-Foo", CLA_LIT("203.0.113.9"));
    require(&head, NULL, "others");
}

static void a_value_of_any_length_is_survived(void **state)
{
    static char text[70000];
    struct cla_http_head head = {0};

    memset(text, 'a', sizeof text);
    memcpy(text, "for=\"", 5);
    text[sizeof text - 1] = '"';
    add(&head, "Forwarded", cla_slice(text, sizeof text));
    require(&head, NULL, "a long quoted string");
    for (size_t n = 60; n < 70; n++) { /* around what is held of one */
        text[n] = '"';
        head.fields[0].value = cla_slice(text, n + 1);
        require(&head, NULL, "a quoted string");
        text[n] = 'a';
    }
    memset(text, ',', sizeof text);
    head.fields[0].value = cla_slice(text, sizeof text);
    require(&head, NULL, "nothing but commas");
    memset(text, '\\', sizeof text);
    memcpy(text, "for=\"", 5);
    require(&head, NULL, "nothing but escapes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x_forwarded_for_is_read_from_the_right),
        cmocka_unit_test(forwarded_is_read_by_its_grammar),
        cmocka_unit_test(fields_of_one_name_are_one_list),
        cmocka_unit_test(forwarded_counts_if_both_are_there),
        cmocka_unit_test(other_fields_say_nothing),
        cmocka_unit_test(a_value_of_any_length_is_survived),
    };

    return cmocka_run_group_tests(tests, read_nets, NULL);
}
