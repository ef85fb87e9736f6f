#include "gateway/access.h"

#include "base/clock.h"
#include "base/log.h"
#include "io/loop.h"

static void add_number(struct cla_buf *line, const char *key, uint64_t value)
{
    (void)cla_buf_push(line, ' ');
    (void)cla_buf_append(line, key, strlen(key));
    (void)cla_buf_push(line, '=');
    (void)cla_buf_add_number(line, value);
}

static void add_reason(struct cla_buf *line, const struct cla_reason *reason)
{
    struct cla_slice message = cla_reason_message(reason);

    cla_log_value(line, "reason", cla_slice_str(cla_cancel_kind_name(reason->kind)));
    if (message.n > 0)
        cla_log_value(line, "message", message);
}

/* Milliseconds, with three decimals. */
static void add_duration(struct cla_buf *line, uint64_t ns)
{
    uint64_t us = ns / 1000;
    char decimals[4] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
                        (char)('0' + us % 10)};

    add_number(line, "ms", us / 1000);
    (void)cla_buf_append(line, decimals, sizeof decimals);
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
    add_number(line, "id", call->id);
    cla_log_value(line, "procedure", call->name);
    cla_log_value(line, "outcome", cla_slice_str(cla_code_info(code)->name));
    if (reason != NULL)
        add_reason(line, reason);
    add_duration(line, cla_loop_now_ns(env->loop) - call->request->received_ns);
    add_number(line, "in", call->params.n);
    add_number(line, "out", call->reply_bytes);
    cla_log_value(line, "peer", call->request->peer);
    cla_log_value(line, "protocol", cla_slice_str(call->request->protocol));
    if (call->request_id.n > 0)
        cla_log_value(line, "request_id", call->request_id);
    else
        (void)cla_buf_add(line, CLA_LIT(" notification=true"));
    cla_log_end(line);
}

void cla_access_refused(const struct cla_call_env *env, struct cla_slice peer, int status,
                        const char *why)
{
    struct cla_buf *line = env->log_buf;

    if (!wanted(env, CLA_CODE_INVALID_ARGUMENT))
        return;
    cla_log_begin(env->log, line, CLA_LOG_INFO);
    (void)cla_buf_add(line, CLA_LIT(" refused"));
    add_number(line, "status", (uint64_t)status);
    cla_log_value(line, "why", cla_slice_str(why));
    cla_log_value(line, "peer", peer);
    cla_log_end(line);
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
    cla_log_end(line);
}
