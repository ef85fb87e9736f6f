/* Binary frames: what is read of a message lies inside it, and is written again as the same bytes.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "rpc/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_span(struct cla_slice message, struct cla_slice span)
{
    require(span.n == 0 || (span.p >= message.p && span.p + span.n <= message.p + message.n));
}

/* Only a reset may have more behind it than is written again. */
static void check_again(struct cla_slice message, const struct cla_frame *frame)
{
    struct cla_buf buf = {0};

    require(cla_frame_write(&buf, frame) == 0);
    require(frame->kind == CLA_FRAME_RESET ? cla_slice_starts(message, cla_buf_slice(&buf))
                                           : cla_slice_eq(message, cla_buf_slice(&buf)));
    cla_buf_fini(&buf);
}

static void check_answer(const struct cla_rpc_protocol *protocol, unsigned kinds,
                         const struct cla_frame *frame)
{
    const struct cla_rpc_error error = {.code = CLA_CODE_ABORTED, .message = frame->payload};
    char digits[CLA_FRAME_ID_DIGITS];
    struct cla_frame answer;
    struct cla_buf buf = {0};
    const char *why;

    require(protocol->error(&buf, cla_frame_id(frame->id, digits), &error) == 0);
    require(cla_frame_read(cla_buf_slice(&buf), kinds, &answer, &why) == 0);
    require(answer.id == frame->id && cla_utf8_valid(answer.payload));
    cla_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned halves[] = {CLA_FRAME_TO_SERVER, CLA_FRAME_TO_CLIENT_V0_1,
                                      CLA_FRAME_TO_CLIENT_V1};
    struct cla_slice message = cla_slice((const char *)data, size);

    for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++) {
        struct cla_frame frame;
        const char *why = NULL;

        if (cla_frame_read(message, halves[i], &frame, &why) != 0) {
            require(why != NULL);
            continue;
        }
        check_span(message, frame.name);
        check_span(message, frame.payload);
        check_again(message, &frame);
        check_answer(&cla_frame_v0_1_protocol, CLA_FRAME_TO_CLIENT_V0_1, &frame);
        check_answer(&cla_frame_v1_protocol, CLA_FRAME_TO_CLIENT_V1, &frame);
    }
    return 0;
}
