#include "gateway/exchange_frame.h"

#include "gateway/access.h"
#include "gateway/exchange_answer.h"
#include "gateway/exchange_start.h"
#include "gateway/socket.h"
#include "gateway/worker.h"
#include "rpc/connect.h"
#include "rpc/frame.h"

static void close_broken(struct cla_socket *socket, const char *why)
{
    cla_access_refused(&socket->worker->env, socket->request.peer, CLA_WS_PROTOCOL, why);
    cla_socket_close(socket, CLA_WS_PROTOCOL, cla_slice_str(why), CLA_CANCEL_DISCONNECT);
}

static void answer_invalid(struct cla_exchange *x, struct cla_slice id, const char *why)
{
    const struct cla_rpc_error error = {.code = CLA_CODE_INVALID_ARGUMENT,
                                        .message = cla_slice_str(why)};

    cla_access_refused(&cla_worker_of(x)->env, cla_exchange_request(x)->peer, 200, why);
    if (id.n > 0)
        cla_exchange_write_error(x, id, &error);
    cla_exchange_one_answered(x);
}

_Static_assert(CLA_FRAME_ID_DIGITS <= CLA_CALL_ID_SHORT, "a call keeps the id of a frame itself");

/* Makes the params of JSON out of the payload. Returns 0, or -CLA_EINVAL and 'why'. */
static int read_params(const struct cla_exchange *x, struct cla_rpc_request *request,
                       const char **why)
{
    struct cla_app *app = cla_exchange_app(x);
    const struct cla_procedure *procedure = app->ops->find(app, request->method);

    if (procedure == NULL || procedure->payload != CLA_PAYLOAD_JSON)
        return 0;
    return cla_connect_params(request->params, cla_worker_of(x)->json_depth, &request->params, why);
}

static int run_call(struct cla_socket *socket, const struct cla_frame *frame, struct cla_slice id,
                    uint64_t received_ns)
{
    struct cla_rpc_request request = {
        .kind = id.n > 0 ? CLA_RPC_CALL : CLA_RPC_NOTIFY,
        .id = id,
        .method = frame->name,
        .params = frame->payload,
    };
    struct cla_exchange *x = cla_exchange_of_message(socket, &request.params, received_ns);
    const char *why = NULL;

    if (x == NULL)
        return -CLA_ENOMEM;
    x->unanswered = 1;
    x->reading = true;
    if (read_params(x, &request, &why) == 0)
        cla_exchange_start_request(x, &request);
    else
        answer_invalid(x, id, why);
    x->reading = false;
    cla_exchange_maybe_put(x);
    return 0;
}

int cla_exchange_frame_run(struct cla_socket *socket, struct cla_slice message,
                           uint64_t received_ns)
{
    char digits[CLA_FRAME_ID_DIGITS];
    struct cla_frame frame;
    struct cla_slice id;
    const char *why;

    if (cla_frame_read(message, CLA_FRAME_TO_SERVER, &frame, &why) != 0) {
        close_broken(socket, why);
        return 0;
    }
    id = cla_frame_id(frame.id, digits);
    if (frame.kind == CLA_FRAME_NOTIFY)
        return run_call(socket, &frame, cla_slice(NULL, 0), received_ns);
    if (frame.kind == CLA_FRAME_RESET)
        cla_socket_reset(socket, id);
    else if (cla_call_index_find(&socket->calls, id) == NULL)
        return run_call(socket, &frame, id, received_ns);
    else
        close_broken(socket, "a request has the id of a call in flight");
    return 0;
}
