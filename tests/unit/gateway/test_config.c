/* Settings: defaults, sources, names and what is said of mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "gateway/config.h"
#include "json/scan.h"

static int setup(void **state)
{
    static struct cla_config config;

    *state = &config;
    return cla_config_init(&config);
}

static int teardown(void **state)
{
    cla_config_fini(*state);
    return 0;
}

static int set(struct cla_config *config, const char *name, const char *text,
               enum cla_config_source source)
{
    struct cla_config_error error;

    return cla_config_set(config, cla_slice_str(name), cla_slice_str(text), source, &error);
}

static void defaults_are_those_that_are_documented(void **state)
{
    struct cla_config *c = *state;

    assert_int_equal(c->listen.count, 1);
    assert_true(cla_slice_eq(c->listen.items[0], CLA_LIT("127.0.0.1:3000")));
    assert_int_equal(c->workers, 1);
    assert_int_equal(c->call_timeout_ns, 30 * CLA_NS_PER_S);
    assert_int_equal(c->max_call_timeout_ns, 300 * CLA_NS_PER_S);
    assert_int_equal(c->grace_ns, 500 * CLA_NS_PER_MS);
    assert_int_equal(c->shutdown_grace_ns, 2 * CLA_NS_PER_S);
    assert_int_equal(c->drain_timeout_ns, 30 * CLA_NS_PER_S);
    assert_int_equal(c->load_timeout_ns, 5 * CLA_NS_PER_S);
    assert_int_equal(c->vm_memory, 256 * CLA_MIB);
    assert_int_equal(c->pipeline_bytes, 64 * CLA_KIB);
    assert_int_equal(c->half_close, CLA_HALF_CLOSE_CANCEL);
    assert_int_equal(c->log_level, CLA_LOG_INFO);
    assert_int_equal(c->access_log, CLA_ACCESS_LOG_FAILED);
    assert_false(c->expose_errors);
    assert_int_equal(c->origins.count, 0);
    assert_int_equal(c->hosts.count, 0);
}

static void defaults_admit_the_benchmarks(void **state)
{
    struct cla_config *c = *state;

    assert_true(c->max_connections >= 10000);
    assert_true(c->max_calls >= 100 * 100);
    assert_true(c->body_bytes >= 120 * 1024);
    assert_int_equal(c->requests_per_connection, 0);
}

static void the_deepest_json_is_what_the_scanner_allows(void **state)
{
    assert_int_equal(cla_config_describe(CLA_CONFIG_AT_json_depth)->most, CLA_JSON_DEPTH_MAX);
}

static void every_setting_is_described(void **state)
{
    struct cla_suggest suggest;
    size_t at = 0;

    for (const struct cla_config_setting *s; (s = cla_config_describe(at)) != NULL; at++) {
        assert_true(strlen(s->doc) > 10);
        assert_true(strlen(s->name) < CLA_SUGGEST_NAME_MAX);
        assert_null(strpbrk(s->doc, "\n|"));
        for (const char *p = s->name; *p != '\0'; p++)
            assert_true(islower((unsigned char)*p) || *p == '_');
        cla_suggest_init(&suggest, cla_slice_str(s->name));
        cla_config_offer(&suggest);
        assert_string_equal(suggest.best.p, s->name);
        assert_int_equal(suggest.distance, 0);
    }
    assert_int_equal(at, CLA_CONFIG_SETTINGS);
}

static void what_is_printed_reads_back_as_the_same(void **state)
{
    struct cla_config *c = *state;

    for (size_t at = 0; at < CLA_CONFIG_SETTINGS; at++) {
        const struct cla_config_setting *s = cla_config_describe(at);
        struct cla_buf first = {0}, second = {0};
        struct cla_config_error error;

        assert_int_equal(cla_config_print(c, at, &first), 0);
        assert_int_equal(cla_config_set(c, cla_slice_str(s->name), cla_buf_slice(&first),
                                        CLA_CONFIG_FILE, &error),
                         0);
        assert_int_equal(cla_config_print(c, at, &second), 0);
        assert_true(cla_slice_eq(cla_buf_slice(&first), cla_buf_slice(&second)));
        assert_int_equal(c->sources[at], CLA_CONFIG_FILE);
        cla_buf_fini(&first);
        cla_buf_fini(&second);
    }
}

static void a_stronger_source_replaces_a_weaker_one_only(void **state)
{
    struct cla_config *c = *state;

    assert_int_equal(set(c, "CALL_TIMEOUT", "2s", CLA_CONFIG_ENVIRONMENT), 0);
    assert_int_equal(set(c, "call_timeout", "1s", CLA_CONFIG_FILE), 0);
    assert_int_equal(c->call_timeout_ns, 2 * CLA_NS_PER_S);
    assert_int_equal(c->sources[CLA_CONFIG_AT_call_timeout], CLA_CONFIG_ENVIRONMENT);
    assert_int_equal(set(c, "call-timeout", "3s", CLA_CONFIG_FLAG), 0);
    assert_int_equal(set(c, "call-timeout", "4s", CLA_CONFIG_FLAG), 0);
    assert_int_equal(set(c, "CALL_TIMEOUT", "5s", CLA_CONFIG_ENVIRONMENT), 0);
    assert_int_equal(c->call_timeout_ns, 4 * CLA_NS_PER_S);
    assert_int_equal(c->sources[CLA_CONFIG_AT_call_timeout], CLA_CONFIG_FLAG);
    assert_int_equal(c->sources[CLA_CONFIG_AT_grace], CLA_CONFIG_DEFAULT);
}

static void a_weaker_source_is_checked_all_the_same(void **state)
{
    struct cla_config *c = *state;

    assert_int_equal(set(c, "hosts", "a.test", CLA_CONFIG_FLAG), 0);
    assert_int_equal(set(c, "hosts", "b.test,c.test", CLA_CONFIG_FILE), 0);
    assert_int_equal(set(c, "hosts", "b/c", CLA_CONFIG_FILE), -CLA_EINVAL);
    assert_int_equal(c->hosts.count, 1);
    assert_true(cla_slice_eq(c->hosts.items[0], CLA_LIT("a.test")));
}

struct mistake {
    const char *name, *text;
    enum cla_config_source source;
    int rc;
    const char *error;
};

static const struct mistake mistakes[] = {
    {"call-timeout", "5x", CLA_CONFIG_FLAG, -CLA_EINVAL,
     "--call-timeout: '5x' is not a duration; write 500ms, 30s or a number of seconds"},
    {"call_timeout", "0", CLA_CONFIG_FILE, -CLA_EINVAL,
     "call_timeout: '0' is out of range; write 1ms to 24h"},
    {"HEAD_BYTES", "1K", CLA_CONFIG_ENVIRONMENT, -CLA_EINVAL,
     "CANCELA_HEAD_BYTES: '1K' is not a size; write 64KiB, 1MiB or a number of bytes"},
    {"head_bytes", "255", CLA_CONFIG_FILE, -CLA_EINVAL,
     "head_bytes: '255' is out of range; write 256 to 16MiB"},
    {"tcp_keepalive", "12.1h", CLA_CONFIG_FLAG, -CLA_EINVAL,
     "--tcp-keepalive: '12.1h' is out of range; write 0s to 12h"},
    {"workers", "0", CLA_CONFIG_FLAG, -CLA_EINVAL,
     "--workers: '0' is out of range; write 1 to 256"},
    {"workers", "many", CLA_CONFIG_FLAG, -CLA_EINVAL,
     "--workers: 'many' is not a count; write a whole number, or auto"},
    {"max-calls", "-1", CLA_CONFIG_FLAG, -CLA_EINVAL,
     "--max-calls: '-1' is not a count; write a whole number"},
    {"expose_errors", "yes", CLA_CONFIG_FILE, -CLA_EINVAL,
     "expose_errors: 'yes' is neither true nor false"},
    {"log_level", "verbose", CLA_CONFIG_FILE, -CLA_EINVAL,
     "log_level: 'verbose' is not a choice; write one of debug info warn error off"},
    {"listen", "3000", CLA_CONFIG_FLAG, -CLA_EINVAL,
     "--listen: '3000' is not an address to listen on; write 127.0.0.1:3000, [::1]:3000, :3000 for "
     "every address, unix:/path, or systemd for the sockets of a socket unit"},
    {"listen", ":1,:1", CLA_CONFIG_FLAG, -CLA_EINVAL,
     "--listen: ':1,:1' names an address twice; write each once"},
    {"listen", ":1 tls=yes", CLA_CONFIG_FILE, -CLA_EINVAL,
     "listen: ':1 tls=yes' has an unknown option; behind an address there may be "
     "half_close=allow|cancel and mode=0660"},
    {"origins", "example.com", CLA_CONFIG_FILE, -CLA_EINVAL,
     "origins: 'example.com' is not a list of origins; write https://example.com, or * for any, "
     "with commas between several"},
    {"hosts", "http://a", CLA_CONFIG_FILE, -CLA_EINVAL,
     "hosts: 'http://a' is not a list of hosts; write example.com, or * for any, with commas "
     "between "
     "several"},
    {"grace", "a\nb\x1b", CLA_CONFIG_FILE, -CLA_EINVAL,
     "grace: 'a?b?' is not a duration; write 500ms, 30s or a number of seconds"},
    {"call_timout", "5s", CLA_CONFIG_FILE, -CLA_ENOTFOUND,
     "unknown setting 'call_timout'; did you mean 'call_timeout'?"},
    {"call-timout", "5s", CLA_CONFIG_FLAG, -CLA_ENOTFOUND,
     "unknown flag '--call-timout'; did you mean '--call-timeout'?"},
    {"call-timeout", "5s", CLA_CONFIG_FILE, -CLA_ENOTFOUND,
     "unknown setting 'call-timeout'; did you mean 'call_timeout'?"},
    {"CALL_TIMOUT", "5s", CLA_CONFIG_ENVIRONMENT, -CLA_ENOTFOUND,
     "unknown environment variable 'CANCELA_CALL_TIMOUT'; did you mean 'CANCELA_CALL_TIMEOUT'?"},
    {"frobnicate", "1", CLA_CONFIG_FLAG, -CLA_ENOTFOUND,
     "unknown flag '--frobnicate'; 'cancela config' lists the settings"},
    {"", "1", CLA_CONFIG_FILE, -CLA_ENOTFOUND,
     "unknown setting ''; 'cancela config' lists the settings"},
};

static void a_mistake_names_thing_value_and_remedy(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(mistakes); i++) {
        const struct mistake *m = &mistakes[i];
        struct cla_config_error error = {""};

        assert_int_equal(cla_config_set(*state, cla_slice_str(m->name), cla_slice_str(m->text),
                                        m->source, &error),
                         m->rc);
        assert_string_equal(error.text, m->error);
    }
}

static void a_mistake_changes_nothing(void **state)
{
    struct cla_config *c = *state;

    assert_int_equal(set(c, "origins", "https://a.test", CLA_CONFIG_FILE), 0);
    assert_int_equal(set(c, "origins", "https://b.test,nonsense", CLA_CONFIG_FLAG), -CLA_EINVAL);
    assert_int_equal(set(c, "grace", "1x", CLA_CONFIG_FLAG), -CLA_EINVAL);
    assert_int_equal(c->origins.count, 1);
    assert_int_equal(c->sources[CLA_CONFIG_AT_origins], CLA_CONFIG_FILE);
    assert_int_equal(c->grace_ns, 500 * CLA_NS_PER_MS);
    assert_int_equal(c->sources[CLA_CONFIG_AT_grace], CLA_CONFIG_DEFAULT);
}

static void endless_names_and_values_are_cut_in_the_error(void **state)
{
    struct cla_config_error error;
    char text[5000];
    struct cla_slice all;

    memset(text, 'x', sizeof text);
    all = cla_slice(text, sizeof text);
    assert_int_equal(cla_config_set(*state, all, all, CLA_CONFIG_ENVIRONMENT, &error),
                     -CLA_ENOTFOUND);
    assert_true(strlen(error.text) < sizeof error.text);
    assert_int_equal(cla_config_set(*state, CLA_LIT("listen"), all, CLA_CONFIG_FLAG, &error),
                     -CLA_EINVAL);
    assert_non_null(strstr(error.text, "for every address"));
}

static void numbers_are_bytes_seconds_or_counts(void **state)
{
    static const struct {
        const char *name;
        double number;
        int rc;
    } cases[] = {
        {"call_timeout", 0.25, 0},
        {"body_bytes", 4096, 0},
        {"max_calls", 7, 0},
        {"body_bytes", 0.5, -CLA_EINVAL},
        {"max_calls", 1.5, -CLA_EINVAL},
        {"call_timeout", -1, -CLA_EINVAL},
        {"call_timeout", NAN, -CLA_EINVAL},
        {"call_timeout", INFINITY, -CLA_EINVAL},
        {"max_calls", 1e300, -CLA_EINVAL},
        {"listen", 3000, -CLA_EINVAL},
        {"nothing", 1, -CLA_ENOTFOUND},
    };
    struct cla_config *c = *state;
    struct cla_config_error error;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++)
        assert_int_equal(cla_config_set_number(c, cla_slice_str(cases[i].name), cases[i].number,
                                               CLA_CONFIG_FILE, &error),
                         cases[i].rc);
    assert_int_equal(c->call_timeout_ns, CLA_NS_PER_S / 4);
    assert_int_equal(c->body_bytes, 4096);
    assert_int_equal(c->max_calls, 7);
}

static void the_environment_sets_what_it_names(void **state)
{
    const char *environment[] = {"PATH=/bin",
                                 "CANCELA_CALL_TIMEOUT=2s",
                                 "CANCELA_PORT=tcp://10.0.0.1:80",
                                 "CANCELA_SERVICE_HOST=10.0.0.1",
                                 "CANCELA_EXPOSE_ERRORS=true",
                                 "CANCELA_CONFIG=cancela.lua",
                                 "CALL_TIMEOUT=9s",
                                 "CANCELA_nonsense",
                                 NULL};
    struct cla_config *c = *state;
    struct cla_config_error error;

    assert_int_equal(cla_config_set_environment(c, (char *const *)environment, &error), 0);
    assert_int_equal(c->call_timeout_ns, 2 * CLA_NS_PER_S);
    assert_true(c->expose_errors);
    assert_int_equal(c->sources[CLA_CONFIG_AT_expose_errors], CLA_CONFIG_ENVIRONMENT);
}

static void a_mistyped_variable_is_an_error(void **state)
{
    const char *environment[] = {"CANCELA_LISTN=:80", NULL};
    struct cla_config_error error;

    assert_int_equal(cla_config_set_environment(*state, (char *const *)environment, &error),
                     -CLA_ENOTFOUND);
    assert_string_equal(error.text, "unknown environment variable 'CANCELA_LISTN'; did you mean "
                                    "'CANCELA_LISTEN'?");
}

static void flags_take_their_value_from_either_place(void **state)
{
    static const struct {
        const char *flag, *next;
        int rc;
        bool used_next;
    } cases[] = {
        {"--call-timeout=2s", "x", 0, false},  {"--max-calls", "9", 0, true},
        {"--max_calls", "8", 0, true},         {"--expose-errors", "x", 0, false},
        {"--origins=", NULL, 0, false},        {"--grace", "--listen", -CLA_EINVAL, true},
        {"--grace", NULL, -CLA_EINVAL, false}, {"--nothing=1", NULL, -CLA_ENOTFOUND, false},
        {"--", NULL, -CLA_ENOTFOUND, false},
    };
    struct cla_config *c = *state;
    struct cla_config_error error;
    bool used_next;

    for (size_t i = 0; i < CLA_ARRAY_LEN(cases); i++) {
        assert_int_equal(cla_config_set_flag(c, cases[i].flag, cases[i].next, &used_next, &error),
                         cases[i].rc);
        assert_int_equal(used_next, cases[i].used_next);
    }
    assert_int_equal(c->call_timeout_ns, 2 * CLA_NS_PER_S);
    assert_int_equal(c->max_calls, 8);
    assert_true(c->expose_errors);
    assert_int_equal(cla_config_set_flag(c, "--expose-errors=false", NULL, &used_next, &error), 0);
    assert_false(c->expose_errors);
}

static void the_items_of_repeated_flags_add_up(void **state)
{
    struct cla_config *c = *state;

    assert_int_equal(set(c, "listen", ":1", CLA_CONFIG_ENVIRONMENT), 0);
    assert_int_equal(set(c, "listen", ":2", CLA_CONFIG_FLAG), 0);
    assert_int_equal(c->listen.count, 1);
    assert_int_equal(set(c, "listen", ":3,unix:/a", CLA_CONFIG_FLAG), 0);
    assert_int_equal(c->listen.count, 3);
    assert_true(cla_slice_eq(c->listen.items[2], CLA_LIT("unix:/a")));
    assert_int_equal(set(c, "listen", ":2", CLA_CONFIG_FLAG), -CLA_EINVAL);
    assert_int_equal(set(c, "listen", ":4", CLA_CONFIG_FILE), 0);
    assert_int_equal(c->listen.count, 3);
    assert_int_equal(set(c, "hosts", "a", CLA_CONFIG_ENVIRONMENT), 0);
    assert_int_equal(set(c, "hosts", "b", CLA_CONFIG_ENVIRONMENT), 0);
    assert_int_equal(c->hosts.count, 1); /* no flag: the last word counts */
}

static void auto_is_as_many_workers_as_there_are_processors(void **state)
{
    struct cla_config *c = *state;
    struct cla_buf text = {0};

    assert_int_equal(set(c, "workers", "auto", CLA_CONFIG_FLAG), 0);
    assert_int_equal(c->workers, 0);
    assert_int_equal(cla_config_print(c, CLA_CONFIG_AT_workers, &text), 0);
    assert_true(cla_slice_eq(cla_buf_slice(&text), CLA_LIT("auto")));
    cla_buf_fini(&text);
    assert_int_equal(set(c, "workers", "256", CLA_CONFIG_FLAG), 0);
    assert_int_equal(c->workers, 256);
}

static void a_flag_without_its_value_shows_the_default(void **state)
{
    struct cla_config_error error;
    bool used_next;

    assert_int_equal(cla_config_set_flag(*state, "--grace", NULL, &used_next, &error), -CLA_EINVAL);
    assert_string_equal(error.text, "--grace needs a value; the default is --grace=500ms");
}

static void sources_have_names(void **state)
{
    assert_string_equal(cla_config_source_name(CLA_CONFIG_DEFAULT), "default");
    assert_string_equal(cla_config_source_name(CLA_CONFIG_FLAG), "flag");
}

#define WITH_CONFIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CONFIG(defaults_are_those_that_are_documented),
        WITH_CONFIG(defaults_admit_the_benchmarks),
        cmocka_unit_test(the_deepest_json_is_what_the_scanner_allows),
        cmocka_unit_test(every_setting_is_described),
        WITH_CONFIG(what_is_printed_reads_back_as_the_same),
        WITH_CONFIG(a_stronger_source_replaces_a_weaker_one_only),
        WITH_CONFIG(a_weaker_source_is_checked_all_the_same),
        WITH_CONFIG(a_mistake_names_thing_value_and_remedy),
        WITH_CONFIG(a_mistake_changes_nothing),
        WITH_CONFIG(endless_names_and_values_are_cut_in_the_error),
        WITH_CONFIG(numbers_are_bytes_seconds_or_counts),
        WITH_CONFIG(the_environment_sets_what_it_names),
        WITH_CONFIG(a_mistyped_variable_is_an_error),
        WITH_CONFIG(flags_take_their_value_from_either_place),
        WITH_CONFIG(the_items_of_repeated_flags_add_up),
        WITH_CONFIG(auto_is_as_many_workers_as_there_are_processors),
        WITH_CONFIG(a_flag_without_its_value_shows_the_default),
        cmocka_unit_test(sources_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
