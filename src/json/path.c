#include "json/path.h"

#include <inttypes.h>
#include <stdio.h>

#define NAME_SHOWN 40
/* A step takes at most a name, its quotes and brackets. */
#define STEP_TEXT (NAME_SHOWN + 8)

struct printer {
    char *to;
    size_t n;
    bool cut;
};

static bool is_word(struct cla_slice name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

        if (!letter && !(c >= '0' && c <= '9' && i > 0))
            return false;
    }
    return name.n > 0;
}

static size_t print_name(struct cla_slice name, char text[STEP_TEXT])
{
    size_t n = 0;

    if (name.n > NAME_SHOWN)
        name.n = NAME_SHOWN;
    if (is_word(name))
        return (size_t)snprintf(text, STEP_TEXT, ".%.*s", (int)name.n, name.p);
    text[n++] = '[';
    text[n++] = '"';
    for (size_t i = 0; i < name.n; i++)
        text[n++] = name.p[i] >= 0x20 && name.p[i] < 0x7f ? name.p[i] : '?';
    text[n++] = '"';
    text[n++] = ']';
    return n;
}

static void add(struct printer *p, const char *text, size_t n)
{
    if (p->cut || p->n + n + sizeof "..." > CLA_JSON_PATH_TEXT) {
        p->cut = true;
        return;
    }
    memcpy(p->to + p->n, text, n);
    p->n += n;
}

static void add_step(struct printer *p, const struct cla_json_path *path)
{
    char text[STEP_TEXT];
    size_t n;

    if (path->name.p != NULL)
        n = print_name(path->name, text);
    else
        n = (size_t)snprintf(text, sizeof text, "[%" PRIu64 "]", path->index);
    add(p, text, n);
}

/* As deep as a schema, which is limited. */
static void add_steps(struct printer *p, const struct cla_json_path *path)
{
    if (path == NULL)
        return;
    add_steps(p, path->up);
    add_step(p, path);
}

void cla_json_path_print(const char *root, const struct cla_json_path *path,
                         char to[CLA_JSON_PATH_TEXT])
{
    struct printer p = {.to = to};

    add(&p, root, strlen(root));
    add_steps(&p, path);
    if (p.cut) {
        memcpy(p.to + p.n, "...", 3);
        p.n += 3;
    }
    p.to[p.n] = '\0';
}
