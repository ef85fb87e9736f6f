#include "ws/list.h"

#include "base/error.h"

static bool is_token_char(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static void skip(struct cla_slice *list, size_t n)
{
    list->p += n;
    list->n -= n;
}

static void skip_blanks(struct cla_slice *list)
{
    while (list->n > 0 && (list->p[0] == ' ' || list->p[0] == '\t'))
        skip(list, 1);
}

bool cla_ws_list_more(struct cla_slice *list, char separator)
{
    skip_blanks(list);
    if (list->n == 0 || list->p[0] != separator)
        return false;
    skip(list, 1);
    return true;
}

bool cla_ws_list_item(struct cla_slice *list)
{
    while (cla_ws_list_more(list, ','))
        ;
    return list->n > 0;
}

bool cla_ws_list_ends(struct cla_slice *list)
{
    skip_blanks(list);
    return list->n == 0 || list->p[0] == ',';
}

int cla_ws_list_token(struct cla_slice *list, struct cla_slice *token)
{
    size_t n = 0;

    skip_blanks(list);
    while (n < list->n && is_token_char(list->p[n]))
        n++;
    *token = cla_slice(list->p, n);
    skip(list, n);
    return n > 0 ? 0 : -CLA_EPROTO;
}

/* Behind the opening quote. */
static int read_quoted(struct cla_slice *list, struct cla_ws_param *param)
{
    size_t n = 0;

    while (list->n > 0 && list->p[0] != '"') {
        if (list->p[0] == '\\')
            skip(list, 1);
        if (list->n == 0)
            break;
        if (n < sizeof param->unquoted)
            param->unquoted[n++] = list->p[0];
        skip(list, 1);
    }
    if (list->n == 0)
        return -CLA_EPROTO;
    skip(list, 1);
    param->value = cla_slice(param->unquoted, n);
    return 0;
}

int cla_ws_list_param(struct cla_slice *list, struct cla_ws_param *param)
{
    int rc = cla_ws_list_token(list, &param->name);

    param->has_value = rc == 0 && cla_ws_list_more(list, '=');
    if (!param->has_value)
        return rc;
    if (cla_ws_list_more(list, '"'))
        return read_quoted(list, param);
    return cla_ws_list_token(list, &param->value);
}

bool cla_ws_list_has(struct cla_slice list, struct cla_slice item)
{
    struct cla_slice one;

    while (cla_slice_next(&list, ',', &one)) {
        if (cla_slice_eq_nocase(one, item))
            return true;
    }
    return false;
}
