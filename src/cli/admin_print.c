/* What ps and status say, for people. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/admin.h"
#include "json/scan.h"

#define COLUMNS 10
#define CELL_MAX 80

/* The columns of ps: what the member is called, its heading, and how it is written. */
static const struct column {
    const char *member, *heading;
    bool time;  /* milliseconds */
    bool right; /* aligned */
} columns[COLUMNS] = {
    {"id", "ID", false, true},
    {"procedure", "PROCEDURE", false, false},
    {"phase", "PHASE", false, false},
    {"where", "WHERE", false, false},
    {"age_ms", "AGE", true, true},
    {"remaining_ms", "LEFT", true, true},
    {"cpu_ms", "CPU", true, true},
    {"peer", "PEER", false, false},
    {"protocol", "PROTOCOL", false, false},
    {"generation", "GEN", false, true},
};

struct row {
    char cells[COLUMNS][CELL_MAX];
};

/* "250ms", "1.5s", "2m05s". */
static void write_time(char *to, size_t size, int64_t ms)
{
    if (ms < 1000)
        snprintf(to, size, "%" PRId64 "ms", ms);
    else if (ms < 60000)
        snprintf(to, size, "%.1fs", (double)ms / 1000);
    else
        snprintf(to, size, "%" PRId64 "m%02" PRId64 "s", ms / 60000, ms / 1000 % 60);
}

static void write_text(char *to, size_t size, struct cla_slice raw)
{
    char text[CELL_MAX * 6];
    size_t n;

    if (raw.n > sizeof text)
        raw.n = 0; /* nobody's name */
    n = cla_json_unescape(raw, text);
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == '\x7f')
            text[i] = '?'; /* the terminal's, not the client's */
    }
    snprintf(to, size, "%.*s", (int)n, text);
}

static void fill_cell(struct row *row, struct cla_slice key, const struct cla_json_scan *scan,
                      enum cla_json_event event)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        char *cell = row->cells[i];

        if (!cla_slice_eq(key, cla_slice_str(columns[i].member)))
            continue;
        if (event == CLA_JSON_STRING)
            write_text(cell, CELL_MAX, scan->string);
        else if (event == CLA_JSON_INT && columns[i].time)
            write_time(cell, CELL_MAX, scan->integer);
        else if (event == CLA_JSON_INT)
            snprintf(cell, CELL_MAX, "%" PRId64, scan->integer);
        else
            snprintf(cell, CELL_MAX, "-");
    }
}

/* Reads an object of plain members, whose '{' was just read. */
static void read_row(struct cla_json_scan *scan, struct row *row)
{
    *row = (struct row){0};
    while (cla_json_scan_next(scan) == CLA_JSON_KEY) {
        struct cla_slice key = scan->string;
        enum cla_json_event event = cla_json_scan_next(scan);

        fill_cell(row, key, scan, event);
    }
}

static void widen(int *widths, const struct row *row)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        int n = (int)strlen(row->cells[i]);

        widths[i] = n > widths[i] ? n : widths[i];
    }
}

static void print_row(const int *widths, const struct row *row)
{
    for (size_t i = 0; i < COLUMNS; i++)
        printf(columns[i].right ? "%*s%s" : "%-*s%s",
               i + 1 < COLUMNS || columns[i].right ? widths[i] : 0, row->cells[i],
               i + 1 < COLUMNS ? "  " : "\n");
}

/* Leaves the scan behind the '[' of the member 'name' of the object that is 'text'. */
static bool find_list(struct cla_json_scan *scan, struct cla_slice text, const char *name)
{
    struct cla_slice skipped;

    cla_json_scan_init(scan, text, CLA_JSON_DEPTH_MAX);
    (void)cla_json_scan_next(scan);
    while (cla_json_scan_next(scan) == CLA_JSON_KEY) {
        if (cla_slice_eq(scan->string, cla_slice_str(name)))
            return cla_json_scan_next(scan) == CLA_JSON_ARRAY_BEGIN;
        if (cla_json_scan_value(scan, &skipped) != 0)
            return false;
    }
    return false;
}

/* --- Workers that do not answer. --- */

struct stuck {
    int64_t worker, call, ms; /* call 0: not known */
    char procedure[CELL_MAX], where[2 * CELL_MAX];
};

/* Reads an element of the list "stuck", whose '{' was just read. */
static void read_stuck(struct cla_json_scan *scan, struct stuck *stuck)
{
    *stuck = (struct stuck){.worker = -1};
    while (cla_json_scan_next(scan) == CLA_JSON_KEY) {
        struct cla_slice key = scan->string;
        enum cla_json_event event = cla_json_scan_next(scan);

        if (event == CLA_JSON_STRING && cla_slice_eq(key, CLA_LIT("procedure")))
            write_text(stuck->procedure, sizeof stuck->procedure, scan->string);
        else if (event == CLA_JSON_STRING)
            write_text(stuck->where, sizeof stuck->where, scan->string);
        else if (event == CLA_JSON_INT && cla_slice_eq(key, CLA_LIT("worker")))
            stuck->worker = scan->integer;
        else if (event == CLA_JSON_INT && cla_slice_eq(key, CLA_LIT("call")))
            stuck->call = scan->integer;
        else if (event == CLA_JSON_INT)
            stuck->ms = scan->integer;
    }
}

/* What the list "stuck" of 'result' says of that worker; false: nothing. */
static bool find_stuck(struct cla_slice result, int64_t worker, struct stuck *stuck)
{
    struct cla_json_scan scan;

    if (!find_list(&scan, result, "stuck"))
        return false;
    while (cla_json_scan_next(&scan) == CLA_JSON_OBJECT_BEGIN) {
        read_stuck(&scan, stuck);
        if (stuck->worker == worker)
            return true;
    }
    return false;
}

/* Ends the line that says which worker it is. */
static void print_stuck(struct cla_slice result, int64_t worker)
{
    struct stuck stuck;
    char time[32];

    if (!find_stuck(result, worker, &stuck)) {
        puts("does not answer: it computes what nothing can interrupt");
        return;
    }
    write_time(time, sizeof time, stuck.ms);
    printf("does not answer: nothing can interrupt what it has computed for %s", time);
    if (stuck.call > 0)
        printf(": call %" PRId64 ", %s, last seen at %s", stuck.call, stuck.procedure, stuck.where);
    putchar('\n');
}

static void print_silent(struct cla_slice result)
{
    struct cla_json_scan scan;

    if (!find_list(&scan, result, "silent_workers"))
        return;
    while (cla_json_scan_next(&scan) == CLA_JSON_INT) {
        printf("worker %" PRId64 " ", scan.integer);
        print_stuck(result, scan.integer);
    }
}

/* --- ps. --- */

int cla_admin_print_calls(struct cla_slice result)
{
    struct cla_json_scan scan;
    struct cla_buf rows = {0};
    struct row row = {0};
    int widths[COLUMNS] = {0}, rc = 0;

    for (size_t i = 0; i < COLUMNS; i++)
        snprintf(row.cells[i], CELL_MAX, "%s", columns[i].heading);
    rc = cla_buf_append(&rows, (const char *)&row, sizeof row);
    widen(widths, &row);
    if (!find_list(&scan, result, "calls"))
        rc = -CLA_EJSON;
    while (rc == 0 && cla_json_scan_next(&scan) == CLA_JSON_OBJECT_BEGIN) {
        read_row(&scan, &row);
        widen(widths, &row);
        rc = cla_buf_append(&rows, (const char *)&row, sizeof row);
    }
    for (size_t at = 0; rc == 0 && at < rows.n; at += sizeof row) {
        memcpy(&row, rows.p + at, sizeof row);
        print_row(widths, &row);
    }
    if (rc == 0)
        print_silent(result);
    cla_buf_fini(&rows);
    return rc;
}

/* --- status. --- */

static void print_worker(struct cla_json_scan *scan, unsigned at, struct cla_slice result)
{
    int64_t connections = 0, calls = 0, bytes = 0;
    bool answers = false;

    while (cla_json_scan_next(scan) == CLA_JSON_KEY) {
        struct cla_slice key = scan->string;
        enum cla_json_event event = cla_json_scan_next(scan);

        if (cla_slice_eq(key, CLA_LIT("answers")))
            answers = event == CLA_JSON_TRUE;
        else if (cla_slice_eq(key, CLA_LIT("connections")))
            connections = scan->integer;
        else if (cla_slice_eq(key, CLA_LIT("calls")))
            calls = scan->integer;
        else
            bytes = scan->integer;
    }
    printf("worker %u: ", at);
    if (answers)
        printf("%" PRId64 " connections, %" PRId64 " calls, scripts use %.1f MiB\n", connections,
               calls, (double)bytes / (1 << 20));
    else
        print_stuck(result, at);
}

/* All of a text of some lines, those behind the first indented. */
static void print_text(struct cla_slice key, struct cla_slice raw)
{
    char *text = cla_mem_alloc(raw.n + 1);
    size_t n = text != NULL ? cla_json_unescape(raw, text) : 0;

    printf("%.*s ", (int)key.n, key.p);
    for (size_t i = 0; i < n; i++) {
        bool plain = (unsigned char)text[i] >= ' ' && text[i] != '\x7f';

        if (text[i] == '\n')
            fputs("\n    ", stdout);
        else
            putchar(plain || text[i] == '\t' ? text[i] : '?');
    }
    putchar('\n');
    cla_mem_free(text);
}

static void print_member(const struct cla_json_scan *scan, struct cla_slice key,
                         enum cla_json_event event)
{
    char text[CELL_MAX];

    if (event == CLA_JSON_INT && cla_slice_eq(key, CLA_LIT("uptime_ms"))) {
        write_time(text, sizeof text, scan->integer);
        printf("uptime %s\n", text);
    } else if (event == CLA_JSON_INT) {
        printf("%.*s %" PRId64 "\n", (int)key.n, key.p, scan->integer);
    } else if (event == CLA_JSON_STRING) {
        print_text(key, scan->string);
    } else {
        printf("%.*s %s\n", (int)key.n, key.p, event == CLA_JSON_TRUE ? "yes" : "no");
    }
}

static void print_list(struct cla_json_scan *scan, struct cla_slice key, struct cla_slice result)
{
    char text[256];
    enum cla_json_event event;
    struct stuck stuck;

    for (unsigned at = 0; (event = cla_json_scan_next(scan)) != CLA_JSON_ARRAY_END; at++) {
        if (event == CLA_JSON_OBJECT_BEGIN && cla_slice_eq(key, CLA_LIT("stuck"))) {
            read_stuck(scan, &stuck); /* its worker's line has told of it */
        } else if (event == CLA_JSON_OBJECT_BEGIN) {
            print_worker(scan, at, result);
        } else {
            write_text(text, sizeof text, scan->string);
            printf("%.*s %s\n", (int)key.n, key.p, text);
        }
    }
}

int cla_admin_print_status(struct cla_slice result)
{
    struct cla_json_scan scan;

    cla_json_scan_init(&scan, result, CLA_JSON_DEPTH_MAX);
    if (cla_json_scan_next(&scan) != CLA_JSON_OBJECT_BEGIN)
        return -CLA_EJSON;
    while (cla_json_scan_next(&scan) == CLA_JSON_KEY) {
        struct cla_slice key = scan.string;
        enum cla_json_event event = cla_json_scan_next(&scan);

        if (event == CLA_JSON_ARRAY_BEGIN)
            print_list(&scan, key, result);
        else
            print_member(&scan, key, event);
    }
    return 0;
}

/* --- reload. --- */

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

int cla_admin_print_reload(struct cla_slice result)
{
    static const char *const names[] = {"generation", "took_ms", "older_calls", "websockets"};
    int64_t values[CLA_ARRAY_LEN(names)] = {0};
    struct cla_json_scan scan;

    cla_json_scan_init(&scan, result, CLA_JSON_DEPTH_MAX);
    if (cla_json_scan_next(&scan) != CLA_JSON_OBJECT_BEGIN)
        return -CLA_EJSON;
    while (cla_json_scan_next(&scan) == CLA_JSON_KEY) {
        struct cla_slice key = scan.string;

        if (cla_json_scan_next(&scan) != CLA_JSON_INT)
            return -CLA_EJSON;
        for (size_t i = 0; i < CLA_ARRAY_LEN(names); i++) {
            if (cla_slice_eq(key, cla_slice_str(names[i])))
                values[i] = scan.integer;
        }
    }
    printf("generation %" PRId64 " in %" PRId64 " ms; %" PRId64 " call%s on older code; %" PRId64
           " WebSocket%s kept\n",
           values[0], values[1], values[2], plural(values[2]), values[3], plural(values[3]));
    return 0;
}
