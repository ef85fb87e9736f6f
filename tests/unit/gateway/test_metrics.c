/* The text format: escapes, numbers, histograms, and what is added up over workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "gateway/metrics.h"
#include "gateway/metrics_text.h"
#include "mem_fault.h"
#include "rpc/connect.h"
#include "rpc/connect_stream.h"
#include "rpc/frame.h"
#include "rpc/jsonrpc.h"

static struct cla_buf out;

static int setup(void **state)
{
    out = (struct cla_buf){0};
    return 0;
}

static int teardown(void **state)
{
    mem_fault_off();
    cla_buf_fini(&out);
    return mem_fault.live == 0 ? 0 : -1;
}

static void require_text(const char *expected)
{
    assert_int_equal(cla_buf_push(&out, '\0'), 0);
    assert_string_equal(out.p, expected);
    out.n--;
}

static void require_line(const char *line)
{
    char whole[512];

    snprintf(whole, sizeof whole, "\n%s\n", line);
    assert_int_equal(cla_buf_push(&out, '\0'), 0);
    if (strstr(out.p, whole) == NULL)
        fail_msg("'%s' is not in:\n%s", line, out.p);
    out.n--;
}

static void a_family_has_help_and_type_and_then_its_samples(void **state)
{
    struct cla_metrics_text text = {.to = &out};

    cla_metrics_text_family(&text, "x_total", "counter", "What it is.");
    cla_metrics_text_sample(&text, "");
    cla_metrics_text_value(&text, 7);
    cla_metrics_text_sample(&text, "_bucket");
    cla_metrics_text_label(&text, "a", CLA_LIT("b"));
    cla_metrics_text_label_number(&text, "c", UINT64_MAX);
    cla_metrics_text_label_seconds(&text, "le", 2500000);
    cla_metrics_text_seconds(&text, 3 * CLA_NS_PER_S + 1);
    require_text("# HELP x_total What it is.\n# TYPE x_total counter\nx_total 7\n"
                 "x_total_bucket{a=\"b\",c=\"18446744073709551615\",le=\"0.0025\"} 3.000000001\n");
}

static void values_of_labels_are_escaped_and_utf8(void **state)
{
    struct cla_metrics_text text = {.to = &out};

    text.family = "x";
    cla_metrics_text_sample(&text, "");
    cla_metrics_text_label(&text, "a", CLA_LIT("\\ \" \n \xc3\xa9 \xff\xc3"));
    cla_metrics_text_value(&text, 0);
    require_text("x{a=\"\\\\ \\\" \\n \xc3\xa9 ??\"} 0\n");
}

static void seconds_are_exact_and_short(void **state)
{
    static const struct {
        uint64_t ns;
        const char *line;
    } cases[] = {
        {0, "x 0\n"},
        {1, "x 0.000000001\n"},
        {CLA_NS_PER_S, "x 1\n"},
        {30 * CLA_NS_PER_S, "x 30\n"},
        {100 * CLA_NS_PER_MS, "x 0.1\n"},
        {16000, "x 0.000016\n"},
        {UINT64_MAX, "x 18446744073.709551615\n"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        struct cla_metrics_text text = {.to = &out, .family = "x"};

        cla_metrics_text_sample(&text, "");
        cla_metrics_text_seconds(&text, cases[i].ns);
        require_text(cases[i].line);
        out.n = 0;
    }
}

static void a_protocol_has_the_name_of_its_family(void **state)
{
    static const char *const families[] = {
#define X(symbol, name) name,
        CLA_RPC_FAMILIES(X)
#undef X
    };
    const struct cla_rpc_protocol *const all[] = {
        &cla_jsonrpc_protocol,  &cla_jsonrpc_http_protocol,   &cla_frame_v0_1_protocol,
        &cla_frame_v1_protocol, &cla_connect_protocol,        &cla_connect_client_protocol,
        &cla_sse_protocol,      &cla_connect_stream_protocol,
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(all); i++)
        assert_string_equal(all[i]->name, families[all[i]->family]);
}

/* --- All of it. --- */

struct scene {
    struct cla_counts_names names;
    struct cla_metrics_worker workers[2];
    struct cla_metrics metrics;
};

static void fill(struct cla_metrics_sample *sample, uint64_t n)
{
    struct cla_counts_entry *entry = &sample->entries[CLA_COUNTS_FIRST];

    entry->ended[CLA_RPC_CONNECT][CLA_CODE_OK] = n;
    entry->took[0] = n;
    entry->took[CLA_COUNTS_BOUNDS] = 1;
    entry->took_ns = n * CLA_NS_PER_S;
    sample->cancelled[CLA_CANCEL_TIMEOUT] = n;
    sample->app.holds = n;
    sample->app.cancel_latency.counts[0] = n;
    sample->topics.dropped = n;
    sample->slow_consumers = n;
    sample->connections = (unsigned)n;
    sample->generation = n;
}

static void open_scene(struct scene *scene)
{
    struct cla_counts counts;

    *scene = (struct scene){.metrics = {.workers = scene->workers,
                                        .worker_count = 2,
                                        .names = &scene->names,
                                        .reloads = {3, 4},
                                        .version = "1.2.3"}};
    assert_int_equal(cla_counts_names_init(&scene->names), 0);
    (void)cla_counts_names_place(&scene->names, CLA_LIT("say \"hi\""));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(cla_counts_init(&counts, &scene->names, NULL), 0);
        counts.entries[CLA_COUNTS_FIRST] = cla_mem_zalloc(sizeof(struct cla_counts_entry));
        scene->workers[i].last = cla_metrics_sample_new(&counts);
        assert_non_null(scene->workers[i].last);
        fill(scene->workers[i].last, i + 1);
        cla_counts_fini(&counts);
    }
    scene->workers[1].up = true;
}

static void close_scene(struct scene *scene)
{
    for (unsigned i = 0; i < 2; i++)
        cla_mem_free(scene->workers[i].last);
    cla_counts_names_fini(&scene->names);
}

static void workers_are_added_up(void **state)
{
    struct scene scene;

    open_scene(&scene);
    assert_int_equal(cla_metrics_write(&scene.metrics, &out), 0);
    require_line("cancela_calls_total{procedure=\"say \\\"hi\\\"\",protocol=\"connect\",outcome="
                 "\"ok\"} 3");
    require_line(
        "cancela_call_duration_seconds_bucket{procedure=\"say \\\"hi\\\"\",le=\"0.001\"} 3");
    require_line("cancela_call_duration_seconds_bucket{procedure=\"say \\\"hi\\\"\",le=\"30\"} 3");
    require_line(
        "cancela_call_duration_seconds_bucket{procedure=\"say \\\"hi\\\"\",le=\"+Inf\"} 5");
    require_line("cancela_call_duration_seconds_sum{procedure=\"say \\\"hi\\\"\"} 3");
    require_line("cancela_call_duration_seconds_count{procedure=\"say \\\"hi\\\"\"} 5");
    require_line("cancela_cancellations_total{reason=\"timeout\"} 3");
    require_line("cancela_cancel_latency_seconds_count 3");
    require_line("cancela_holds_total 3");
    require_line("cancela_messages_dropped_total 3");
    require_line("cancela_slow_consumers_total 3");
    require_line("cancela_connections{worker=\"0\"} 1");
    require_line("cancela_connections{worker=\"1\"} 2");
    require_line("cancela_worker_up{worker=\"0\"} 0");
    require_line("cancela_worker_up{worker=\"1\"} 1");
    require_line("cancela_generation 2");
    require_line("cancela_reloads_total{outcome=\"done\"} 3");
    require_line("cancela_reloads_total{outcome=\"failed\"} 4");
    close_scene(&scene);
}

static void workers_that_never_answered_are_told_of(void **state)
{
    struct scene scene;

    open_scene(&scene);
    for (unsigned i = 0; i < 2; i++) {
        cla_mem_free(scene.workers[i].last);
        scene.workers[i] = (struct cla_metrics_worker){NULL, false};
    }
    assert_int_equal(cla_metrics_write(&scene.metrics, &out), 0);
    require_line("cancela_worker_up{worker=\"1\"} 0");
    require_line("cancela_holds_total 0");
    assert_null(strstr(out.p, "cancela_calls_total{"));
    close_scene(&scene);
}

static void without_memory_it_fails_as_a_whole(void **state)
{
    struct scene scene;
    long n = 0;
    int rc;

    open_scene(&scene);
    do {
        cla_buf_fini(&out);
        mem_fault_after(n++);
        rc = cla_metrics_write(&scene.metrics, &out);
        assert_int_equal(rc, mem_fault.failed ? -CLA_ENOMEM : 0);
        mem_fault_off();
    } while (rc != 0);
    assert_true(n > 3);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_family_has_help_and_type_and_then_its_samples, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(values_of_labels_are_escaped_and_utf8, setup, teardown),
        cmocka_unit_test_setup_teardown(seconds_are_exact_and_short, setup, teardown),
        cmocka_unit_test(a_protocol_has_the_name_of_its_family),
        cmocka_unit_test_setup_teardown(workers_are_added_up, setup, teardown),
        cmocka_unit_test_setup_teardown(workers_that_never_answered_are_told_of, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory_it_fails_as_a_whole, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
