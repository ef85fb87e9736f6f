#include "gateway/metrics_text.h"

#include "base/clock.h"
#include "base/utf8.h"

static void add(struct cla_metrics_text *text, struct cla_slice s)
{
    if (text->rc == 0)
        text->rc = cla_buf_add(text->to, s);
}

static void add_text(struct cla_metrics_text *text, const char *s)
{
    add(text, cla_slice_str(s));
}

static void add_number(struct cla_metrics_text *text, uint64_t value)
{
    if (text->rc == 0)
        text->rc = cla_buf_add_number(text->to, value);
}

/* As short as it can be said exactly. */
static void add_seconds(struct cla_metrics_text *text, uint64_t ns)
{
    uint64_t rest = ns % CLA_NS_PER_S;
    char digits[10] = ".000000000";
    size_t n = sizeof digits;

    add_number(text, ns / CLA_NS_PER_S);
    for (size_t at = sizeof digits - 1; at > 0; at--, rest /= 10)
        digits[at] = (char)('0' + rest % 10);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    add(text, cla_slice(digits, n > 1 ? n : 0));
}

void cla_metrics_text_family(struct cla_metrics_text *text, const char *name, const char *type,
                             const char *help)
{
    text->family = name;
    add(text, CLA_LIT("# HELP "));
    add_text(text, name);
    add(text, CLA_LIT(" "));
    add_text(text, help);
    add(text, CLA_LIT("\n# TYPE "));
    add_text(text, name);
    add(text, CLA_LIT(" "));
    add_text(text, type);
    add(text, CLA_LIT("\n"));
}

void cla_metrics_text_sample(struct cla_metrics_text *text, const char *suffix)
{
    add_text(text, text->family);
    add_text(text, suffix);
    text->labelled = false;
}

static void begin_label(struct cla_metrics_text *text, const char *key)
{
    add(text, text->labelled ? CLA_LIT(",") : CLA_LIT("{"));
    text->labelled = true;
    add_text(text, key);
    add(text, CLA_LIT("=\""));
}

static void add_escaped(struct cla_metrics_text *text, struct cla_slice value)
{
    for (size_t i = 0; i < value.n;) {
        unsigned n = cla_utf8_sequence(value.p + i, value.n - i);
        char c = value.p[i];

        if (c == '\\' || c == '"')
            add(text, CLA_LIT("\\"));
        if (c == '\n')
            add(text, CLA_LIT("\\n"));
        else
            add(text, n > 0 ? cla_slice(value.p + i, n) : CLA_LIT("?"));
        i += n > 0 ? n : 1;
    }
}

void cla_metrics_text_label(struct cla_metrics_text *text, const char *key, struct cla_slice value)
{
    begin_label(text, key);
    add_escaped(text, value);
    add(text, CLA_LIT("\""));
}

void cla_metrics_text_label_number(struct cla_metrics_text *text, const char *key, uint64_t value)
{
    begin_label(text, key);
    add_number(text, value);
    add(text, CLA_LIT("\""));
}

void cla_metrics_text_label_seconds(struct cla_metrics_text *text, const char *key, uint64_t ns)
{
    begin_label(text, key);
    add_seconds(text, ns);
    add(text, CLA_LIT("\""));
}

static void begin_value(struct cla_metrics_text *text)
{
    add(text, text->labelled ? CLA_LIT("} ") : CLA_LIT(" "));
}

void cla_metrics_text_value(struct cla_metrics_text *text, uint64_t value)
{
    begin_value(text);
    add_number(text, value);
    add(text, CLA_LIT("\n"));
}

void cla_metrics_text_seconds(struct cla_metrics_text *text, uint64_t ns)
{
    begin_value(text);
    add_seconds(text, ns);
    add(text, CLA_LIT("\n"));
}

void cla_metrics_text_single(struct cla_metrics_text *text, const char *name, const char *type,
                             const char *help, uint64_t value)
{
    cla_metrics_text_family(text, name, type, help);
    cla_metrics_text_sample(text, "");
    cla_metrics_text_value(text, value);
}
