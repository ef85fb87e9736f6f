#include "cli/call_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "cli/call_params.h"

#define READ_BYTES 65536

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct cla_call_input *input = poll->data;

    (void)status, (void)events; /* reading tells */
    uv_poll_stop(poll);
    input->cb(input->arg);
}

/* Regular files cannot be waited for, and need not be. libuv makes what it watches non-blocking;
 * but a terminal is shared with others, and nothing is read here before there is something. */
void cla_call_input_init(struct cla_call_input *input, struct cla_loop *loop, int fd,
                         cla_call_input_cb *cb, void *arg)
{
    int flags = fcntl(fd, F_GETFL);

    *input = (struct cla_call_input){.fd = fd, .cb = cb, .arg = arg};
    input->polled = uv_poll_init(&loop->uv, &input->poll, fd) == 0;
    input->poll.data = input;
    if (flags >= 0)
        (void)fcntl(fd, F_SETFL, flags);
}

void cla_call_input_fini(struct cla_call_input *input)
{
    if (input->polled)
        uv_close((uv_handle_t *)&input->poll, NULL);
    input->polled = false;
    cla_buf_fini(&input->bytes);
}

/* Cuts the next line off what was read. The last one may lack its line feed. */
static bool take_line(struct cla_call_input *input, char **line)
{
    char *start = input->bytes.p + input->at, *end;
    size_t n = input->bytes.n - input->at;

    if (n == 0)
        return false;
    end = memchr(start, '\n', n);
    if (end == NULL && !input->ended)
        return false;
    if (end == NULL)
        end = start + n; /* read_some() left room for a NUL */
    *end = '\0';
    input->at = (size_t)(end - input->bytes.p) + 1;
    if (input->at > input->bytes.n)
        input->at = input->bytes.n;
    input->line++;
    input->line_bytes = (size_t)(end - start);
    *line = start;
    return true;
}

/* True if reading would not wait. It may only seem to where a signal comes: then the loop looks. */
static bool ready(const struct cla_call_input *input)
{
    struct pollfd fd = {.fd = input->fd, .events = POLLIN};

    return !input->polled || poll(&fd, 1, 0) > 0;
}

/* Returns 0 or an errno. */
static int read_some(struct cla_call_input *input)
{
    struct cla_buf *bytes = &input->bytes;
    ssize_t n;

    cla_buf_drop(bytes, input->at);
    input->at = 0;
    if (bytes->n > CLA_CALL_PARAMS_BYTES_MAX)
        return E2BIG;
    if (cla_buf_reserve(bytes, READ_BYTES + 1) != 0)
        return ENOMEM;
    n = read(input->fd, bytes->p + bytes->n, READ_BYTES);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : errno;
    bytes->n += (size_t)n;
    input->ended = n == 0;
    return 0;
}

enum cla_call_input_result cla_call_input_line(struct cla_call_input *input, char **line)
{
    int error;

    while (!take_line(input, line)) {
        if (input->ended)
            return CLA_CALL_INPUT_END;
        if (!ready(input)) {
            uv_poll_start(&input->poll, UV_READABLE, on_readable);
            return CLA_CALL_INPUT_WAIT;
        }
        error = read_some(input);
        if (error != 0) {
            errno = error;
            return CLA_CALL_INPUT_FAILED;
        }
    }
    return CLA_CALL_INPUT_LINE;
}
