#include "ws/close.h"

#include "base/utf8.h"

bool cla_ws_close_code_valid(unsigned code)
{
    if (code >= 3000)
        return code <= 4999; /* registered, or private */
    return code >= CLA_WS_NORMAL && code <= CLA_WS_BAD_GATEWAY && code != 1004 &&
           code != CLA_WS_NO_STATUS && code != CLA_WS_ABNORMAL;
}

unsigned cla_ws_close_read(struct cla_slice payload, unsigned *code, struct cla_slice *reason)
{
    const unsigned char *u = (const unsigned char *)payload.p;

    *code = CLA_WS_NO_STATUS;
    *reason = cla_slice(NULL, 0);
    if (payload.n == 0)
        return 0;
    if (payload.n == 1)
        return CLA_WS_PROTOCOL;
    *code = (unsigned)u[0] << 8 | u[1];
    *reason = cla_slice(payload.p + 2, payload.n - 2);
    if (!cla_ws_close_code_valid(*code))
        return CLA_WS_PROTOCOL;
    return cla_utf8_valid(*reason) ? 0 : CLA_WS_INVALID;
}

static size_t cut_reason(struct cla_slice reason)
{
    size_t n = reason.n;

    if (n <= CLA_WS_REASON_MAX)
        return n;
    n = CLA_WS_REASON_MAX;
    while (n > 0 && ((unsigned char)reason.p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

size_t cla_ws_close_write(char *to, unsigned code, struct cla_slice reason)
{
    size_t n = cut_reason(reason);

    if (code == CLA_WS_NO_STATUS)
        return 0;
    CLA_PRE(cla_ws_close_code_valid(code));
    to[0] = (char)(code >> 8);
    to[1] = (char)code;
    if (n > 0)
        memcpy(to + 2, reason.p, n);
    return n + 2;
}

bool cla_ws_closing_move(enum cla_ws_closing *state, enum cla_ws_closing_event event)
{
    enum { NO = -1 };
    static const int next[][3] = {
        /* SEND, RECEIVE, BREAK */
        [CLA_WS_OPEN] = {CLA_WS_SENT, CLA_WS_RECEIVED, CLA_WS_BROKEN},
        [CLA_WS_SENT] = {NO, CLA_WS_CLOSED, CLA_WS_CLOSED},
        [CLA_WS_RECEIVED] = {CLA_WS_CLOSED, NO, NO},
        [CLA_WS_BROKEN] = {CLA_WS_CLOSED, NO, NO},
        [CLA_WS_CLOSED] = {NO, NO, NO},
    };
    int to = next[*state][event];

    if (to == NO)
        return false;
    *state = (enum cla_ws_closing)to;
    return true;
}
