#include "gateway/config.h"

#include <math.h>
#include <stdio.h>

#include "base/check.h"
#include "base/error.h"
#include "gateway/config_value.h"

#define PREFIX "CANCELA_"

/* Room for any setting's name as any source spells it. */
#define NAME_BYTES 80

#define FIELD_OF_LISTEN(name) name
#define FIELD_OF_COUNT(name) name
#define FIELD_OF_THREADS(name) name
#define FIELD_OF_BYTES(name) name
#define FIELD_OF_DURATION(name) name##_ns
#define FIELD_OF_BOOL(name) name
#define FIELD_OF_PATH(name) name
#define FIELD_OF_ADDRESS(name) name
#define FIELD_OF_CHOICE(name) name
#define FIELD_OF_ORIGINS(name) name
#define FIELD_OF_HOSTS(name) name
#define FIELD_OF_PROXIES(name) name

static const struct cla_config_setting settings[CLA_CONFIG_SETTINGS] = {
#define X(kind, name, standard, least, most, more, doc) \
    {#name,    CLA_CONFIG_##kind,                       \
     standard, least,                                   \
     most,     more,                                    \
     doc,      offsetof(struct cla_config, FIELD_OF_##kind(name))},
    CLA_CONFIG_TABLE(X)
#undef X
};

static void *field_of(struct cla_config *config, const struct cla_config_setting *setting)
{
    return (char *)config + setting->offset;
}

static uint8_t *source_of(struct cla_config *config, const struct cla_config_setting *setting)
{
    return &config->sources[setting - settings];
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

/* Finds the setting that 'source' spells so. */
static const struct cla_config_setting *find(struct cla_slice name, enum cla_config_source source)
{
    char plain[NAME_BYTES];

    if (name.n > sizeof plain)
        return NULL;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        plain[i] = source == CLA_CONFIG_ENVIRONMENT        ? lower(c)
                   : source == CLA_CONFIG_FLAG && c == '-' ? '_'
                                                           : c;
    }
    for (size_t i = 0; i < CLA_CONFIG_SETTINGS; i++) {
        if (cla_slice_eq(cla_slice(plain, name.n), cla_slice_str(settings[i].name)))
            return &settings[i];
    }
    return NULL;
}

/* Writes 'name' as 'source' spells it: cut if need be, and never with control characters. */
static const char *spell(struct cla_slice name, enum cla_config_source source,
                         char spelled[NAME_BYTES])
{
    const char *prefix = source == CLA_CONFIG_FLAG          ? "--"
                         : source == CLA_CONFIG_ENVIRONMENT ? PREFIX
                                                            : "";
    size_t n = strlen(prefix);

    memcpy(spelled, prefix, n);
    for (size_t i = 0; i < name.n && n < NAME_BYTES - 1; i++) {
        char c = name.p[i];

        if (source == CLA_CONFIG_FLAG && c == '_')
            c = '-';
        if (source == CLA_CONFIG_ENVIRONMENT)
            c = upper(c);
        spelled[n++] = c >= ' ' && c < 0x7f ? c : '?';
    }
    spelled[n] = '\0';
    return spelled;
}

static int unknown(struct cla_slice name, enum cla_config_source source,
                   struct cla_config_error *error)
{
    static const char *const things[] = {"setting", "setting", "environment variable", "flag"};
    char typed[NAME_BYTES], meant[NAME_BYTES];
    struct cla_suggest suggest;

    cla_suggest_init(&suggest, name);
    cla_config_offer(&suggest);
    spell(name, source, typed);
    if (suggest.best.n > 0)
        snprintf(error->text, sizeof error->text, "unknown %s '%s'; did you mean '%s'?",
                 things[source], typed, spell(suggest.best, source, meant));
    else
        snprintf(error->text, sizeof error->text,
                 "unknown %s '%s'; 'cancela config' lists the settings", things[source], typed);
    return -CLA_ENOTFOUND;
}

static int refuse(const struct cla_config_setting *setting, struct cla_slice text,
                  enum cla_config_source source, const struct cla_buf *remedy,
                  struct cla_config_error *error)
{
    char name[NAME_BYTES], value[NAME_BYTES];

    snprintf(error->text, sizeof error->text, "%s: '%s' %.*s",
             spell(cla_slice_str(setting->name), source, name), spell(text, CLA_CONFIG_FILE, value),
             (int)remedy->n, remedy->n > 0 ? remedy->p : "");
    return -CLA_EINVAL;
}

static int assign_value(struct cla_config *config, const struct cla_config_setting *setting,
                        struct cla_slice text, enum cla_config_source source,
                        struct cla_config_error *error)
{
    struct cla_buf remedy = {0};
    struct cla_config_value value;
    int rc = cla_config_value_read(setting, text, &value, &remedy);

    if (rc == -CLA_EINVAL)
        rc = refuse(setting, text, source, &remedy, error);
    else if (rc != 0)
        snprintf(error->text, sizeof error->text, "%s", cla_error_text(rc));
    cla_buf_fini(&remedy);
    if (rc != 0)
        return rc;
    if (source < *source_of(config, setting)) {
        cla_config_value_fini(setting, &value);
        return 0;
    }
    cla_config_value_store(setting, &value, field_of(config, setting));
    *source_of(config, setting) = (uint8_t)source;
    return 0;
}

/* A list whose flag was given before. */
static bool repeats(struct cla_config *config, const struct cla_config_setting *setting,
                    enum cla_config_source source)
{
    return source == CLA_CONFIG_FLAG && *source_of(config, setting) == CLA_CONFIG_FLAG &&
           cla_config_value_is_list(setting) &&
           ((struct cla_config_list *)field_of(config, setting))->count > 0;
}

static int assign(struct cla_config *config, const struct cla_config_setting *setting,
                  struct cla_slice text, enum cla_config_source source,
                  struct cla_config_error *error)
{
    struct cla_buf whole = {0};
    int rc;

    if (!repeats(config, setting, source))
        return assign_value(config, setting, text, source, error);
    rc = cla_config_value_print(setting, field_of(config, setting), &whole);
    if (rc == 0)
        rc = cla_buf_push(&whole, ',');
    if (rc == 0)
        rc = cla_buf_add(&whole, text);
    if (rc == 0)
        rc = assign_value(config, setting, cla_buf_slice(&whole), source, error);
    else
        snprintf(error->text, sizeof error->text, "%s", cla_error_text(rc));
    cla_buf_fini(&whole);
    return rc;
}

int cla_config_init(struct cla_config *config)
{
    struct cla_config_error error;

    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < CLA_CONFIG_SETTINGS; i++) {
        int rc = assign(config, &settings[i], cla_slice_str(settings[i].standard),
                        CLA_CONFIG_DEFAULT, &error);

        CLA_PRE(rc != -CLA_EINVAL);
        if (rc != 0) {
            cla_config_fini(config);
            return rc;
        }
    }
    return 0;
}

void cla_config_fini(struct cla_config *config)
{
    for (size_t i = 0; i < CLA_CONFIG_SETTINGS; i++) {
        struct cla_config_value nothing = {.list = {NULL, 0}};

        if (cla_config_value_is_owned(&settings[i]))
            cla_config_value_store(&settings[i], &nothing, field_of(config, &settings[i]));
    }
}

int cla_config_set(struct cla_config *config, struct cla_slice name, struct cla_slice text,
                   enum cla_config_source source, struct cla_config_error *error)
{
    const struct cla_config_setting *setting = find(name, source);

    return setting != NULL ? assign(config, setting, text, source, error)
                           : unknown(name, source, error);
}

int cla_config_set_number(struct cla_config *config, struct cla_slice name, double number,
                          enum cla_config_source source, struct cla_config_error *error)
{
    char text[NAME_BYTES];
    int n = number == floor(number) && fabs(number) < 1e18
                ? snprintf(text, sizeof text, "%.0f", number)
                : snprintf(text, sizeof text, fabs(number) < 1e18 ? "%.9f" : "%g", number);

    return cla_config_set(config, name, cla_slice(text, (size_t)n), source, error);
}

static int set_variable(struct cla_config *config, struct cla_slice name, struct cla_slice text,
                        struct cla_config_error *error)
{
    const struct cla_config_setting *setting = find(name, CLA_CONFIG_ENVIRONMENT);
    struct cla_suggest suggest;

    if (setting != NULL)
        return assign(config, setting, text, CLA_CONFIG_ENVIRONMENT, error);
    cla_suggest_init(&suggest, name);
    cla_config_offer(&suggest);
    return suggest.best.n > 0 ? unknown(name, CLA_CONFIG_ENVIRONMENT, error) : 0;
}

int cla_config_set_environment(struct cla_config *config, char *const *environment,
                               struct cla_config_error *error)
{
    int rc = 0;

    for (; rc == 0 && *environment != NULL; environment++) {
        struct cla_slice variable = cla_slice_str(*environment), name;
        const char *equals = strchr(variable.p, '=');

        if (equals == NULL || !cla_slice_starts(variable, CLA_LIT(PREFIX)))
            continue;
        name =
            cla_slice(variable.p + strlen(PREFIX), (size_t)(equals - variable.p) - strlen(PREFIX));
        rc = set_variable(config, name, cla_slice_str(equals + 1), error);
    }
    return rc;
}

int cla_config_set_flag(struct cla_config *config, const char *flag, const char *next,
                        bool *used_next, struct cla_config_error *error)
{
    const char *equals = strchr(flag, '=');
    struct cla_slice name = cla_slice_str(flag);
    const struct cla_config_setting *setting;

    *used_next = false;
    if (equals != NULL)
        name.n = (size_t)(equals - flag);
    if (cla_slice_starts(name, CLA_LIT("--")))
        name = cla_slice(name.p + 2, name.n - 2);
    setting = find(name, CLA_CONFIG_FLAG);
    if (setting == NULL)
        return unknown(name, CLA_CONFIG_FLAG, error);
    if (equals != NULL)
        return assign(config, setting, cla_slice_str(equals + 1), CLA_CONFIG_FLAG, error);
    if (setting->kind == CLA_CONFIG_BOOL)
        return assign(config, setting, CLA_LIT("true"), CLA_CONFIG_FLAG, error);
    if (next == NULL) {
        char spelled[NAME_BYTES];

        spell(name, CLA_CONFIG_FLAG, spelled);
        snprintf(error->text, sizeof error->text, "%s needs a value; the default is %s=%s", spelled,
                 spelled, setting->standard);
        return -CLA_EINVAL;
    }
    *used_next = true;
    return assign(config, setting, cla_slice_str(next), CLA_CONFIG_FLAG, error);
}

const struct cla_config_setting *cla_config_describe(size_t at)
{
    return at < CLA_CONFIG_SETTINGS ? &settings[at] : NULL;
}

void cla_config_offer(struct cla_suggest *suggest)
{
    for (size_t i = 0; i < CLA_CONFIG_SETTINGS; i++)
        cla_suggest_offer(suggest, cla_slice_str(settings[i].name));
}

int cla_config_print(const struct cla_config *config, size_t at, struct cla_buf *to)
{
    CLA_PRE(at < CLA_CONFIG_SETTINGS);
    return cla_config_value_print(&settings[at], (const char *)config + settings[at].offset, to);
}

const char *cla_config_source_name(enum cla_config_source source)
{
    static const char *const names[] = {"default", "file", "environment", "flag"};

    return names[source];
}
