#include "rpc/admin.h"

#include <inttypes.h>

#include "rpc/jsonrpc.h"
#include "json/scan.h"
#include "json/write.h"

static const char *const methods[] = {
    [CLA_ADMIN_STATUS] = "status",       [CLA_ADMIN_PS] = "ps",
    [CLA_ADMIN_KILL] = "kill",           [CLA_ADMIN_DRAIN] = "drain",
    [CLA_ADMIN_LOG_LEVEL] = "log-level", [CLA_ADMIN_RELOAD] = "reload",
};

/* --- Requests. --- */

struct reading {
    struct cla_admin_request *request;
    struct cla_buf *answer;
    bool refused;
};

static void refuse(struct reading *r, struct cla_slice id, enum cla_code code, const char *why)
{
    const struct cla_rpc_error error = {.code = code, .message = cla_slice_str(why)};

    if (r->refused)
        return;
    r->refused = true;
    (void)cla_jsonrpc_error(r->answer, id.n > 0 ? id : CLA_LIT("null"), &error);
}

/* Takes the member that 'key' names; false: it is none, or no such value. */
static bool take_member(struct cla_json_scan *scan, struct cla_slice key,
                        struct cla_admin_request *request)
{
    enum cla_json_event event = cla_json_scan_next(scan);

    if (cla_slice_eq(key, CLA_LIT("id")) && event == CLA_JSON_INT && scan->integer > 0) {
        request->call = (uint64_t)scan->integer;
        return true;
    }
    if (cla_slice_eq(key, CLA_LIT("now")) && (event == CLA_JSON_TRUE || event == CLA_JSON_FALSE)) {
        request->now = event == CLA_JSON_TRUE;
        return true;
    }
    if (cla_slice_eq(key, CLA_LIT("level")) && event == CLA_JSON_STRING && !scan->escaped) {
        request->level = scan->string;
        return true;
    }
    return false;
}

static bool read_params(struct cla_slice params, struct cla_admin_request *request)
{
    struct cla_json_scan scan;
    enum cla_json_event event;

    if (params.n == 0)
        return true;
    cla_json_scan_init(&scan, params, 2);
    if (cla_json_scan_next(&scan) != CLA_JSON_OBJECT_BEGIN)
        return false;
    while ((event = cla_json_scan_next(&scan)) == CLA_JSON_KEY) {
        if (!take_member(&scan, scan.string, request))
            return false;
    }
    return event == CLA_JSON_OBJECT_END;
}

static bool find_method(struct cla_slice name, enum cla_admin_method *method)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(methods); i++) {
        if (cla_slice_eq(name, cla_slice_str(methods[i]))) {
            *method = (enum cla_admin_method)i;
            return true;
        }
    }
    return false;
}

static void on_text(void *arg, const struct cla_rpc_text *text)
{
    struct reading *r = arg;

    if (text->batch)
        refuse(r, cla_slice(NULL, 0), CLA_CODE_INVALID_ARGUMENT, "send one request a line");
}

static void on_request(void *arg, const struct cla_rpc_request *from)
{
    struct reading *r = arg;
    struct cla_admin_request *to = r->request;

    *to = (struct cla_admin_request){.id = from->id};
    if (from->kind == CLA_RPC_INVALID)
        refuse(r, from->id, CLA_CODE_INVALID_ARGUMENT, from->error);
    else if (from->kind == CLA_RPC_NOTIFY)
        refuse(r, from->id, CLA_CODE_INVALID_ARGUMENT, "a request needs an id");
    else if (!find_method(from->method, &to->method))
        refuse(r, from->id, CLA_CODE_UNIMPLEMENTED,
               "no such command: status, ps, kill, drain, reload, log-level");
    else if (!read_params(from->params, to) || (to->method == CLA_ADMIN_KILL && to->call == 0) ||
             (to->method == CLA_ADMIN_LOG_LEVEL && to->level.n == 0))
        refuse(r, from->id, CLA_CODE_INVALID_ARGUMENT,
               "params: kill takes {\"id\":7,\"now\":false}, log-level {\"level\":\"debug\"}");
}

int cla_admin_read(struct cla_slice text, struct cla_admin_request *request, struct cla_buf *answer)
{
    static const struct cla_rpc_server_events events = {on_text, on_request};
    const struct cla_rpc_limits limits = {.json_depth = 8, .batch_items = 1};
    struct reading r = {.request = request, .answer = answer};

    if (cla_jsonrpc_read(text, &limits, &events, &r) != 0)
        return -CLA_ENOMEM;
    if (!r.refused)
        return 0;
    return answer->n > 0 ? -CLA_EINVAL : -CLA_ENOMEM;
}

/* --- Answers. --- */

static int add_string(struct cla_buf *buf, const char *key, struct cla_slice value)
{
    int rc = cla_buf_printf(buf, ",\"%s\":", key);

    return rc == 0 ? cla_json_write_text(buf, value) : rc;
}

static int add_members(struct cla_buf *buf, const struct cla_admin_call *call)
{
    int rc = cla_buf_printf(buf, "%s{\"id\":%" PRIu64, buf->n > 0 ? "," : "", call->id);

    if (rc == 0)
        rc = add_string(buf, "procedure", call->procedure);
    if (rc == 0)
        rc = add_string(buf, "protocol", call->protocol);
    if (rc == 0)
        rc = add_string(buf, "peer", call->peer);
    if (rc == 0)
        rc = add_string(buf, "phase", cla_slice_str(call->phase));
    if (rc == 0)
        rc = add_string(buf, "where", cla_slice_str(call->where));
    if (rc == 0)
        rc = cla_buf_printf(buf,
                            ",\"age_ms\":%" PRIu64 ",\"cpu_ms\":%" PRIu64 ",\"generation\":%" PRIu64
                            ",\"worker\":%u,\"remaining_ms\":",
                            call->age_ms, call->cpu_ms, call->generation, call->worker);
    if (rc != 0)
        return rc;
    if (call->remaining_ms == UINT64_MAX)
        return cla_buf_add(buf, CLA_LIT("null}"));
    return cla_buf_printf(buf, "%" PRIu64 "}", call->remaining_ms);
}

int cla_admin_write_call(struct cla_buf *buf, const struct cla_admin_call *call)
{
    size_t before = buf->n;

    if (add_members(buf, call) == 0)
        return 0;
    buf->n = before;
    return -CLA_ENOMEM;
}

static int add_stuck(struct cla_buf *buf, const struct cla_admin_stuck *stuck)
{
    int rc = cla_buf_printf(buf, "{\"worker\":%u,\"call\":", stuck->worker);

    if (rc == 0)
        rc = stuck->call > 0 ? cla_buf_printf(buf, "%" PRIu64, stuck->call)
                             : cla_buf_add(buf, CLA_LIT("null"));
    if (rc == 0)
        rc = stuck->call > 0 ? add_string(buf, "procedure", cla_slice_str(stuck->procedure))
                             : cla_buf_add(buf, CLA_LIT(",\"procedure\":null"));
    if (rc == 0)
        rc = add_string(buf, "where", cla_slice_str(stuck->where));
    return rc == 0 ? cla_buf_printf(buf, ",\"stuck_ms\":%" PRIu64 "}", stuck->ms) : rc;
}

int cla_admin_write_stuck(struct cla_buf *buf, const struct cla_admin_stuck *stuck, size_t count)
{
    int rc = cla_buf_add(buf, CLA_LIT(",\"stuck\":["));

    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = i > 0 ? cla_buf_push(buf, ',') : 0;
        if (rc == 0)
            rc = add_stuck(buf, &stuck[i]);
    }
    return rc == 0 ? cla_buf_add(buf, CLA_LIT("]")) : rc;
}

static int add_worker(struct cla_buf *buf, const struct cla_admin_worker *worker)
{
    if (!worker->answers)
        return cla_buf_add(buf, CLA_LIT("{\"answers\":false}"));
    return cla_buf_printf(
        buf, "{\"answers\":true,\"connections\":%u,\"calls\":%u,\"vm_bytes\":%" PRIu64 "}",
        worker->connections, worker->calls, worker->vm_bytes);
}

static int add_workers(struct cla_buf *buf, const struct cla_admin_status *status)
{
    int rc = cla_buf_add(buf, CLA_LIT(",\"workers\":["));

    for (size_t i = 0; rc == 0 && i < status->worker_count; i++) {
        rc = i > 0 ? cla_buf_push(buf, ',') : 0;
        if (rc == 0)
            rc = add_worker(buf, &status->workers[i]);
    }
    return rc == 0 ? cla_buf_add(buf, CLA_LIT("]")) : rc;
}

static int add_addresses(struct cla_buf *buf, const struct cla_admin_status *status)
{
    int rc = cla_buf_add(buf, CLA_LIT(",\"listen\":["));

    for (size_t i = 0; rc == 0 && i < status->address_count; i++) {
        rc = i > 0 ? cla_buf_push(buf, ',') : 0;
        if (rc == 0)
            rc = cla_json_write_text(buf, cla_slice_str(status->addresses[i]));
    }
    return rc == 0 ? cla_buf_add(buf, CLA_LIT("]")) : rc;
}

int cla_admin_write_status(struct cla_buf *buf, const struct cla_admin_status *status)
{
    int rc = cla_buf_printf(buf,
                            "{\"version\":\"%s\",\"pid\":%d,\"uptime_ms\":%" PRIu64
                            ",\"generation\":%" PRIu64 ",\"reloads\":%" PRIu64
                            ",\"reloads_failed\":%" PRIu64 ",\"draining\":%s,\"log_level\":\"%s\"",
                            status->version, status->pid, status->uptime_ms, status->generation,
                            status->reloads, status->reloads_failed,
                            status->draining ? "true" : "false", status->log_level);

    if (rc == 0 && status->reload_error != NULL)
        rc = add_string(buf, "reload_error", cla_slice_str(status->reload_error));
    if (rc == 0)
        rc = add_addresses(buf, status);
    if (rc == 0)
        rc = add_workers(buf, status);
    if (rc == 0)
        rc = cla_admin_write_stuck(buf, status->stuck, status->stuck_count);
    return rc == 0 ? cla_buf_push(buf, '}') : rc;
}

int cla_admin_write_reload(struct cla_buf *buf, const struct cla_admin_reload *reload)
{
    return cla_buf_printf(buf,
                          "{\"generation\":%" PRIu64 ",\"took_ms\":%" PRIu64
                          ",\"older_calls\":%u,\"websockets\":%u,\"stall_us\":%" PRIu64 "}",
                          reload->generation, reload->took_ms, reload->older_calls, reload->sockets,
                          reload->stall_us);
}
