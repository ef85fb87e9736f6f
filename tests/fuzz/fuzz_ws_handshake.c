/* The opening handshake: each line is a field of the request, and of an answer. What the server
 * answers must be what a client may accept. */
#include <stdint.h>

#include "ws/handshake.h"

static const struct cla_slice protocols[] = {CLA_LIT("a"), CLA_LIT("chat")};

static void read_request(const struct cla_slice *fields, const struct cla_ws_offer *offer)
{
    const struct cla_ws_request request = {
        .method = CLA_LIT("GET"),
        .version_minor = 1,
        .connection = fields[0],
        .upgrade = fields[1],
        .key = fields[2],
        .version = CLA_LIT("13"),
        .protocol = fields[3],
        .extensions = fields[4],
    };
    struct cla_ws_accept accept;
    struct cla_buf buf = {0};
    const char *why;

    if (cla_ws_handshake_read(&request, offer, &accept, &why) == 0)
        CLA_PRE(cla_ws_handshake_answer(&buf, &accept) == 0);
    cla_buf_fini(&buf);
}

static void read_offers(struct cla_slice offers, const struct cla_ws_deflate_settings *settings)
{
    static const struct cla_ws_deflate_settings anything = {
        .on = true, .window_bits = 15, .peer_window_bits = 15};
    struct cla_ws_agreed agreed, again;
    struct cla_buf buf = {0};

    if (cla_ws_extension_choose(offers, settings, &agreed) == 0 && agreed.deflate) {
        CLA_PRE(cla_ws_extension_answer(&buf, &agreed) == 0);
        CLA_PRE(cla_ws_extension_check(cla_buf_slice(&buf), &anything, &again) == 0);
        CLA_PRE(again.server_no_context_takeover == agreed.server_no_context_takeover &&
                again.client_no_context_takeover == agreed.client_no_context_takeover &&
                again.server_window_bits == agreed.server_window_bits &&
                again.client_window_bits == agreed.client_window_bits);
    }
    cla_buf_fini(&buf);
}

static void read_answer(const struct cla_slice *fields, const struct cla_ws_offer *offer)
{
    const struct cla_ws_response response = {
        .status = 101,
        .connection = fields[0],
        .upgrade = fields[1],
        .accept = CLA_LIT("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        .protocol = fields[3],
        .extensions = fields[4],
    };
    struct cla_ws_accept accept;
    const char *why;

    cla_ws_handshake_verify(&response, "dGhlIHNhbXBsZSBub25jZQ==", offer, &accept, &why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cla_ws_offer offer = {
        .protocols = protocols, .protocol_count = 2, .deflate = CLA_WS_DEFLATE_DEFAULTS};
    struct cla_slice text = cla_slice((const char *)data, size), fields[5] = {{0}};

    for (size_t i = 0; i < CLA_ARRAY_LEN(fields) && cla_slice_next(&text, '\n', &fields[i]); i++)
        ;
    read_request(fields, &offer);
    read_offers(fields[4], &offer.deflate);
    read_answer(fields, &offer);
    return 0;
}
