/* The gateway as it is, but that each line "N" on its standard input has the control thread kill
 * call N: what no command does yet. Linked with --wrap=cla_server_run. */
#include <stdlib.h>

#include "gateway/server.h"

int __real_cla_server_run(struct cla_server *server); /* NOLINT: the linker's names */
int __wrap_cla_server_run(struct cla_server *server); /* NOLINT */

struct killer {
    struct cla_server *server;
    uv_pipe_t input;
    char read[64];
    uint64_t call; /* read so far */
};

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct killer *killer = handle->data;

    *buf = uv_buf_init(killer->read, sizeof killer->read);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct killer *killer = stream->data;

    if (n < 0)
        uv_read_stop(stream);
    for (ssize_t i = 0; i < n; i++) {
        if (buf->base[i] == '\n') {
            cla_server_kill(killer->server, killer->call);
            killer->call = 0;
        } else {
            killer->call = killer->call * 10 + (uint64_t)(buf->base[i] - '0');
        }
    }
}

int __wrap_cla_server_run(struct cla_server *server) /* NOLINT */
{
    struct killer killer = {.server = server};
    int rc;

    killer.input.data = &killer;
    if (uv_pipe_init(&server->loop.uv, &killer.input, 0) != 0 ||
        uv_pipe_open(&killer.input, 0) != 0 ||
        uv_read_start((uv_stream_t *)&killer.input, on_alloc, on_read) != 0)
        abort();
    uv_unref((uv_handle_t *)&killer.input);
    rc = __real_cla_server_run(server);
    uv_close((uv_handle_t *)&killer.input, NULL);
    uv_run(&server->loop.uv, UV_RUN_NOWAIT);
    return rc;
}
