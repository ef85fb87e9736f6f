/* Values of settings, between text and C. Private to gateway/config.c.
 *
 * Any thread. Depends on: base, gateway/config. */
#ifndef CLA_GATEWAY_CONFIG_VALUE_H
#define CLA_GATEWAY_CONFIG_VALUE_H

#include "gateway/config.h"

/* What a field holds, by its kind. */
struct cla_config_value {
    union {
        uint64_t number;             /* COUNT, THREADS, BYTES, DURATION */
        bool truth;                  /* BOOL */
        unsigned choice;             /* CHOICE */
        char *path;                  /* PATH, ADDRESS; owned */
        struct cla_config_list list; /* LISTEN, ORIGINS, HOSTS, PROXIES; owned */
    };
};

/* Reads 'text'. Returns 0, -CLA_EINVAL with why and what to write in 'remedy' ("is not …; write
 * …"), or -CLA_ENOMEM. */
int cla_config_value_read(const struct cla_config_setting *setting, struct cla_slice text,
                          struct cla_config_value *value, struct cla_buf *remedy);

/* Moves 'value' to 'field', freeing what that held. */
void cla_config_value_store(const struct cla_config_setting *setting,
                            struct cla_config_value *value, void *field);

/* Frees a value that was not stored. */
void cla_config_value_fini(const struct cla_config_setting *setting,
                           struct cla_config_value *value);

/* Appends what 'field' holds. Returns 0 or -CLA_ENOMEM. */
int cla_config_value_print(const struct cla_config_setting *setting, const void *field,
                           struct cla_buf *to);

/* True if its field is a struct cla_config_list. */
bool cla_config_value_is_list(const struct cla_config_setting *setting);

/* True if its field owns memory. */
bool cla_config_value_is_owned(const struct cla_config_setting *setting);

#endif
