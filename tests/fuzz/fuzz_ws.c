/* Frames, fed whole and in two pieces: both must do the same. The first byte's bits choose the half
 * and what was agreed, it and the second the place of the cut. */
#include <stdint.h>

#include "../unit/ws/ws_trace.h"

static const struct cla_ws_settings settings = {.message_bytes = 2000,
                                                .fragments = 10,
                                                .deflate = CLA_WS_DEFLATE_DEFAULTS,
                                                .random = ws_trace_random};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ws_trace whole = {0}, split = {0};
    struct cla_ws_agreed agreed;
    struct cla_slice bytes;
    bool client;

    if (size < 3)
        return 0;
    client = (data[0] & 1) != 0;
    agreed = (struct cla_ws_agreed){
        .deflate = (data[0] & 2) != 0,
        .client_no_context_takeover = (data[0] & 4) != 0,
        .server_no_context_takeover = (data[0] & 4) != 0,
        .server_window_bits = 15, /* zlib does not see all references beyond smaller ones */
        .client_window_bits = 15,
    };
    whole.pause = (data[0] & 8) != 0;
    whole.close_at = split.close_at = (data[0] & 16) != 0 ? 2 : 0;
    bytes = cla_slice((const char *)data + 2, size - 2);
    ws_trace_init(&whole, client, &settings, &agreed);
    ws_trace_init(&split, client, &settings, &agreed);
    ws_trace_run(&whole, bytes, (struct ws_cut){0});
    ws_trace_run(&split, bytes, (struct ws_cut){.at = ((size_t)data[0] << 8 | data[1]) % bytes.n});
    CLA_PRE(cla_slice_eq(cla_buf_slice(&whole.text), cla_buf_slice(&split.text)));
    ws_trace_fini(&whole);
    ws_trace_fini(&split);
    return 0;
}
