#include "gateway/config_value.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/units.h"
#include "gateway/listen.h"
#include "gateway/proxy.h"

static int wrong(struct cla_buf *remedy, const char *text)
{
    return cla_buf_printf(remedy, "%s", text) == 0 ? -CLA_EINVAL : -CLA_ENOMEM;
}

static int read_count(struct cla_slice text, uint64_t *count)
{
    *count = 0;
    if (text.n < 1 || text.n > 18)
        return -CLA_EINVAL;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -CLA_EINVAL;
        *count = *count * 10 + (uint64_t)(text.p[i] - '0');
    }
    return 0;
}

static int read_threads(struct cla_slice text, uint64_t *count)
{
    if (!cla_slice_eq(text, CLA_LIT("auto")))
        return read_count(text, count);
    *count = 0;
    return 0;
}

/* One kind of number. */
struct number_kind {
    int (*read)(struct cla_slice text, uint64_t *value);
    const char *wrong, *write; /* of what is none, and what to write instead */
};

static const struct number_kind number_kinds[] = {
    [CLA_CONFIG_COUNT] = {read_count, "is not a count", "write a whole number"},
    [CLA_CONFIG_THREADS] = {read_threads, "is not a count", "write a whole number, or auto"},
    [CLA_CONFIG_BYTES] = {cla_units_bytes, "is not a size",
                          "write 64KiB, 1MiB or a number of bytes"},
    [CLA_CONFIG_DURATION] = {cla_units_duration_ns, "is not a duration",
                             "write 500ms, 30s or a number of seconds"},
};

static int add_range(const struct cla_config_setting *setting, struct cla_buf *remedy)
{
    int rc = cla_buf_add(remedy, CLA_LIT("write "));

    if (rc == 0)
        rc = cla_config_value_print(setting, &setting->least, remedy);
    if (rc == 0)
        rc = cla_buf_add(remedy, CLA_LIT(" to "));
    if (rc == 0)
        rc = cla_config_value_print(setting, &setting->most, remedy);
    return rc == 0 ? -CLA_EINVAL : rc;
}

static int read_number(const struct cla_config_setting *setting, struct cla_slice text,
                       uint64_t *number, struct cla_buf *remedy)
{
    const struct number_kind *kind = &number_kinds[setting->kind];
    bool is_number = kind->read(text, number) == 0;

    if (is_number && *number >= setting->least && *number <= setting->most)
        return 0;
    if (setting->kind == CLA_CONFIG_THREADS && cla_slice_eq(text, CLA_LIT("auto")))
        return 0;
    if (cla_buf_printf(remedy, "%s; ", is_number ? "is out of range" : kind->wrong) != 0)
        return -CLA_ENOMEM;
    if (setting->more != NULL)
        return wrong(remedy, setting->more);
    return is_number ? add_range(setting, remedy) : wrong(remedy, kind->write);
}

static int read_bool(struct cla_slice text, bool *truth, struct cla_buf *remedy)
{
    *truth = cla_slice_eq(text, CLA_LIT("true"));
    if (*truth || cla_slice_eq(text, CLA_LIT("false")))
        return 0;
    return wrong(remedy, "is neither true nor false");
}

static int read_choice(const struct cla_config_setting *setting, struct cla_slice text,
                       unsigned *choice, struct cla_buf *remedy)
{
    struct cla_slice rest = cla_slice_str(setting->more), item;

    for (*choice = 0; cla_slice_next(&rest, '|', &item); ++*choice) {
        if (cla_slice_eq(item, text))
            return 0;
    }
    if (cla_buf_add(remedy, CLA_LIT("is not a choice; write one of")) != 0)
        return -CLA_ENOMEM;
    rest = cla_slice_str(setting->more);
    while (cla_slice_next(&rest, '|', &item)) {
        if (cla_buf_printf(remedy, " %.*s", (int)item.n, item.p) != 0)
            return -CLA_ENOMEM;
    }
    return -CLA_EINVAL;
}

/* 'cancela config' prints a path as a Lua string, as it is. */
static bool is_path(struct cla_slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c < ' ' || c == 0x7f || c == '"' || c == '\\')
            return false;
    }
    return true;
}

static int read_path(struct cla_slice text, char **path, struct cla_buf *remedy)
{
    *path = NULL;
    if (!is_path(text))
        return wrong(remedy, "is not a path; write one without quotes, backslashes and control "
                             "characters");
    if (text.n == 0)
        return 0;
    *path = cla_mem_strndup(text.p, text.n);
    return *path != NULL ? 0 : -CLA_ENOMEM;
}

/* The bytes before the first of 'stop' (not letters, not digits). */
static size_t span_until(struct cla_slice s, const char *stop)
{
    size_t i = 0;

    while (i < s.n && s.p[i] > ' ' && s.p[i] < 0x7f && strchr(stop, s.p[i]) == NULL)
        i++;
    return i;
}

static bool is_host(struct cla_slice item)
{
    return item.n > 0 && span_until(item, "/@\"'\\?#") == item.n;
}

/* A serialized origin (RFC 6454 section 6.2): what comes in Origin, so nothing else can match. */
static bool is_origin(struct cla_slice item)
{
    size_t scheme = span_until(item, ":");

    if (scheme == 0 ||
        !cla_slice_starts(cla_slice(item.p + scheme, item.n - scheme), CLA_LIT("://")))
        return false;
    return is_host(cla_slice(item.p + scheme + 3, item.n - scheme - 3));
}

/* One address, without what only those of 'listen' have. */
static int read_address(struct cla_slice text, char **address, struct cla_buf *remedy)
{
    struct cla_listen listen;
    const char *why = NULL;

    *address = NULL;
    if (!cla_slice_eq(text, CLA_LIT("off")))
        why = cla_listen_read(text, &listen);
    else
        listen = (struct cla_listen){.port = 0};
    if (why == NULL && (listen.tls || listen.half_close_set))
        why = "is served by plain HTTP; write it without https:// and half_close";
    if (why != NULL)
        return wrong(remedy, why);
    return read_path(text, address, remedy);
}

/* What is wrong with an item of LISTEN; NULL: nothing. 'before': the items in front of it. */
static const char *check_listen(struct cla_slice item, struct cla_slice before)
{
    struct cla_listen listen, other;
    const char *why = cla_listen_read(item, &listen);

    while (why == NULL && cla_slice_next(&before, ',', &item)) {
        (void)cla_listen_read(item, &other);
        if (cla_listen_same(&listen, &other))
            why = "names an address twice; write each once";
    }
    return why;
}

/* What is wrong with 'item', in front of which 'before' stands; NULL: nothing. */
static const char *check_item(const struct cla_config_setting *setting, struct cla_slice item,
                              struct cla_slice before)
{
    if (setting->kind == CLA_CONFIG_LISTEN)
        return check_listen(item, before);
    if (setting->kind == CLA_CONFIG_PROXIES)
        return cla_proxy_is_item(item)
                   ? NULL
                   : "is not a list of proxies; write 10.0.0.1, 10.0.0.0/8, 2001:db8::/32 (no bits "
                     "behind the network's), or unix, with commas between several";
    if (cla_slice_eq(item, CLA_LIT("*")))
        return NULL;
    if (setting->kind == CLA_CONFIG_ORIGINS)
        return is_origin(item) ? NULL
                               : "is not a list of origins; write https://example.com, or * for "
                                 "any, with commas between several";
    return is_host(item) ? NULL
                         : "is not a list of hosts; write example.com, or * for any, with commas "
                           "between several";
}

/* Checks and counts the items. Returns what is wrong; NULL: nothing. */
static const char *count_items(const struct cla_config_setting *setting, struct cla_slice text,
                               size_t *count)
{
    struct cla_slice rest = text, item;
    const char *why = NULL;

    *count = 0;
    while (why == NULL && cla_slice_next(&rest, ',', &item)) {
        size_t before = (size_t)(item.p - text.p);

        why = check_item(setting, item, cla_slice(text.p, before));
        ++*count;
    }
    if (*count == 0 && setting->kind == CLA_CONFIG_LISTEN)
        return "is no address; write at least one, such as 127.0.0.1:3000";
    return why;
}

static int read_list(const struct cla_config_setting *setting, struct cla_slice text,
                     struct cla_config_list *list, struct cla_buf *remedy)
{
    size_t items_bytes;
    const char *why;
    char *copy;

    *list = (struct cla_config_list){NULL, 0};
    why = count_items(setting, text, &list->count);
    if (why != NULL)
        return wrong(remedy, why);
    if (list->count == 0)
        return 0;
    items_bytes = list->count * sizeof *list->items;
    list->items = cla_mem_alloc(items_bytes + text.n);
    if (list->items == NULL)
        return -CLA_ENOMEM;
    copy = (char *)list->items + items_bytes;
    memcpy(copy, text.p, text.n);
    text.p = copy;
    for (size_t i = 0; i < list->count; i++)
        (void)cla_slice_next(&text, ',', &list->items[i]);
    return 0;
}

int cla_config_value_read(const struct cla_config_setting *setting, struct cla_slice text,
                          struct cla_config_value *value, struct cla_buf *remedy)
{
    text = cla_slice_trim(text);
    switch (setting->kind) {
    case CLA_CONFIG_BOOL:
        return read_bool(text, &value->truth, remedy);
    case CLA_CONFIG_CHOICE:
        return read_choice(setting, text, &value->choice, remedy);
    case CLA_CONFIG_PATH:
        return read_path(text, &value->path, remedy);
    case CLA_CONFIG_ADDRESS:
        return read_address(text, &value->path, remedy);
    case CLA_CONFIG_LISTEN:
    case CLA_CONFIG_ORIGINS:
    case CLA_CONFIG_HOSTS:
    case CLA_CONFIG_PROXIES:
        return read_list(setting, text, &value->list, remedy);
    default:
        return read_number(setting, text, &value->number, remedy);
    }
}

bool cla_config_value_is_list(const struct cla_config_setting *setting)
{
    return setting->kind == CLA_CONFIG_LISTEN || setting->kind == CLA_CONFIG_ORIGINS ||
           setting->kind == CLA_CONFIG_HOSTS || setting->kind == CLA_CONFIG_PROXIES;
}

bool cla_config_value_is_owned(const struct cla_config_setting *setting)
{
    return setting->kind == CLA_CONFIG_PATH || setting->kind == CLA_CONFIG_ADDRESS ||
           cla_config_value_is_list(setting);
}

void cla_config_value_store(const struct cla_config_setting *setting,
                            struct cla_config_value *value, void *field)
{
    switch (setting->kind) {
    case CLA_CONFIG_BOOL:
        *(bool *)field = value->truth;
        break;
    case CLA_CONFIG_CHOICE:
        *(unsigned *)field = value->choice;
        break;
    case CLA_CONFIG_PATH:
    case CLA_CONFIG_ADDRESS:
        cla_mem_free(*(char **)field);
        *(char **)field = value->path;
        break;
    case CLA_CONFIG_LISTEN:
    case CLA_CONFIG_ORIGINS:
    case CLA_CONFIG_HOSTS:
    case CLA_CONFIG_PROXIES:
        cla_mem_free(((struct cla_config_list *)field)->items);
        *(struct cla_config_list *)field = value->list;
        break;
    default:
        *(uint64_t *)field = value->number;
        break;
    }
}

void cla_config_value_fini(const struct cla_config_setting *setting, struct cla_config_value *value)
{
    if (setting->kind == CLA_CONFIG_PATH || setting->kind == CLA_CONFIG_ADDRESS)
        cla_mem_free(value->path);
    else if (cla_config_value_is_list(setting))
        cla_mem_free(value->list.items);
}
