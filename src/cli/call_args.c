#include "cli/call_args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/suggest.h"
#include "base/units.h"
#include "base/utf8.h"
#include "cli/call_params.h"
#include "cli/cli.h"
#include "http/token.h"

/* Where 'cancela run' listens by default. */
#define DEFAULT_PORT 3000
#define DEFAULT_PATH "/rpc"

int cla_call_args_fail(const char *format, ...)
{
    va_list values;

    va_start(values, format);
    fputs("cancela: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    return CLA_EXIT_USAGE;
}

static int out_of_memory(void)
{
    cla_call_args_fail("out of memory");
    return CLA_EXIT_FAILED;
}

/* --- The URL. --- */

/* True if 'text', of which 'url' was read, names a port. */
static bool names_port(struct cla_slice text, const struct cla_http_url *url)
{
    const char *after = url->host.p + url->host.n + (url->ipv6 ? 1 : 0);

    return after < text.p + text.n && *after == ':';
}

/* Path and query: those of the URL, and /rpc where it has no path. */
static int set_target(struct cla_call_args *args, struct cla_slice target)
{
    bool bare = target.n == 0 || target.p[0] == '?' || cla_slice_eq(target, CLA_LIT("/"));

    if (bare && cla_buf_add(&args->target, CLA_LIT(DEFAULT_PATH)) != 0)
        return out_of_memory();
    if (bare && target.n == 1)
        return 0;
    return cla_buf_add(&args->target, target) == 0 ? 0 : out_of_memory();
}

static int set_host(struct cla_call_args *args, const struct cla_http_url *url)
{
    int n = (int)url->host.n;

    if (url->host.n >= sizeof args->host)
        return cla_call_args_fail("the host '%.*s' is too long", n, url->host.p);
    memcpy(args->host, url->host.p, url->host.n);
    args->host[n] = '\0';
    if (cla_buf_printf(&args->address, url->ipv6 ? "[%s]:%u" : "%s:%u", args->host, args->port) !=
        0)
        return out_of_memory();
    return 0;
}

/* One of those that cla_http_url_parse() knows, or none. */
static void set_scheme(struct cla_call_args *args, struct cla_slice scheme)
{
    bool wss = cla_slice_eq_nocase(scheme, CLA_LIT("wss"));

    args->websocket = wss || cla_slice_eq_nocase(scheme, CLA_LIT("ws"));
    args->tls = wss || cla_slice_eq_nocase(scheme, CLA_LIT("https"));
}

/* unix:PATH, where nothing but the socket can be told. */
static int set_local(struct cla_call_args *args, struct cla_slice typed)
{
    if (typed.n >= sizeof args->host)
        return cla_call_args_fail("the path '%.*s' is too long", (int)typed.n, typed.p);
    memcpy(args->host, typed.p, typed.n);
    args->host[typed.n] = '\0';
    if (cla_buf_add(&args->address, CLA_LIT("localhost")) != 0)
        return out_of_memory();
    return set_target(args, cla_slice("", 0));
}

static int set_url(struct cla_call_args *args, const char *typed)
{
    struct cla_slice text = cla_slice_str(typed);
    struct cla_http_url url;
    int rc;

    args->websocket = cla_slice_starts(text, CLA_LIT("ws+unix:"));
    if (args->websocket || cla_slice_starts(text, CLA_LIT("unix:")))
        return set_local(args, cla_slice_str(typed + (args->websocket ? strlen("ws+") : 0)));
    if (cla_http_url_parse(text, &url) != 0)
        return cla_call_args_fail(
            "'%s' is no URL of a gateway; write localhost:3000, http://host:port/path or "
            "ws://host:port/path",
            typed);
    set_scheme(args, url.scheme);
    args->port = url.port;
    if (url.scheme.n == 0 && !names_port(text, &url))
        args->port = DEFAULT_PORT;
    rc = set_host(args, &url);
    return rc != 0 ? rc : set_target(args, url.target);
}

/* --- The flags. --- */

static int set_timeout(struct cla_call_args *args, const char *value)
{
    if (cla_units_duration_ns(cla_slice_str(value), &args->timeout_ns) != 0 ||
        args->timeout_ns == 0)
        return cla_call_args_fail("--timeout '%s' is no time above 0; write 500ms, 2s or 1.5",
                                  value);
    args->timeout = value;
    return 0;
}

static int set_count(struct cla_call_args *args, const char *value)
{
    char *end;

    errno = 0;
    args->count = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0' || errno != 0 || args->count == 0)
        return cla_call_args_fail("--count '%s' is no number of events above 0", value);
    return 0;
}

static int set_file(struct cla_call_args *args, const char *value)
{
    args->file = value;
    return 0;
}

static int set_cacert(struct cla_call_args *args, const char *value)
{
    args->cacert = value;
    return 0;
}

static int set_cert(struct cla_call_args *args, const char *value)
{
    args->cert = value;
    return 0;
}

static int set_key(struct cla_call_args *args, const char *value)
{
    args->key = value;
    return 0;
}

static bool is_token(struct cla_slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (!cla_http_is_token_char(text.p[i]))
            return false;
    }
    return text.n > 0;
}

static bool has_control(struct cla_slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

/* The fields that make the request what it is. */
static bool is_own(struct cla_slice name)
{
    static const char *const names[] = {
        "host",
        "content-type",
        "content-length",
        "connection",
        "transfer-encoding",
        "connect-timeout-ms",
        "upgrade",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(names); i++) {
        if (cla_slice_eq_nocase(name, cla_slice_str(names[i])))
            return true;
    }
    return false;
}

static int add_header(struct cla_call_args *args, const char *line)
{
    const char *colon = strchr(line, ':');
    struct cla_slice name, value;

    if (colon == NULL)
        return cla_call_args_fail("--header '%s' has no colon; write --header 'Name: value'", line);
    name = cla_slice(line, (size_t)(colon - line));
    value = cla_slice_trim(cla_slice_str(colon + 1));
    if (!is_token(name) || has_control(value))
        return cla_call_args_fail("--header '%s' is no header field", line);
    if (is_own(name))
        return cla_call_args_fail("--header: %.*s is set by the call itself", (int)name.n, name.p);
    if (cla_buf_printf(&args->fields, "%.*s: %.*s\r\n", (int)name.n, name.p, (int)value.n,
                       value.p) != 0)
        return out_of_memory();
    return 0;
}

struct flag {
    const char *name;
    /* NULL: the flag has no value, but sets the bool at 'offset'. */
    int (*take)(struct cla_call_args *args, const char *value);
    size_t offset;
    const char *example;
};

static const struct flag flags[] = {
    {"--timeout", set_timeout, 0, "500ms"},
    {"--file", set_file, 0, "FILE"},
    {"--count", set_count, 0, "10"},
    {"--header", add_header, 0, "'Name: value'"},
    {"--cacert", set_cacert, 0, "FILE"},
    {"--cert", set_cert, 0, "FILE"},
    {"--key", set_key, 0, "FILE"},
    {"--insecure", NULL, offsetof(struct cla_call_args, insecure), NULL},
    {"-k", NULL, offsetof(struct cla_call_args, insecure), NULL},
    {"--stream", NULL, offsetof(struct cla_call_args, stream), NULL},
    {"--verbose", NULL, offsetof(struct cla_call_args, verbose), NULL},
    {"--help", NULL, offsetof(struct cla_call_args, help), NULL},
};

static int unknown_flag(const struct cla_call_args *args, struct cla_slice name)
{
    struct cla_suggest suggest;

    cla_suggest_init(&suggest, name);
    for (size_t i = 0; i < CLA_ARRAY_LEN(flags); i++)
        cla_suggest_offer(&suggest, cla_slice_str(flags[i].name));
    if (suggest.best.n == 0)
        return cla_call_args_fail("unknown flag '%.*s'; see 'cancela %s --help'", (int)name.n,
                                  name.p, args->listens ? "listen" : "call");
    return cla_call_args_fail("unknown flag '%.*s'; did you mean '%.*s'?", (int)name.n, name.p,
                              (int)suggest.best.n, suggest.best.p);
}

/* Reads the flag at argv[*at], and the value behind it if it has one. */
static int take_flag(struct cla_call_args *args, int argc, char **argv, int *at)
{
    const char *value = strchr(argv[*at], '=');
    struct cla_slice name = cla_slice_str(argv[*at]);
    const struct flag *flag = flags, *end = flags + CLA_ARRAY_LEN(flags);

    if (value != NULL)
        name.n = (size_t)(value++ - name.p);
    while (flag < end && !cla_slice_eq(name, cla_slice_str(flag->name)))
        flag++;
    if (flag == end)
        return unknown_flag(args, name);
    if (flag->take == NULL) {
        *(bool *)((char *)args + flag->offset) = true;
        return value == NULL ? 0 : cla_call_args_fail("%s takes no value", flag->name);
    }
    if (value == NULL && *at + 1 < argc)
        value = argv[++*at];
    if (value == NULL)
        return cla_call_args_fail("%s needs a value: %s %s", flag->name, flag->name, flag->example);
    return flag->take(args, value);
}

/* Takes the flags out of argv[1..argc) and moves what is left to its front: '*count' arguments. */
static int take_flags(struct cla_call_args *args, int argc, char **argv, int *count)
{
    bool more = true;
    int rc;

    *count = 0;
    for (int i = 1; i < argc; i++) {
        if (more && strcmp(argv[i], "--") == 0) {
            more = false;
        } else if (more && argv[i][0] == '-' && argv[i][1] != '\0') {
            rc = take_flag(args, argc, argv, &i);
            if (rc != 0)
                return rc;
        } else {
            argv[++*count] = argv[i];
        }
    }
    return 0;
}

/* Where the calls come from: the arguments behind the URL, a file, or a prompt. */
static int set_calls(struct cla_call_args *args, int count, char **rest)
{
    if (args->file != NULL)
        return count == 0 ? 0
                          : cla_call_args_fail(
                                "--file holds the calls: '%s' cannot stand beside it", rest[0]);
    if (count == 0 && isatty(STDIN_FILENO))
        return 0;
    if (count == 0)
        return cla_call_args_fail("the procedure's name is missing: cancela call URL PROCEDURE "
                                  "[PARAMS], or --file - to read calls from stdin");
    args->procedure = rest[0];
    if (!cla_utf8_valid(cla_slice_str(args->procedure)))
        return cla_call_args_fail("the procedure's name is not valid UTF-8");
    return cla_call_params_read(&args->params, count - 1, rest + 1);
}

int cla_call_args_read(struct cla_call_args *args, int argc, char **argv)
{
    int count, rc;

    *args = (struct cla_call_args){.timeout_ns = CLA_NEVER};
    rc = take_flags(args, argc, argv, &count);
    if (rc != 0 || args->help)
        return rc;
    if (args->count > 0)
        return cla_call_args_fail("--count is for 'cancela listen'");
    if (count == 0)
        return cla_call_args_fail(
            "the gateway's URL is missing: cancela call URL PROCEDURE [PARAMS]");
    rc = set_url(args, argv[1]);
    return rc != 0 ? rc : set_calls(args, count - 1, argv + 2);
}

/* Only a WebSocket brings events, so that a URL without a scheme is one. */
static int set_events_url(struct cla_call_args *args, const char *typed)
{
    int rc = set_url(args, typed);

    if (rc == 0 && !args->websocket && strstr(typed, "://") != NULL)
        return cla_call_args_fail("events come on a WebSocket: write ws://%s",
                                  strstr(typed, "://") + 3);
    args->websocket = true;
    return rc;
}

int cla_call_args_read_listen(struct cla_call_args *args, int argc, char **argv)
{
    int count, rc;

    *args = (struct cla_call_args){.timeout_ns = CLA_NEVER, .listens = true};
    rc = take_flags(args, argc, argv, &count);
    if (rc != 0 || args->help)
        return rc;
    if (args->file != NULL)
        return cla_call_args_fail("--file is for 'cancela call'");
    if (count < 2)
        return cla_call_args_fail(
            "the %s is missing: cancela listen URL EVENT [PROCEDURE [PARAMS]]",
            count == 0 ? "gateway's URL" : "event's name");
    args->event = argv[2];
    rc = set_events_url(args, argv[1]);
    return rc != 0 || count == 2 ? rc : set_calls(args, count - 2, argv + 3);
}

void cla_call_args_fini(struct cla_call_args *args)
{
    cla_buf_fini(&args->address);
    cla_buf_fini(&args->target);
    cla_buf_fini(&args->fields);
    cla_buf_fini(&args->params);
}
