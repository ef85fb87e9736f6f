#include <inttypes.h>

#include "base/error.h"
#include "gateway/config_value.h"

struct unit {
    uint64_t size;
    const char *name;
};

/* Appends 'number' in the largest unit of which it is a whole multiple. 'units' ends with size 1.
 */
static int print_units(uint64_t number, const struct unit *units, struct cla_buf *to)
{
    while (units->size > 1 && (number == 0 || number % units->size != 0))
        units++;
    return cla_buf_printf(to, "%" PRIu64 "%s", number / units->size, units->name);
}

static int print_bytes(uint64_t bytes, struct cla_buf *to)
{
    static const struct unit units[] = {
        {CLA_GIB, "GiB"}, {CLA_MIB, "MiB"}, {CLA_KIB, "KiB"}, {1, ""}};

    return print_units(bytes, units, to);
}

static int print_duration(uint64_t ns, struct cla_buf *to)
{
    static const struct unit units[] = {{3600 * CLA_NS_PER_S / 1000, "h"},
                                        {60 * CLA_NS_PER_S / 1000, "m"},
                                        {CLA_NS_PER_S / 1000, "s"},
                                        {CLA_NS_PER_MS / 1000, "ms"},
                                        {1, "us"}};

    if (ns == 0)
        return cla_buf_add(to, CLA_LIT("0s"));
    if (ns % 1000 == 0)
        return print_units(ns / 1000, units, to);
    return cla_buf_printf(to, "%" PRIu64 ".%09" PRIu64 "s", ns / CLA_NS_PER_S, ns % CLA_NS_PER_S);
}

static int print_choice(unsigned choice, const char *choices, struct cla_buf *to)
{
    struct cla_slice rest = cla_slice_str(choices), item = rest;

    for (unsigned i = 0; i <= choice; i++)
        (void)cla_slice_next(&rest, '|', &item);
    return cla_buf_add(to, item);
}

static int print_list(const struct cla_config_list *list, struct cla_buf *to)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < list->count; i++)
        rc =
            cla_buf_printf(to, "%s%.*s", i > 0 ? "," : "", (int)list->items[i].n, list->items[i].p);
    return rc;
}

int cla_config_value_print(const struct cla_config_setting *setting, const void *field,
                           struct cla_buf *to)
{
    switch (setting->kind) {
    case CLA_CONFIG_THREADS:
        if (*(const uint64_t *)field == 0)
            return cla_buf_add(to, CLA_LIT("auto"));
        return cla_buf_add_number(to, *(const uint64_t *)field);
    case CLA_CONFIG_COUNT:
        return cla_buf_printf(to, "%" PRIu64, *(const uint64_t *)field);
    case CLA_CONFIG_BYTES:
        return print_bytes(*(const uint64_t *)field, to);
    case CLA_CONFIG_DURATION:
        return print_duration(*(const uint64_t *)field, to);
    case CLA_CONFIG_BOOL:
        return cla_buf_add(to, *(const bool *)field ? CLA_LIT("true") : CLA_LIT("false"));
    case CLA_CONFIG_CHOICE:
        return print_choice(*(const unsigned *)field, setting->more, to);
    case CLA_CONFIG_PATH:
    case CLA_CONFIG_ADDRESS:
        return *(char *const *)field != NULL ? cla_buf_add(to, cla_slice_str(*(char *const *)field))
                                             : 0;
    case CLA_CONFIG_LISTEN:
    case CLA_CONFIG_ORIGINS:
    case CLA_CONFIG_HOSTS:
    case CLA_CONFIG_PROXIES:
        return print_list(field, to);
    }
    return -CLA_EINVAL;
}
