/* Reading schemas: what json/schema_read.c, schema_keyword.c and schema_judge.c share. Private to
 * them.
 *
 * Depends on: json/schema_node. Functions return 0, -CLA_ENOMEM, or -CLA_EINVAL with r->error. */
#ifndef CLA_JSON_SCHEMA_READER_H
#define CLA_JSON_SCHEMA_READER_H

#include "base/check.h"
#include "json/schema_node.h"

struct cla_json_schema_reader {
    struct cla_json_schema *schema;
    struct cla_json_scan scan;
    const char *root; /* what messages call it */
    struct cla_json_schema_error *error;
    unsigned depth; /* schemas that are open */
};

struct cla_json_keyword {
    const char *name;
    unsigned types; /* that it is for, enum cla_json_type; 0: any */
    /* Reads its value into 'n'. */
    int (*read)(struct cla_json_schema_reader *r, struct cla_json_node *n,
                const struct cla_json_path *at);
};

#define CLA_JSON_KEYWORD_COUNT 22

/* Those that are supported. */
extern const struct cla_json_keyword cla_json_keywords[CLA_JSON_KEYWORD_COUNT];

/* Zeroed memory that lives as long as the schema, or NULL. */
void *cla_json_schema_grab(struct cla_json_schema_reader *r, size_t bytes);

/* Says what is wrong at 'at'. Returns -CLA_EINVAL. */
int cla_json_schema_fail(struct cla_json_schema_reader *r, const struct cla_json_path *at,
                         const char *format, ...) CLA_PRINTF(3, 4);

/* The string or name that was just read, decoded; lives as long as the schema. */
int cla_json_schema_take_string(struct cla_json_schema_reader *r, struct cla_slice *out);

/* Reads the schema whose first event was read. */
int cla_json_schema_read_node(struct cla_json_schema_reader *r, enum cla_json_event first,
                              const struct cla_json_path *at, bool may_be_boolean,
                              struct cla_json_node **out);

/* Judges what the keywords of 'n' say together; 'met' has a bit for each that stands there. */
int cla_json_schema_judge(struct cla_json_schema_reader *r, struct cla_json_node *n, uint32_t met,
                          const struct cla_json_path *at);

#endif
