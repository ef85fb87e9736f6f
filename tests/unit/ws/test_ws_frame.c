/* Frame headers, masks, and frames built in place (RFC 6455 section 5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "ws/frame.h"
#include "ws/mask.h"

static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};

static void masking_is_the_same_at_every_length_offset_and_alignment(void **state)
{
    static char want[700], got[700];

    for (size_t n = 0; n < 600; n += n < 300 ? 1 : 37) {
        for (size_t at = 0; at < 8; at++) {
            for (size_t i = 0; i < sizeof got; i++)
                want[i] = got[i] = (char)(i * 7);
            for (size_t i = 0; i < n; i++)
                want[at + i] ^= (char)key[(at + i) & 3];
            cla_ws_mask(got + at, n, key, at);
            assert_memory_equal(got, want, sizeof got);
        }
    }
}

static void masking_goes_on_where_it_stopped(void **state)
{
    char whole[300] = {0}, pieces[300] = {0};

    cla_ws_mask(whole, sizeof whole, key, 0);
    for (size_t at = 0, n = 1; at < sizeof pieces; at += n, n = n % 7 + 1) {
        n = n < sizeof pieces - at ? n : sizeof pieces - at;
        cla_ws_mask(pieces + at, n, key, at);
    }
    assert_memory_equal(pieces, whole, sizeof whole);
}

struct vector {
    struct cla_slice bytes;
    unsigned rules;
    int size;
    unsigned char first;
    uint64_t length;
};

/* RFC 6455 section 5.7, and the ends of each form of length. */
static const struct vector vectors[] = {
    {CLA_LIT("\x81\x05Hello"), 0, 2, 0x81, 5},
    {CLA_LIT("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), CLA_WS_WANT_MASK, 6, 0x81, 5},
    {CLA_LIT("\x01\x03Hel"), 0, 2, 0x01, 3},
    {CLA_LIT("\x80\x02lo"), CLA_WS_IN_MESSAGE, 2, 0x80, 2},
    {CLA_LIT("\x89\x05Hello"), 0, 2, 0x89, 5},
    {CLA_LIT("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), CLA_WS_WANT_MASK, 6, 0x8a, 5},
    {CLA_LIT("\x82\x7e\x01\x00"), 0, 4, 0x82, 256},
    {CLA_LIT("\x82\x7f\0\0\0\0\0\1\0\0"), 0, 10, 0x82, 65536},
    {CLA_LIT("\x82\x00"), 0, 2, 0x82, 0},
    {CLA_LIT("\x82\x7d"), 0, 2, 0x82, 125},
    {CLA_LIT("\x82\x7e\x00\x7e"), 0, 4, 0x82, 126},
    {CLA_LIT("\x82\x7e\xff\xff"), 0, 4, 0x82, 65535},
    {CLA_LIT("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), 0, 10, 0x82, INT64_MAX},
    {CLA_LIT("\x89\x7d"), CLA_WS_IN_MESSAGE, 2, 0x89, 125},
    {CLA_LIT("\xc1\x00"), CLA_WS_MAY_COMPRESS, 2, 0xc1, 0},
    {CLA_LIT("\x42\x00"), CLA_WS_MAY_COMPRESS, 2, 0x42, 0},
};

static void headers_are_read_as_written(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct cla_ws_header header;
        char again[CLA_WS_HEADER_MAX];
        const char *why;
        size_t n;

        for (size_t cut = 0; cut < (size_t)v->size; cut++)
            assert_int_equal(cla_ws_header_read(&header, v->bytes.p, cut, v->rules, &why), 0);
        assert_int_equal(cla_ws_header_read(&header, v->bytes.p, v->bytes.n, v->rules, &why),
                         v->size);
        assert_int_equal(header.first, v->first);
        assert_int_equal(header.length, v->length);
        n = cla_ws_header_write(again + sizeof again, header.first, header.length,
                                (v->rules & CLA_WS_WANT_MASK) != 0 ? header.key : NULL);
        assert_int_equal(n, v->size);
        assert_memory_equal(again + sizeof again - n, v->bytes.p, n);
    }
}

struct refusal {
    struct cla_slice bytes; /* the last one is the one that is refused */
    unsigned rules;
    const char *why; /* a part of the reason */
};

static const struct refusal refusals[] = {
    {CLA_LIT("\x83"), 0, "opcode is reserved"},
    {CLA_LIT("\x87"), 0, "opcode is reserved"},
    {CLA_LIT("\x8b"), 0, "opcode is reserved"},
    {CLA_LIT("\x8f"), 0, "opcode is reserved"},
    {CLA_LIT("\x91"), CLA_WS_MAY_COMPRESS, "reserved bit"},
    {CLA_LIT("\xa1"), CLA_WS_MAY_COMPRESS, "reserved bit"},
    {CLA_LIT("\xc1"), 0, "reserved bit"},
    {CLA_LIT("\xc9"), 0, "reserved bit"},
    {CLA_LIT("\xc9"), CLA_WS_MAY_COMPRESS, "begins no message"},
    {CLA_LIT("\xc8"), CLA_WS_MAY_COMPRESS, "begins no message"},
    {CLA_LIT("\xc0"), CLA_WS_MAY_COMPRESS | CLA_WS_IN_MESSAGE, "begins no message"},
    {CLA_LIT("\x09"), 0, "fragmented"},
    {CLA_LIT("\x0a"), 0, "fragmented"},
    {CLA_LIT("\x08"), 0, "fragmented"},
    {CLA_LIT("\x80"), 0, "continues nothing"},
    {CLA_LIT("\x00"), 0, "continues nothing"},
    {CLA_LIT("\x81"), CLA_WS_IN_MESSAGE, "inside another"},
    {CLA_LIT("\x02"), CLA_WS_IN_MESSAGE, "inside another"},
    {CLA_LIT("\x89\x7e"), 0, "longer than 125"},
    {CLA_LIT("\x88\x7f"), 0, "longer than 125"},
    {CLA_LIT("\x81\x05"), CLA_WS_WANT_MASK, "not masked"},
    {CLA_LIT("\x81\x85"), 0, "is masked"},
    {CLA_LIT("\x81\x7e\x00\x7d"), 0, "shortest"},
    {CLA_LIT("\x81\x7e\x00\x00"), 0, "shortest"},
    {CLA_LIT("\x81\x7f\0\0\0\0\0\0\xff\xff"), 0, "shortest"},
    {CLA_LIT("\x81\x7f\x80\0\0\0\0\0\0\0"), 0, "highest bit"},
    {CLA_LIT("\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), 0, "highest bit"},
};

static void headers_are_refused_at_the_byte_that_is_wrong(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(refusals); i++) {
        const struct refusal *r = &refusals[i];
        struct cla_ws_header header;
        const char *why;

        assert_int_equal(cla_ws_header_read(&header, r->bytes.p, r->bytes.n - 1, r->rules, &why),
                         0);
        assert_int_equal(cla_ws_header_read(&header, r->bytes.p, r->bytes.n, r->rules, &why),
                         -CLA_EPROTO);
        if (strstr(why, r->why) == NULL)
            fail_msg("%zu: %s", i, why);
    }
}

static const size_t sizes[] = {0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 200000};

static void check_frames(const struct cla_buf *buf, const unsigned char *mask)
{
    unsigned rules = mask != NULL ? CLA_WS_WANT_MASK : 0;
    size_t at = 0;

    for (size_t i = 0; i < CLA_ARRAY_LEN(sizes); i++) {
        struct cla_ws_header header;
        const char *why;
        int size = cla_ws_header_read(&header, buf->p + at, buf->n - at, rules, &why);

        assert_true(size > 0);
        assert_int_equal(header.length, sizes[i]);
        at += (size_t)size;
        cla_ws_mask(buf->p + at, sizes[i], header.key, 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(buf->p[at + k], (char)(k * 31 + i));
        at += sizes[i];
    }
    assert_int_equal(at, buf->n);
}

static void frames_are_built_in_place_one_behind_the_other(void **state)
{
    for (int masked = 0; masked < 2; masked++) {
        const unsigned char *mask = masked ? key : NULL;
        struct cla_buf buf = {0};

        for (size_t i = 0; i < CLA_ARRAY_LEN(sizes); i++) {
            size_t mark;

            assert_int_equal(cla_ws_frame_begin(&buf, masked, &mark), 0);
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(cla_buf_push(&buf, (char)(k * 31 + i)), 0);
            assert_int_equal(cla_ws_frame_end(&buf, mark, 0x82, mask), 0);
        }
        check_frames(&buf, mask);
        cla_buf_fini(&buf);
    }
}

static void frames_are_appended_whole_one_behind_the_other(void **state)
{
    char *payload = malloc(200000);
    struct cla_buf buf = {0};

    for (size_t i = 0; i < CLA_ARRAY_LEN(sizes); i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            payload[k] = (char)(k * 31 + i);
        assert_int_equal(cla_ws_frame_add(&buf, 0x82, cla_slice(payload, sizes[i]), key), 0);
    }
    check_frames(&buf, key);
    cla_buf_fini(&buf);
    free(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masking_is_the_same_at_every_length_offset_and_alignment),
        cmocka_unit_test(masking_goes_on_where_it_stopped),
        cmocka_unit_test(headers_are_read_as_written),
        cmocka_unit_test(headers_are_refused_at_the_byte_that_is_wrong),
        cmocka_unit_test(frames_are_built_in_place_one_behind_the_other),
        cmocka_unit_test(frames_are_appended_whole_one_behind_the_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
