/* The opening handshake, both halves (RFC 6455 section 4, RFC 7692 section 7.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "ws/handshake.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static const struct cla_slice protocols[] = {CLA_LIT("chat"), CLA_LIT("superchat")};

static const struct cla_ws_offer plain = {.protocols = protocols, .protocol_count = 2};

static const struct cla_ws_offer squeezed = {
    .protocols = protocols, .protocol_count = 2, .deflate = CLA_WS_DEFLATE_DEFAULTS};

static struct cla_ws_request good_request(void)
{
    return (struct cla_ws_request){
        .method = CLA_LIT("GET"),
        .version_minor = 1,
        .connection = CLA_LIT("keep-alive, Upgrade"),
        .upgrade = CLA_LIT("websocket"),
        .key = CLA_LIT(KEY),
        .version = CLA_LIT("13"),
    };
}

static void assert_text(struct cla_buf *buf, const char *want)
{
    if (!cla_slice_eq(cla_buf_slice(buf), cla_slice_str(want)))
        fail_msg("got:\n%.*s\nwant:\n%s", (int)buf->n, buf->p, want);
    cla_buf_fini(buf);
}

static void key_of_the_rfc_has_the_answer_of_the_rfc(void **state)
{
    struct cla_ws_request request = good_request();
    struct cla_ws_accept accept;
    struct cla_buf buf = {0};
    const char *why;

    request.protocol = CLA_LIT("x, superchat, chat");
    assert_int_equal(cla_ws_handshake_read(&request, &plain, &accept, &why), 0);
    assert_int_equal(cla_ws_handshake_answer(&buf, &accept), 0);
    assert_text(&buf, "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                      "Sec-WebSocket-Protocol: superchat\r\n");
}

/* Changes one field of a good request. */
struct change {
    size_t field; /* offset in struct cla_ws_request */
    struct cla_slice value;
    int status;
};

#define FIELD(name) offsetof(struct cla_ws_request, name)

static const struct change changes[] = {
    {FIELD(method), CLA_LIT("POST"), 400},
    {FIELD(method), CLA_LIT("get"), 400},
    {FIELD(connection), CLA_LIT(""), 426},
    {FIELD(connection), CLA_LIT("keep-alive"), 426},
    {FIELD(connection), CLA_LIT("xupgrade"), 426},
    {FIELD(connection), CLA_LIT(" UPGRADE ,x"), 0},
    {FIELD(upgrade), CLA_LIT(""), 426},
    {FIELD(upgrade), CLA_LIT("h2c"), 426},
    {FIELD(upgrade), CLA_LIT("WebSocket"), 0},
    {FIELD(upgrade), CLA_LIT("HTTP/2.0, websocket"), 0},
    {FIELD(version), CLA_LIT(""), 426},
    {FIELD(version), CLA_LIT("8"), 426},
    {FIELD(version), CLA_LIT("13, 13"), 426},
    {FIELD(version), CLA_LIT("013"), 426},
    {FIELD(key), CLA_LIT(""), 400},
    {FIELD(key), CLA_LIT("dGhlIHNhbXBsZSBub25jZQ"), 400},
    {FIELD(key), CLA_LIT("dGhlIHNhbXBsZSBub25jZTE="), 400},
    {FIELD(key), CLA_LIT("dGhlIHNhbXBs!SBub25jZQ=="), 400},
    {FIELD(key), CLA_LIT("dGhlIHNhbXBs\0SBub25jZQ=="), 400},
    {FIELD(key), CLA_LIT(KEY ", " KEY), 400},
    {FIELD(protocol), CLA_LIT("none, of, these"), 0},
    {FIELD(protocol), CLA_LIT("a b"), 400},
    {FIELD(protocol), CLA_LIT("a;b"), 400},
    {FIELD(protocol), CLA_LIT(", ,a,"), 0},
    {FIELD(extensions), CLA_LIT("x-unknown; a=\"b,c;\\\"d\"; e, foo"), 0},
    {FIELD(extensions), CLA_LIT("permessage-deflate;"), 400},
    {FIELD(extensions), CLA_LIT("permessage-deflate a"), 400},
    {FIELD(extensions), CLA_LIT("a; b=\"c"), 400},
    {FIELD(extensions), CLA_LIT("a; b=\"c\\"), 400},
    {FIELD(extensions), CLA_LIT("a; b="), 400},
    {FIELD(extensions), CLA_LIT("; a"), 400},
    {FIELD(extensions), CLA_LIT("a=b"), 400},
};

static void requests_are_judged_field_by_field(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(changes); i++) {
        struct cla_ws_request request = good_request();
        struct cla_ws_accept accept;
        const char *why;
        int status;

        memcpy((char *)&request + changes[i].field, &changes[i].value, sizeof changes[i].value);
        status = cla_ws_handshake_read(&request, &squeezed, &accept, &why);
        if (status != changes[i].status)
            fail_msg("%s: %d", changes[i].value.p, status);
        assert_int_equal(why != NULL, status != 0);
    }
}

static void request_of_http_1_0_is_refused(void **state)
{
    struct cla_ws_request request = good_request();
    struct cla_ws_accept accept;
    const char *why;

    request.version_minor = 0;
    assert_int_equal(cla_ws_handshake_read(&request, &plain, &accept, &why), 400);
}

static void no_common_subprotocol_is_no_subprotocol(void **state)
{
    struct cla_ws_request request = good_request();
    struct cla_ws_accept accept;
    const char *why;

    request.protocol = CLA_LIT("Chat, super");
    assert_int_equal(cla_ws_handshake_read(&request, &plain, &accept, &why), 0);
    assert_int_equal(accept.protocol.n, 0);
}

struct deal {
    const char *offer;
    const char *answer; /* NULL: none */
};

#define PMD "permessage-deflate"

/* A server with the default settings: windows of 10 bits. */
static const struct deal deals[] = {
    {"", NULL},
    {PMD, PMD "; client_no_context_takeover"},
    {PMD "; client_max_window_bits", PMD "; client_max_window_bits=10"},
    {PMD "; client_max_window_bits=\"9\"", PMD "; client_max_window_bits=9"},
    {PMD ";client_max_window_bits=8", PMD "; client_max_window_bits=8"},
    {PMD "; client_max_window_bits=15 ; server_max_window_bits = 12",
     PMD "; server_max_window_bits=12; client_max_window_bits=10"},
    {PMD "; server_no_context_takeover; client_max_window_bits; server_max_window_bits=8",
     PMD "; server_no_context_takeover; server_max_window_bits=8; client_max_window_bits=10"},
    {PMD "; client_no_context_takeover", PMD "; client_no_context_takeover"},
    {"x-webkit-deflate-frame, " PMD "; client_max_window_bits", PMD "; client_max_window_bits=10"},
    {PMD "; unknown, " PMD "; client_max_window_bits=11", PMD "; client_max_window_bits=10"},
    {PMD "; server_no_context_takeover; client_max_window_bits, " PMD,
     PMD "; server_no_context_takeover; client_max_window_bits=10"},
    {PMD "; server_max_window_bits", NULL},
    {PMD "; server_max_window_bits=7", NULL},
    {PMD "; server_max_window_bits=16", NULL},
    {PMD "; server_max_window_bits=010", NULL},
    {PMD "; server_max_window_bits=09", NULL},
    {PMD "; server_max_window_bits=1x", NULL},
    {PMD "; server_max_window_bits=\"\"", NULL},
    {PMD "; client_max_window_bits=0", NULL},
    {PMD "; client_max_window_bits=100000000000000000000", NULL},
    {PMD "; client_max_window_bits; client_max_window_bits", NULL},
    {PMD "; server_no_context_takeover; server_no_context_takeover", NULL},
    {PMD "; server_no_context_takeover=1", NULL},
    {PMD "; client_no_context_takeover=true", NULL},
    {PMD "; Server_No_Context_Takeover", NULL},
    {"permessage-bzip2", NULL},
};

static void offers_of_permessage_deflate_are_answered(void **state)
{
    static const struct cla_ws_deflate_settings settings = CLA_WS_DEFLATE_DEFAULTS;

    for (size_t i = 0; i < CLA_ARRAY_LEN(deals); i++) {
        struct cla_ws_agreed agreed;
        struct cla_buf buf = {0};

        assert_int_equal(cla_ws_extension_choose(cla_slice_str(deals[i].offer), &settings, &agreed),
                         0);
        if (agreed.deflate != (deals[i].answer != NULL))
            fail_msg("%s", deals[i].offer);
        if (!agreed.deflate)
            continue;
        assert_int_equal(cla_ws_extension_answer(&buf, &agreed), 0);
        assert_text(&buf, deals[i].answer);
    }
}

static void server_without_deflate_answers_no_offer(void **state)
{
    struct cla_ws_request request = good_request();
    struct cla_ws_accept accept;
    const char *why;

    request.extensions = CLA_LIT(PMD);
    assert_int_equal(cla_ws_handshake_read(&request, &plain, &accept, &why), 0);
    assert_false(accept.agreed.deflate);
}

static void server_may_ask_for_no_takeover_and_wide_windows(void **state)
{
    static const struct cla_ws_deflate_settings settings = {.on = true,
                                                            .no_context_takeover = true,
                                                            .peer_no_context_takeover = true,
                                                            .window_bits = 15,
                                                            .peer_window_bits = 15};
    static const struct cla_ws_deflate_settings wide = {
        .on = true, .window_bits = 15, .peer_window_bits = 15};
    struct cla_ws_agreed agreed;
    struct cla_buf buf = {0};

    assert_int_equal(cla_ws_extension_choose(CLA_LIT(PMD), &settings, &agreed), 0);
    assert_int_equal(cla_ws_extension_answer(&buf, &agreed), 0);
    assert_text(&buf, PMD "; server_no_context_takeover; client_no_context_takeover");
    assert_int_equal(
        cla_ws_extension_choose(CLA_LIT(PMD "; client_max_window_bits"), &wide, &agreed), 0);
    assert_int_equal(cla_ws_extension_answer(&buf, &agreed), 0);
    assert_text(&buf, PMD);
}

static void client_asks_for_what_it_is_set_to(void **state)
{
    static const unsigned char nonce[16] = "the sample nonce";
    char key[CLA_WS_KEY_BYTES];
    struct cla_buf buf = {0};

    cla_ws_handshake_key(nonce, key);
    assert_memory_equal(key, KEY, CLA_WS_KEY_BYTES);
    assert_int_equal(cla_ws_handshake_request(&buf, key, &squeezed), 0);
    assert_text(&buf, "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n"
                      "Sec-WebSocket-Protocol: chat, superchat\r\n"
                      "Sec-WebSocket-Extensions: " PMD
                      "; server_max_window_bits=10; client_max_window_bits=10\r\n");
}

static struct cla_ws_response good_response(void)
{
    return (struct cla_ws_response){
        .status = 101,
        .connection = CLA_LIT("upgrade"),
        .upgrade = CLA_LIT("WebSocket"),
        .accept = CLA_LIT("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    };
}

#undef FIELD
#define FIELD(name) offsetof(struct cla_ws_response, name)

/* 'status' 0: it is accepted. */
static const struct change answers[] = {
    {FIELD(accept), CLA_LIT("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), 0},
    {FIELD(accept), CLA_LIT("s3pplmbitxaq9kygzzhzrbk+xoo="), 1},
    {FIELD(accept), CLA_LIT(""), 1},
    {FIELD(connection), CLA_LIT("close"), 1},
    {FIELD(upgrade), CLA_LIT("h2c"), 1},
    {FIELD(protocol), CLA_LIT("superchat"), 0},
    {FIELD(protocol), CLA_LIT("chat, superchat"), 1},
    {FIELD(protocol), CLA_LIT("other"), 1},
    {FIELD(extensions), CLA_LIT(PMD "; server_max_window_bits=10"), 0},
    {FIELD(extensions),
     CLA_LIT(PMD "; server_max_window_bits=9; client_max_window_bits=8; "
                 "client_no_context_takeover; server_no_context_takeover"),
     0},
    {FIELD(extensions), CLA_LIT(PMD), 1},
    {FIELD(extensions), CLA_LIT(PMD "; server_max_window_bits=11"), 1},
    {FIELD(extensions), CLA_LIT(PMD "; server_max_window_bits=10; client_max_window_bits"), 1},
    {FIELD(extensions), CLA_LIT(PMD "; server_max_window_bits=10, " PMD), 1},
    {FIELD(extensions), CLA_LIT(PMD "; server_max_window_bits=10; x"), 1},
    {FIELD(extensions), CLA_LIT("x-other"), 1},
    {FIELD(extensions), CLA_LIT(PMD ";"), 1},
};

static void answers_are_judged_field_by_field(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(answers); i++) {
        struct cla_ws_response response = good_response();
        struct cla_ws_accept accept;
        const char *why;
        int rc;

        memcpy((char *)&response + answers[i].field, &answers[i].value, sizeof answers[i].value);
        rc = cla_ws_handshake_verify(&response, KEY, &squeezed, &accept, &why);
        if (rc != (answers[i].status == 0 ? 0 : -CLA_EPROTO))
            fail_msg("%s: %s", answers[i].value.p, why);
        assert_int_equal(why != NULL, rc != 0);
    }
}

static void answer_other_than_101_is_no_upgrade(void **state)
{
    struct cla_ws_response response = good_response();
    struct cla_ws_accept accept;
    const char *why;

    response.status = 200;
    assert_int_equal(cla_ws_handshake_verify(&response, KEY, &plain, &accept, &why), -CLA_EPROTO);
}

static void client_that_offered_no_deflate_refuses_it(void **state)
{
    struct cla_ws_response response = good_response();
    struct cla_ws_accept accept;
    const char *why;

    response.extensions = CLA_LIT(PMD);
    assert_int_equal(cla_ws_handshake_verify(&response, KEY, &plain, &accept, &why), -CLA_EPROTO);
}

static void client_that_asked_for_no_takeover_insists(void **state)
{
    static const struct cla_ws_deflate_settings settings = {
        .on = true, .peer_no_context_takeover = true, .window_bits = 15, .peer_window_bits = 15};
    struct cla_ws_agreed agreed;

    assert_int_equal(cla_ws_extension_check(CLA_LIT(PMD), &settings, &agreed), -CLA_EPROTO);
    assert_int_equal(
        cla_ws_extension_check(CLA_LIT(PMD "; server_no_context_takeover"), &settings, &agreed), 0);
    assert_true(agreed.deflate && agreed.server_no_context_takeover);
    assert_int_equal(agreed.client_window_bits, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_of_the_rfc_has_the_answer_of_the_rfc),
        cmocka_unit_test(requests_are_judged_field_by_field),
        cmocka_unit_test(request_of_http_1_0_is_refused),
        cmocka_unit_test(no_common_subprotocol_is_no_subprotocol),
        cmocka_unit_test(offers_of_permessage_deflate_are_answered),
        cmocka_unit_test(server_without_deflate_answers_no_offer),
        cmocka_unit_test(server_may_ask_for_no_takeover_and_wide_windows),
        cmocka_unit_test(client_asks_for_what_it_is_set_to),
        cmocka_unit_test(answers_are_judged_field_by_field),
        cmocka_unit_test(answer_other_than_101_is_no_upgrade),
        cmocka_unit_test(client_that_offered_no_deflate_refuses_it),
        cmocka_unit_test(client_that_asked_for_no_takeover_insists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
