/* Requests and responses, fed whole and in two pieces: both must do the same.
 * The first two bytes choose the place of the cut, the lowest bit of the first the direction. */
#include <stdint.h>

#include "../unit/http/http_trace.h"

static const struct cla_http_limits limits = {
    .head_bytes = 600, .field_count = 8, .target_bytes = 100, .body_bytes = 2000};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_trace whole = {0}, split = {0};
    struct cla_slice bytes;
    size_t cut;
    bool response;

    if (size < 3)
        return 0;
    response = (data[0] & 1) != 0;
    bytes = cla_slice((const char *)data + 2, size - 2);
    cut = ((size_t)data[0] << 8 | data[1]) % bytes.n;
    http_trace_run(&whole, response, &limits, bytes, bytes.n, 0);
    http_trace_run(&split, response, &limits, bytes, cut, 0);
    CLA_PRE(cla_slice_eq(cla_buf_slice(&whole.text), cla_buf_slice(&split.text)));
    CLA_PRE(whole.upgrades == split.upgrades);
    http_trace_fini(&whole);
    http_trace_fini(&split);
    return 0;
}
