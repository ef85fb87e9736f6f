#include "gateway/access.h"

#include "base/clock.h"
#include "base/log.h"
#include "io/loop.h"

/* The lines of a turn that are kept until it ends; when there are more they are written. */
#define LINES_BYTES 65536

/* 'key' is " name=". */
static void add_number(struct cla_buf *line, struct cla_slice key, uint64_t value)
{
    (void)cla_buf_add(line, key);
    (void)cla_buf_add_number(line, value);
}

static void add_reason(struct cla_buf *line, const struct cla_reason *reason)
{
    struct cla_slice message = cla_reason_message(reason);

    cla_log_word(line, CLA_LIT(" reason="), cla_slice_str(cla_cancel_kind_name(reason->kind)));
    if (message.n > 0)
        cla_log_value(line, "message", message);
}

/* Milliseconds, with three decimals. */
static void add_duration(struct cla_buf *line, uint64_t ns)
{
    uint64_t us = ns / 1000;
    char decimals[4] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
                        (char)('0' + us % 10)};

    add_number(line, CLA_LIT(" ms="), us / 1000);
    (void)cla_buf_append(line, decimals, sizeof decimals);
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
    const struct cla_call_env *env = call->env;
    struct cla_buf *line = env->log_buf;

    if (!wanted(env, code))
        return;
    cla_log_begin(env->log, line, CLA_LOG_INFO);
    (void)cla_buf_add(line, CLA_LIT(" call"));
    add_number(line, CLA_LIT(" id="), call->id);
    cla_log_value(line, "procedure", call->name);
    cla_log_word(line, CLA_LIT(" outcome="), cla_slice_str(cla_code_info(code)->name));
    if (reason != NULL)
        add_reason(line, reason);
    add_duration(line, cla_loop_now_ns(env->loop) - call->request->received_ns);
    add_number(line, CLA_LIT(" in="), call->params.n);
    add_number(line, CLA_LIT(" out="), call->reply_bytes);
    cla_log_value(line, "peer", call->request->peer);
    cla_log_word(line, CLA_LIT(" protocol="), cla_slice_str(call->request->protocol));
    if (call->request_id.n > 0)
        cla_log_value(line, "request_id", call->request_id);
    else
        (void)cla_buf_add(line, CLA_LIT(" notification=true"));
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
    add_number(line, CLA_LIT(" status="), (uint64_t)status);
    cla_log_value(line, "why", cla_slice_str(why));
    cla_log_value(line, "peer", peer);
    end_line(env);
}

void cla_access_tls_failed(const struct cla_call_env *env, struct cla_slice peer, const char *why)
{
    struct cla_buf *line = env->log_buf;

    if (!wanted(env, CLA_CODE_UNAVAILABLE))
        return;
    cla_log_begin(env->log, line, CLA_LOG_INFO);
    (void)cla_buf_add(line, CLA_LIT(" tls failed"));
    cla_log_value(line, "why", cla_slice_str(why));
    cla_log_value(line, "peer", peer);
    end_line(env);
}
