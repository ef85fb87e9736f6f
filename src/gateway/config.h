/* The gateway's settings: one table, read from defaults, file, environment and flags.
 *
 * Any thread, one at a time; read-only once the gateway runs. Depends on: base. The file is a Lua
 * table that the caller reads; here it arrives as names and values. */
#ifndef CLA_GATEWAY_CONFIG_H
#define CLA_GATEWAY_CONFIG_H

#include <stdint.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/suggest.h"
#include "gateway/config_table.h"

/* Where a value came from, weakest first: a weaker one never replaces a stronger one. */
enum cla_config_source {
    CLA_CONFIG_DEFAULT,
    CLA_CONFIG_FILE,        /* call_timeout */
    CLA_CONFIG_ENVIRONMENT, /* CANCELA_CALL_TIMEOUT */
    CLA_CONFIG_FLAG,        /* --call-timeout */
};

enum cla_config_kind {
    CLA_CONFIG_LISTEN,   /* addresses: gateway/listen.h */
    CLA_CONFIG_COUNT,    /* a whole number */
    CLA_CONFIG_THREADS,  /* a whole number, or "auto", which is held as 0 */
    CLA_CONFIG_BYTES,    /* "1MiB", or a number of bytes */
    CLA_CONFIG_DURATION, /* "500ms", or a number of seconds */
    CLA_CONFIG_BOOL,     /* true or false */
    CLA_CONFIG_PATH,     /* of a file; NULL: none */
    CLA_CONFIG_ADDRESS,  /* one address, or "off" */
    CLA_CONFIG_CHOICE,   /* one of a few words */
    CLA_CONFIG_ORIGINS,  /* scheme://host[:port], …, or * */
    CLA_CONFIG_HOSTS,    /* host[:port], …, or * */
    CLA_CONFIG_PROXIES,  /* addresses, networks, or "unix" */
};

/* Choices of half_close, of access_log; those of log_level are enum cla_log_level, those of
 * tls_client_auth enum cla_tls_client_auth. */
enum cla_half_close { CLA_HALF_CLOSE_CANCEL, CLA_HALF_CLOSE_ALLOW };
enum cla_access_log { CLA_ACCESS_LOG_ALL, CLA_ACCESS_LOG_FAILED, CLA_ACCESS_LOG_OFF };

struct cla_config_list {
    struct cla_slice *items; /* owned, with their text, as one block; NULL if there are none */
    size_t count;
};

/* The field of each kind; those of DURATION are called NAME_ns. */
#define CLA_CONFIG_FIELD_LISTEN(name) struct cla_config_list name;
#define CLA_CONFIG_FIELD_COUNT(name) uint64_t name;
#define CLA_CONFIG_FIELD_THREADS(name) uint64_t name;
#define CLA_CONFIG_FIELD_BYTES(name) uint64_t name;
#define CLA_CONFIG_FIELD_DURATION(name) uint64_t name##_ns;
#define CLA_CONFIG_FIELD_BOOL(name) bool name;
#define CLA_CONFIG_FIELD_PATH(name) char *name;    /* owned */
#define CLA_CONFIG_FIELD_ADDRESS(name) char *name; /* owned */
#define CLA_CONFIG_FIELD_CHOICE(name) unsigned name;
#define CLA_CONFIG_FIELD_ORIGINS(name) struct cla_config_list name;
#define CLA_CONFIG_FIELD_HOSTS(name) struct cla_config_list name;
#define CLA_CONFIG_FIELD_PROXIES(name) struct cla_config_list name;

/* Indices of the settings: CLA_CONFIG_AT_listen, … */
enum {
#define X(kind, name, ...) CLA_CONFIG_AT_##name,
    CLA_CONFIG_TABLE(X)
#undef X
        CLA_CONFIG_SETTINGS
};

struct cla_config {
#define X(kind, name, ...) CLA_CONFIG_FIELD_##kind(name)
    CLA_CONFIG_TABLE(X)
#undef X
    uint8_t sources[CLA_CONFIG_SETTINGS]; /* enum cla_config_source of each */
};

/* One line, without a line end: the thing, its value, the remedy. */
struct cla_config_error {
    char text[640];
};

struct cla_config_setting {
    const char *name; /* as in the file: call_timeout */
    enum cla_config_kind kind;
    const char *standard; /* the default, as text */
    uint64_t least, most; /* of COUNT, BYTES and DURATION */
    const char *more;     /* see gateway/config_table.h */
    const char *doc;
    size_t offset; /* of the field in struct cla_config */
};

/* Gives every setting its default. Free with cla_config_fini(). Returns 0 or -CLA_ENOMEM. */
int cla_config_init(struct cla_config *config);

/* Frees what the settings hold. */
void cla_config_fini(struct cla_config *config);

/* Sets one. 'name' is written as its source writes it, without "--" or "CANCELA_". The items of a
 * list whose flag is repeated add up; anything else is replaced.
 * Returns 0 (also if a stronger source has spoken: the value is checked all the same), or
 * -CLA_EINVAL, -CLA_ENOTFOUND (no such setting; names the nearest) or -CLA_ENOMEM, with 'error'. */
int cla_config_set(struct cla_config *config, struct cla_slice name, struct cla_slice text,
                   enum cla_config_source source, struct cla_config_error *error);

/* As cla_config_set(), with a number: bytes, seconds, or a count. */
int cla_config_set_number(struct cla_config *config, struct cla_slice name, double number,
                          enum cla_config_source source, struct cla_config_error *error);

/* Sets what 'environment' (as environ) holds under CANCELA_NAME. Of other names that begin with
 * CANCELA_ only those that are nearly a setting's are errors: schedulers make variables of their
 * own from a service's name. Returns as cla_config_set(). */
int cla_config_set_environment(struct cla_config *config, char *const *environment,
                               struct cla_config_error *error);

/* Sets from the argument 'flag' ("--name=value", or "--name" with its value in 'next', which may be
 * NULL; a BOOL needs none). '*used_next' tells if 'next' was the value. Returns as
 * cla_config_set(). */
int cla_config_set_flag(struct cla_config *config, const char *flag, const char *next,
                        bool *used_next, struct cla_config_error *error);

/* The setting with index 'at', or NULL behind the last: to walk the table. */
const struct cla_config_setting *cla_config_describe(size_t at);

/* Offers the name of every setting. */
void cla_config_offer(struct cla_suggest *suggest);

/* Appends the value of setting 'at' as text that cla_config_set() would read as the same value.
 * Returns 0 or -CLA_ENOMEM. */
int cla_config_print(const struct cla_config *config, size_t at, struct cla_buf *to);

/* Where a value came from: "default", "file", "environment" or "flag". */
const char *cla_config_source_name(enum cla_config_source source);

#endif
