#include "cli/check_table.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "bind/discover.h"

enum { NAME, PARAMS, TIMEOUT, FLAGS, SUMMARY, COLUMNS };

static const char *const headings[COLUMNS] = {NULL, "params", "timeout", "flags", "summary"};

/* Characters of params, and of a default, that are shown. */
#define PARAMS_SHOWN 60
#define DEFAULT_SHOWN 20

struct row {
    struct cla_buf cells[COLUMNS];
};

/* Control characters could upset a terminal. */
static int add_plain(struct cla_buf *cell, struct cla_slice text)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < text.n; i++) {
        bool control = (unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f;

        rc = cla_buf_push(cell, control ? '?' : text.p[i]);
    }
    return rc;
}

static size_t columns(struct cla_slice text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.n; i++)
        count += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return count;
}

static int add_default(struct cla_buf *cell, struct cla_slice text)
{
    int rc = cla_buf_add(cell, CLA_LIT(" = "));

    if (rc == 0 && columns(text) > DEFAULT_SHOWN)
        return cla_buf_add(cell, CLA_LIT("..."));
    return rc == 0 ? cla_buf_add(cell, text) : rc;
}

static int add_param(struct cla_buf *cell, const struct cla_json_schema_member *member, size_t at)
{
    char types[96];
    int rc = 0;

    cla_json_schema_types_print(member->types, types);
    if (!member->required)
        rc = cla_buf_push(cell, '[');
    if (rc == 0 && member->name.n > 0)
        rc = add_plain(cell, member->name);
    else if (rc == 0)
        rc = cla_buf_printf(cell, "%zu", at + 1);
    if (rc == 0)
        rc = cla_buf_printf(cell, ": %s", types);
    if (rc == 0 && member->fallback.n > 0)
        rc = add_default(cell, member->fallback);
    return rc == 0 && !member->required ? cla_buf_push(cell, ']') : rc;
}

static int add_params(struct cla_buf *cell, const struct cla_json_schema *params)
{
    struct cla_json_schema_member member;
    int rc = 0;

    if (params == NULL)
        return cla_buf_add(cell, CLA_LIT("any"));
    for (size_t i = 0; rc == 0 && cla_json_schema_member(params, i, &member); i++) {
        if (i > 0)
            rc = cla_buf_add(cell, CLA_LIT(", "));
        if (rc == 0 && columns(cla_buf_slice(cell)) > PARAMS_SHOWN)
            return cla_buf_add(cell, CLA_LIT("..."));
        if (rc == 0)
            rc = add_param(cell, &member, i);
    }
    if (rc == 0 && cell->n == 0)
        rc = cla_buf_add(cell, cla_json_schema_types(params) == CLA_JSON_TYPE_ARRAY
                                   ? CLA_LIT("array")
                                   : CLA_LIT("object"));
    return rc;
}

static int add_timeout(struct cla_buf *cell, uint64_t ms)
{
    return ms % 1000 == 0 ? cla_buf_printf(cell, "%" PRIu64 "s", ms / 1000)
                          : cla_buf_printf(cell, "%" PRIu64 "ms", ms);
}

static int add_flag(struct cla_buf *cell, bool set, const char *text)
{
    if (!set)
        return 0;
    return cla_buf_printf(cell, "%s%s", cell->n > 0 ? "," : "", text);
}

static int fill(struct row *row, const struct cla_script *script,
                const struct cla_script_procedure *p)
{
    int rc = add_plain(&row->cells[NAME], p->base.name);

    if (rc == 0 && !p->is_route)
        rc = add_params(&row->cells[PARAMS], p->params);
    if (rc == 0)
        rc = add_timeout(&row->cells[TIMEOUT], cla_discover_timeout_ms(script, p));
    if (rc == 0 && cla_discover_idles(p))
        rc = cla_buf_add(&row->cells[TIMEOUT], CLA_LIT(" idle"));
    if (rc == 0)
        rc = add_flag(&row->cells[FLAGS], p->base.stream, "stream");
    if (rc == 0)
        rc = add_flag(&row->cells[FLAGS], p->base.read_only, "read_only");
    if (rc == 0)
        rc = add_flag(&row->cells[FLAGS], p->preemptible, "preemptible");
    if (rc == 0)
        rc = add_flag(&row->cells[FLAGS], p->manual, "manual");
    if (rc == 0 && p->summary != NULL)
        rc = add_plain(&row->cells[SUMMARY], cla_slice_str(p->summary));
    return rc;
}

static int fill_headings(struct row *row, const char *name, bool params)
{
    int rc = cla_buf_add(&row->cells[NAME], cla_slice_str(name));

    for (int i = params ? PARAMS : TIMEOUT; rc == 0 && i < COLUMNS; i++)
        rc = cla_buf_add(&row->cells[i], cla_slice_str(headings[i]));
    return rc;
}

static int write_row(const struct row *row, const size_t widths[COLUMNS], struct cla_buf *out)
{
    size_t spaces = 0;
    int rc = 0;

    for (int i = 0; rc == 0 && i < COLUMNS; i++) {
        struct cla_slice cell = cla_buf_slice(&row->cells[i]);

        if (cell.n > 0) {
            rc = cla_buf_printf(out, "%*s", (int)spaces, "");
            spaces = 0;
        }
        if (rc == 0)
            rc = cla_buf_add(out, cell);
        spaces += widths[i] - columns(cell) + 2;
    }
    return rc == 0 ? cla_buf_push(out, '\n') : rc;
}

static int write_rows(const struct row *rows, size_t count, struct cla_buf *out)
{
    size_t widths[COLUMNS] = {0};
    int rc = 0;

    for (size_t i = 0; i < count; i++) {
        for (int k = 0; k < COLUMNS; k++) {
            size_t width = columns(cla_buf_slice(&rows[i].cells[k]));

            if (width > widths[k])
                widths[k] = width;
        }
    }
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = write_row(&rows[i], widths, out);
    return rc;
}

static const struct cla_script_procedure *procedure_at(const struct cla_script *script, size_t i)
{
    return &script->procedures[i];
}

static const struct cla_script_procedure *route_at(const struct cla_script *script, size_t i)
{
    return &script->routes[i].procedure;
}

/* Appends a table of 'count' procedures, under 'heading'. */
static int write_table(const struct cla_script *script, const char *heading,
                       const struct cla_script_procedure *(*at)(const struct cla_script *, size_t),
                       size_t count, struct cla_buf *out)
{
    struct row *rows = cla_mem_zalloc((count + 1) * sizeof *rows);
    int rc;

    if (rows == NULL)
        return -CLA_ENOMEM;
    rc = fill_headings(&rows[0], heading, at == procedure_at);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = fill(&rows[i + 1], script, at(script, i));
    if (rc == 0)
        rc = write_rows(rows, count + 1, out);
    for (size_t i = 0; i < (count + 1) * COLUMNS; i++)
        cla_buf_fini(&rows[i / COLUMNS].cells[i % COLUMNS]);
    cla_mem_free(rows);
    return rc;
}

int cla_check_table_write(const struct cla_script *script, struct cla_buf *out)
{
    int rc = 0;

    if (script->procedure_count > 0)
        rc = write_table(script, "procedure", procedure_at, script->procedure_count, out);
    if (rc == 0 && script->procedure_count > 0 && script->route_count > 0)
        rc = cla_buf_push(out, '\n');
    if (rc == 0 && script->route_count > 0)
        rc = write_table(script, "route", route_at, script->route_count, out);
    return rc;
}
