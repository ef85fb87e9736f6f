/* The files of JSONTestSuite (Nicolas Seriot), if they are there: y_ must be accepted, n_ refused,
 * and what we do with i_ is written down below. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "json/scan.h"

/* What is left to the implementation and accepted here: precision is lost rather than the text
 * refused. The other i_ files hold invalid UTF-8, lone surrogates, other encodings, byte-order
 * marks, or numbers beyond the range of a double: refused. */
static const char *const accepted[] = {
    "i_number_double_huge_neg_exp.json",   /* becomes 0 */
    "i_number_real_underflow.json",        /* becomes 0 */
    "i_number_too_big_neg_int.json",       /* becomes a float */
    "i_number_too_big_pos_int.json",       /* becomes a float */
    "i_number_very_big_negative_int.json", /* becomes a float */
    "i_structure_500_nested_arrays.json",  /* within the limit */
};

static const char *const refused[] = {
    "i_number_huge_exp.json",
    "i_number_neg_int_huge_exp.json",
    "i_number_pos_double_huge_exp.json",
    "i_number_real_neg_overflow.json",
    "i_number_real_pos_overflow.json",
    "i_object_key_lone_2nd_surrogate.json",
    "i_string_1st_surrogate_but_2nd_missing.json",
    "i_string_1st_valid_surrogate_2nd_invalid.json",
    "i_string_UTF-16LE_with_BOM.json",
    "i_string_UTF-8_invalid_sequence.json",
    "i_string_UTF8_surrogate_U+D800.json",
    "i_string_incomplete_surrogate_and_escape_valid.json",
    "i_string_incomplete_surrogate_pair.json",
    "i_string_incomplete_surrogates_escape_valid.json",
    "i_string_invalid_lonely_surrogate.json",
    "i_string_invalid_surrogate.json",
    "i_string_invalid_utf-8.json",
    "i_string_inverted_surrogates_U+1D11E.json",
    "i_string_iso_latin_1.json",
    "i_string_lone_second_surrogate.json",
    "i_string_lone_utf8_continuation_byte.json",
    "i_string_not_in_unicode_range.json",
    "i_string_overlong_sequence_2_bytes.json",
    "i_string_overlong_sequence_6_bytes.json",
    "i_string_overlong_sequence_6_bytes_null.json",
    "i_string_truncated-utf-8.json",
    "i_string_utf16BE_no_BOM.json",
    "i_string_utf16LE_no_BOM.json",
    "i_structure_UTF-8_BOM_empty_object.json",
};

/* Longer files are cut at the bytes near their ends only. */
#define EVERY_CUT 4096

static char folder[512];

/* Opens a folder of the suite; skips the test if it is not there. */
static DIR *open_suite(const char *part)
{
    const char *root = getenv("CANCELA_CONFORMANCE");
    DIR *dir;

    snprintf(folder, sizeof folder, "%s/JSONTestSuite/%s",
             root != NULL ? root : "../shared/conformance", part);
    dir = opendir(folder);
    if (dir == NULL) {
        print_message("%s is not there: not run\n", folder);
        skip();
    }
    return dir;
}

static struct cla_buf read_file(const char *name)
{
    char path[1024], chunk[4096];
    struct cla_buf text = {0};
    size_t n;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
        assert_int_equal(cla_buf_append(&text, chunk, n), 0);
    fclose(file);
    return text;
}

static bool is_json(const char *name)
{
    size_t n = strlen(name);

    return n > 5 && strcmp(name + n - 5, ".json") == 0;
}

static bool listed(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

/* Whether the file must be accepted; a file that nothing is known of fails the test. */
static bool expected(const char *name)
{
    if (name[0] == 'y' || name[0] == 'n')
        return name[0] == 'y';
    if (listed(accepted, CLA_ARRAY_LEN(accepted), name))
        return true;
    if (!listed(refused, CLA_ARRAY_LEN(refused), name))
        fail_msg("%s: not decided", name);
    return false;
}

static bool check(struct cla_slice text)
{
    return cla_json_check(text, CLA_JSON_DEPTH_MAX, NULL, NULL) == 0;
}

static void files_are_accepted_or_refused_as_they_must_be(void **state)
{
    DIR *dir = open_suite("test_parsing");
    struct dirent *entry;
    int count = 0;

    while ((entry = readdir(dir)) != NULL) {
        struct cla_buf text;

        if (!is_json(entry->d_name))
            continue;
        text = read_file(entry->d_name);
        if (check(cla_buf_slice(&text)) != expected(entry->d_name))
            fail_msg("%s: must be %s", entry->d_name, expected(entry->d_name) ? "ok" : "refused");
        cla_buf_fini(&text);
        count++;
    }
    closedir(dir);
    print_message("%d files\n", count);
    assert_true(count >= 318);
}

/* Checks each prefix of 'text' in memory of just its size. */
static void check_prefixes(struct cla_slice text)
{
    for (size_t n = 0; n < text.n; n++) {
        char *copy;

        if (n > EVERY_CUT && text.n - n > EVERY_CUT)
            continue;
        copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy + 1, text.p, n);
        check(cla_slice(copy + 1, n));
        free(copy);
    }
}

static void cut_anywhere_no_file_is_read_past_its_end(void **state)
{
    static const char *const parts[] = {"test_parsing", "test_transform"};

    for (size_t i = 0; i < CLA_ARRAY_LEN(parts); i++) {
        DIR *dir = open_suite(parts[i]);
        struct dirent *entry;

        while ((entry = readdir(dir)) != NULL) {
            struct cla_buf text;

            if (!is_json(entry->d_name))
                continue;
            text = read_file(entry->d_name);
            check_prefixes(cla_buf_slice(&text));
            cla_buf_fini(&text);
        }
        closedir(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_accepted_or_refused_as_they_must_be),
        cmocka_unit_test(cut_anywhere_no_file_is_read_past_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
