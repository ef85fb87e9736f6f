/* How long JSON takes: nanoseconds a round, best of several runs. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

#include "base/clock.h"
#include "bind/json_codec.h"
#include "json/scan.h"
#include "json/write.h"

#define RUNS 7
#define BYTES_A_RUN 20000000

static const char request[] =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[\"hello\"]}";
static const char numbers[] = "[3.14159,0.1,-2.5e10,100.25,1e-7,6.02214076e23,12345678,0.333333]";
static const char exact[] = "[0.1234567890123456789,3.141592653589793238,1.7976931348623157e308]";
static const char text[] = "\"A line of plain text, long enough that its bytes and not the call "
                           "around them decide how long it takes to be read over.\"";

struct bench {
    lua_State *L;
    struct cla_slice text;
    struct cla_buf buf;
};

static void scan_envelope(struct bench *b)
{
    cla_json_check(b->text, CLA_JSON_DEPTH_MAX, NULL, NULL);
}

static void decode(struct bench *b)
{
    struct cla_json_decode_opts opts = {.max_depth = 128};
    struct cla_json_decode_fault fault;

    if (cla_json_codec_push(b->L, b->text, &opts, &fault) != 0)
        luaL_error(b->L, "%s", fault.message);
    lua_settop(b->L, 0);
}

static void echo(struct bench *b)
{
    struct cla_json_decode_opts decode_opts = {.max_depth = 128};
    struct cla_json_decode_fault decode_fault;
    struct cla_json_encode_opts encode_opts = {.max_depth = 128, .root = "result"};
    struct cla_json_encode_fault encode_fault;

    b->buf.n = 0;
    if (cla_json_codec_push(b->L, b->text, &decode_opts, &decode_fault) != 0)
        luaL_error(b->L, "%s", decode_fault.message);
    if (cla_json_codec_write(b->L, -1, &b->buf, &encode_opts, &encode_fault) != 0)
        luaL_error(b->L, "%s", encode_fault.message);
    lua_settop(b->L, 0);
}

static void measure(const char *name, void (*round)(struct bench *), struct bench *b)
{
    size_t rounds = BYTES_A_RUN / (b->text.n + 40) + 1;
    uint64_t best = UINT64_MAX;

    for (int run = 0; run < RUNS; run++) {
        uint64_t start = cla_clock_monotonic_ns(), time;

        for (size_t i = 0; i < rounds; i++)
            round(b);
        time = cla_clock_monotonic_ns() - start;
        best = time < best ? time : best;
    }
    printf("%-28s %9zu bytes %12.1f ns %8.0f MB/s\n", name, b->text.n,
           (double)best / (double)rounds, (double)b->text.n * (double)rounds * 1e3 / (double)best);
}

/* An array of 1,000 records, as a service would return. */
static struct cla_buf records(void)
{
    struct cla_buf buf = {0};

    cla_buf_push(&buf, '[');
    for (int i = 0; i < 1000; i++)
        cla_buf_printf(&buf,
                       "%s{\"id\":%d,\"name\":\"Some Name %d\",\"email\":\"user%d@example.org\","
                       "\"score\":%d.25,\"tags\":[\"alpha\",\"beta\"],\"active\":true,"
                       "\"place\":{\"x\":%d,\"y\":%d}}",
                       i > 0 ? "," : "", i, i, i, i, i, -i);
    cla_buf_push(&buf, ']');
    return buf;
}

int main(void)
{
    struct bench b = {.L = luaL_newstate()};
    struct cla_buf large = records();

    luaL_openlibs(b.L);
    lua_gc(b.L, LUA_GCGEN, 0, 0);
    cla_json_codec_open(b.L);
    b.text = cla_slice_str(request);
    measure("scan request", scan_envelope, &b);
    measure("decode request", decode, &b);
    measure("echo request", echo, &b);
    b.text = CLA_LIT("[\"hello\"]");
    measure("scan params", scan_envelope, &b);
    measure("decode params", decode, &b);
    measure("echo params", echo, &b);
    b.text = CLA_LIT("{\"a\":2,\"b\":40}");
    measure("echo named params", echo, &b);
    b.text = cla_slice_str(numbers);
    measure("scan numbers", scan_envelope, &b);
    measure("echo numbers", echo, &b);
    b.text = cla_slice_str(exact);
    measure("scan long numbers", scan_envelope, &b);
    b.text = cla_slice_str(text);
    measure("scan string", scan_envelope, &b);
    b.text = cla_buf_slice(&large);
    measure("scan records", scan_envelope, &b);
    measure("decode records", decode, &b);
    measure("echo records", echo, &b);
    cla_buf_fini(&b.buf);
    cla_buf_fini(&large);
    lua_close(b.L);
    return 0;
}
