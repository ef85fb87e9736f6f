/* permessage-deflate: the bytes as two compressed messages, whole and in pieces, which must do the
 * same; and the bytes as messages that are compressed and read back. */
#include <stdint.h>

#include "../unit/ws/ws_trace.h"

static const struct cla_ws_agreed agreed = {
    .deflate = true, .server_window_bits = 9, .client_window_bits = 15};

static void read_both_ways(struct cla_slice bytes, size_t cut,
                           const struct cla_ws_settings *settings)
{
    struct ws_trace whole = {0}, split = {0};
    struct cla_buf frames = {0};

    ws_put(&frames, 0x41, cla_slice(bytes.p, cut));
    ws_put(&frames, 0x80, cla_slice(bytes.p + cut, bytes.n - cut));
    ws_put(&frames, 0xc2, bytes);
    ws_trace_init(&whole, false, settings, &agreed);
    ws_trace_init(&split, false, settings, &agreed);
    ws_trace_run(&whole, cla_buf_slice(&frames), (struct ws_cut){0});
    ws_trace_run(&split, cla_buf_slice(&frames), (struct ws_cut){.step = cut % 7 + 1});
    CLA_PRE(cla_slice_eq(cla_buf_slice(&whole.text), cla_buf_slice(&split.text)));
    ws_trace_fini(&whole);
    ws_trace_fini(&split);
    cla_buf_fini(&frames);
}

static void send_and_read(struct cla_slice bytes, size_t cut,
                          const struct cla_ws_settings *settings)
{
    const struct cla_slice messages[] = {bytes, cla_slice(bytes.p + cut, bytes.n - cut), bytes};
    struct ws_trace from = {0}, to = {0};
    struct cla_buf want = {0};

    ws_trace_init(&from, false, settings, &agreed);
    ws_trace_init(&to, true, settings, &agreed);
    for (size_t i = 0; i < CLA_ARRAY_LEN(messages); i++) {
        CLA_PRE(cla_ws_conn_send(&from.conn, &from.out, CLA_WS_KIND_BINARY, messages[i]) == 0);
        CLA_PRE(cla_buf_printf(&want, "binary %zu ", messages[i].n) == 0);
        CLA_PRE(cla_buf_add(&want, messages[i]) == 0);
        CLA_PRE(cla_buf_push(&want, '\n') == 0);
    }
    ws_trace_run(&to, cla_buf_slice(&from.out), (struct ws_cut){.at = cut});
    CLA_PRE(cla_slice_eq(cla_buf_slice(&to.text), cla_buf_slice(&want)));
    ws_trace_fini(&from);
    ws_trace_fini(&to);
    cla_buf_fini(&want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cla_ws_settings small = {.message_bytes = 500, .fragments = 10}, large;
    struct cla_slice bytes;
    size_t cut;

    if (size < 3)
        return 0;
    small.deflate = (struct cla_ws_deflate_settings)CLA_WS_DEFLATE_DEFAULTS;
    small.deflate.threshold_bytes = 0;
    small.deflate.level = (unsigned char)(data[0] % 9 + 1);
    large = small;
    large.message_bytes = (size_t)1 << 24;
    bytes = cla_slice((const char *)data + 2, size - 2);
    cut = ((size_t)data[0] << 8 | data[1]) % bytes.n;
    read_both_ways(bytes, cut, &small);
    send_and_read(bytes, cut, &large);
    return 0;
}
