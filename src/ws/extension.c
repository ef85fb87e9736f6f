#include "ws/extension.h"

#include "base/error.h"
#include "ws/list.h"

/* The parameters of one permessage-deflate; a window of 0 bits: not named, of NO_BITS: without a
 * value. */
struct params {
    bool server_no_context_takeover, client_no_context_takeover;
    unsigned char server_bits, client_bits;
};

#define NO_BITS 255
#define MAX_BITS 15

static unsigned char least(unsigned char a, unsigned char b)
{
    return a < b ? a : b;
}

/* "8" to "15", without leading zeros; false for anything else. */
static bool read_bits(struct cla_slice text, unsigned char *bits)
{
    unsigned value = 0;

    if (text.n == 0 || text.n > 2 || text.p[0] == '0')
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text.p[i] - '0');
    }
    *bits = (unsigned char)value;
    return value >= 8 && value <= MAX_BITS;
}

static bool read_flag(const struct cla_ws_param *param, bool *flag)
{
    bool fresh = !*flag;

    *flag = true;
    return fresh && !param->has_value;
}

static bool read_window(const struct cla_ws_param *param, unsigned char *bits)
{
    if (*bits != 0)
        return false;
    if (param->has_value)
        return read_bits(param->value, bits);
    *bits = NO_BITS;
    return true;
}

/* False for a parameter that is unknown, repeated, or has a value it may not have. */
static bool read_param(const struct cla_ws_param *param, struct params *out)
{
    if (cla_slice_eq(param->name, CLA_LIT("server_no_context_takeover")))
        return read_flag(param, &out->server_no_context_takeover);
    if (cla_slice_eq(param->name, CLA_LIT("client_no_context_takeover")))
        return read_flag(param, &out->client_no_context_takeover);
    if (cla_slice_eq(param->name, CLA_LIT("server_max_window_bits")))
        return param->has_value && read_window(param, &out->server_bits);
    if (cla_slice_eq(param->name, CLA_LIT("client_max_window_bits")))
        return read_window(param, &out->client_bits);
    return false;
}

/* Reads one extension off '*list'. '*usable' is false if it is not ours, or not one we can meet.
 * Returns 0 or -CLA_EPROTO. */
static int read_extension(struct cla_slice *list, struct params *out, bool *usable)
{
    struct cla_ws_param param;
    struct cla_slice name;
    int rc = cla_ws_list_token(list, &name);

    *out = (struct params){0};
    *usable = rc == 0 && cla_slice_eq(name, CLA_LIT("permessage-deflate"));
    while (rc == 0 && cla_ws_list_more(list, ';')) {
        rc = cla_ws_list_param(list, &param);
        if (rc == 0 && *usable)
            *usable = read_param(&param, out);
    }
    return rc;
}

static void choose(const struct params *offer, const struct cla_ws_deflate_settings *settings,
                   struct cla_ws_agreed *out)
{
    bool limited = offer->client_bits != 0;

    out->deflate = true;
    out->server_no_context_takeover =
        offer->server_no_context_takeover || settings->no_context_takeover;
    out->client_no_context_takeover = offer->client_no_context_takeover ||
                                      settings->peer_no_context_takeover ||
                                      (!limited && settings->peer_window_bits < MAX_BITS);
    out->server_bits_said = offer->server_bits != 0;
    out->server_window_bits = out->server_bits_said ? offer->server_bits : MAX_BITS;
    out->client_window_bits =
        limited ? least(offer->client_bits, settings->peer_window_bits) : MAX_BITS;
}

int cla_ws_extension_choose(struct cla_slice offers, const struct cla_ws_deflate_settings *settings,
                            struct cla_ws_agreed *out)
{
    struct params offer;
    bool usable;

    *out = (struct cla_ws_agreed){0};
    while (cla_ws_list_item(&offers)) {
        if (read_extension(&offers, &offer, &usable) != 0 || !cla_ws_list_ends(&offers))
            return -CLA_EPROTO;
        if (usable && settings->on && !out->deflate)
            choose(&offer, settings, out);
    }
    return 0;
}

int cla_ws_extension_answer(struct cla_buf *buf, const struct cla_ws_agreed *agreed)
{
    size_t mark = buf->n;
    int rc = cla_buf_add(buf, CLA_LIT("permessage-deflate"));

    CLA_PRE(agreed->deflate);
    if (rc == 0 && agreed->server_no_context_takeover)
        rc = cla_buf_add(buf, CLA_LIT("; server_no_context_takeover"));
    if (rc == 0 && agreed->client_no_context_takeover)
        rc = cla_buf_add(buf, CLA_LIT("; client_no_context_takeover"));
    if (rc == 0 && agreed->server_bits_said)
        rc = cla_buf_printf(buf, "; server_max_window_bits=%u", agreed->server_window_bits);
    if (rc == 0 && agreed->client_window_bits < MAX_BITS)
        rc = cla_buf_printf(buf, "; client_max_window_bits=%u", agreed->client_window_bits);
    if (rc != 0)
        buf->n = mark;
    return rc;
}

int cla_ws_extension_offer(struct cla_buf *buf, const struct cla_ws_deflate_settings *settings)
{
    size_t mark = buf->n;
    int rc = cla_buf_add(buf, CLA_LIT("permessage-deflate"));

    CLA_PRE(settings->on);
    if (rc == 0 && settings->peer_no_context_takeover)
        rc = cla_buf_add(buf, CLA_LIT("; server_no_context_takeover"));
    if (rc == 0 && settings->no_context_takeover)
        rc = cla_buf_add(buf, CLA_LIT("; client_no_context_takeover"));
    if (rc == 0 && settings->peer_window_bits < MAX_BITS)
        rc = cla_buf_printf(buf, "; server_max_window_bits=%u", settings->peer_window_bits);
    if (rc == 0)
        rc = cla_buf_printf(buf, "; client_max_window_bits=%u", settings->window_bits);
    if (rc != 0)
        buf->n = mark;
    return rc;
}

/* True if the answer is one to what we offered. */
static bool matches(const struct params *answer, const struct cla_ws_deflate_settings *settings)
{
    if (settings->peer_no_context_takeover && !answer->server_no_context_takeover)
        return false;
    if (settings->peer_window_bits < MAX_BITS &&
        (answer->server_bits == 0 || answer->server_bits > settings->peer_window_bits))
        return false;
    return answer->client_bits != NO_BITS;
}

int cla_ws_extension_check(struct cla_slice answer, const struct cla_ws_deflate_settings *settings,
                           struct cla_ws_agreed *out)
{
    struct params params;
    bool usable;

    *out = (struct cla_ws_agreed){0};
    if (!cla_ws_list_item(&answer))
        return 0;
    if (read_extension(&answer, &params, &usable) != 0 || cla_ws_list_item(&answer))
        return -CLA_EPROTO;
    if (!usable || !settings->on || !matches(&params, settings))
        return -CLA_EPROTO;
    *out = (struct cla_ws_agreed){
        .deflate = true,
        .server_no_context_takeover = params.server_no_context_takeover,
        .client_no_context_takeover =
            params.client_no_context_takeover || settings->no_context_takeover,
        .server_bits_said = params.server_bits != 0,
        .server_window_bits = params.server_bits != 0 ? params.server_bits : MAX_BITS,
        .client_window_bits = params.client_bits != 0 ? params.client_bits : MAX_BITS,
    };
    return 0;
}
