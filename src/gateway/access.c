#include "gateway/access.h"

#include "base/clock.h"
#include "base/log.h"
#include "io/loop.h"

/* The lines of a turn that are kept until it ends; when there are more they are written. */
#define LINES_BYTES 65536

/* Room for the part of a line whose length is known not to depend on scripts or clients. */
#define FIXED_BYTES 512

/* Appends to memory that was reserved: a busy server writes a line every few microseconds. */
static char *put(char *at, struct cla_slice text)
{
    if (text.n > 0)
        memcpy(at, text.p, text.n);
    return at + text.n;
}

static char *put_number(char *at, struct cla_slice key, uint64_t value)
{
    char digits[20];
    size_t i = sizeof digits;

    do {
        digits[--i] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put(put(at, key), cla_slice(digits + i, sizeof digits - i));
}

/* Milliseconds, with three decimals. */
static char *put_duration(char *at, uint64_t ns)
{
    uint64_t us = ns / 1000;

    at = put_number(at, CLA_LIT(" ms="), us / 1000);
    *at++ = '.';
    *at++ = (char)('0' + us / 100 % 10);
    *at++ = (char)('0' + us / 10 % 10);
    *at++ = (char)('0' + us % 10);
    return at;
}

static char *put_outcome(char *at, enum cla_code code, const struct cla_reason *reason)
{
    at = put(at, CLA_LIT(" outcome="));
    at = put(at, cla_slice_str(cla_code_info(code)->name));
    if (reason == NULL)
        return at;
    at = put(at, CLA_LIT(" reason="));
    return put(at, cla_slice_str(cla_cancel_kind_name(reason->kind)));
}

/* What the gateway itself says of a call: words that need no quotes. */
static char *put_facts(char *at, const struct cla_call *call, uint64_t now_ns)
{
    const struct cla_request *request = call->request;

    at = put_duration(at, now_ns - call->received_ns);
    at = put_number(at, CLA_LIT(" in="), call->params.n);
    at = put_number(at, CLA_LIT(" out="), call->reply_bytes);
    at = put(put(at, CLA_LIT(" peer=")), request->peer);
    return put(put(at, CLA_LIT(" protocol=")), cla_slice_str(request->protocol->name));
}

static void add_facts(struct cla_buf *line, const struct cla_call *call, enum cla_code code,
                      const struct cla_reason *reason, uint64_t now_ns)
{
    struct cla_slice message = {0};

    if (reason != NULL)
        message = cla_reason_message(reason);
    if (cla_buf_reserve(line, FIXED_BYTES) != 0)
        return;
    line->n = (size_t)(put_outcome(line->p + line->n, code, reason) - line->p);
    if (message.n > 0) {
        cla_log_value(line, CLA_LIT("message"), message);
        if (cla_buf_reserve(line, FIXED_BYTES) != 0)
            return;
    }
    line->n = (size_t)(put_facts(line->p + line->n, call, now_ns) - line->p);
}

/* Lines that many calls write at once need not lie in memory all together. */
static void end_line(const struct cla_call_env *env)
{
    cla_log_end(env->log_buf);
    if (env->log_buf->n >= LINES_BYTES)
        cla_log_flush(env->log, env->log_buf);
}

static bool wanted(const struct cla_call_env *env, enum cla_code code)
{
    return env->access_log != CLA_ACCESS_LOG_OFF &&
           (env->access_log == CLA_ACCESS_LOG_ALL || code != CLA_CODE_OK) &&
           cla_log_wants(env->log, CLA_LOG_INFO);
}

void cla_access_call(const struct cla_call *call, enum cla_code code,
                     const struct cla_reason *reason)
{
    const struct cla_call_env *env = call->request->env;
    struct cla_buf *line = env->log_buf;
    uint64_t now_ns;

    if (!wanted(env, code))
        return;
    now_ns = cla_loop_now_ns(env->loop);
    cla_log_begin_at(env->log, line, CLA_LOG_INFO, now_ns);
    (void)cla_buf_add(line, CLA_LIT(" call id="));
    (void)cla_buf_add_number(line, call->id);
    cla_log_value(line, CLA_LIT("procedure"), call->procedure->name);
    add_facts(line, call, code, reason, now_ns);
    if (cla_call_is_notification(call))
        (void)cla_buf_add(line, CLA_LIT(" notification=true"));
    else
        cla_log_value(line, CLA_LIT("request_id"), cla_call_client_id(call));
    end_line(env);
}

void cla_access_refused(const struct cla_call_env *env, struct cla_slice peer, int status,
                        const char *why)
{
    struct cla_buf *line = env->log_buf;

    if (!wanted(env, CLA_CODE_INVALID_ARGUMENT))
        return;
    cla_log_begin(env->log, line, CLA_LOG_INFO);
    (void)cla_buf_add(line, CLA_LIT(" refused"));
    (void)cla_buf_add(line, CLA_LIT(" status="));
    (void)cla_buf_add_number(line, (uint64_t)status);
    cla_log_value(line, CLA_LIT("why"), cla_slice_str(why));
    cla_log_value(line, CLA_LIT("peer"), peer);
    end_line(env);
}

void cla_access_tls_failed(const struct cla_call_env *env, struct cla_slice peer, const char *why)
{
    struct cla_buf *line = env->log_buf;

    if (!wanted(env, CLA_CODE_UNAVAILABLE))
        return;
    cla_log_begin(env->log, line, CLA_LOG_INFO);
    (void)cla_buf_add(line, CLA_LIT(" tls failed"));
    cla_log_value(line, CLA_LIT("why"), cla_slice_str(why));
    cla_log_value(line, CLA_LIT("peer"), peer);
    end_line(env);
}

void cla_access_file(const struct cla_request *request, uint64_t received_ns, struct cla_slice path,
                     int status, uint64_t bytes)
{
    const struct cla_call_env *env = request->env;
    struct cla_buf *line = env->log_buf;
    uint64_t us = (cla_loop_now_ns(env->loop) - received_ns) / 1000;

    if (!wanted(env, status < 400 ? CLA_CODE_OK : CLA_CODE_NOT_FOUND))
        return;
    cla_log_begin(env->log, line, CLA_LOG_INFO);
    (void)cla_buf_add(line, CLA_LIT(" file"));
    cla_log_value(line, CLA_LIT("path"), path);
    (void)cla_buf_printf(line, " status=%d ms=%llu.%03llu out=%llu", status,
                         (unsigned long long)(us / 1000), (unsigned long long)(us % 1000),
                         (unsigned long long)bytes);
    cla_log_value(line, CLA_LIT("peer"), request->peer);
    end_line(env);
}
