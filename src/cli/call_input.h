/* Lines of a file, a pipe or a terminal, as they come.
 *
 * Main thread. Depends on: base, io/loop, libuv. */
#ifndef CLA_CLI_CALL_INPUT_H
#define CLA_CLI_CALL_INPUT_H

#include "base/buf.h"
#include "io/loop.h"

/* More can be read: ask for the line again. */
typedef void cla_call_input_cb(void *arg);

struct cla_call_input {
    uv_poll_t poll; /* of a descriptor that may have to be waited for */
    cla_call_input_cb *cb;
    void *arg;
    struct cla_buf bytes; /* read so far … */
    size_t at;            /* … and given out before this */
    unsigned line;        /* number of the last line, from 1 … */
    size_t line_bytes;    /* … and its length: it may hold NULs */
    int fd;               /* borrowed */
    bool polled;          /* else reading never waits */
    bool ended;
};

enum cla_call_input_result {
    CLA_CALL_INPUT_LINE,   /* '*line', without its line feed; it may be changed, up to its end */
    CLA_CALL_INPUT_WAIT,   /* none yet: the callback will run */
    CLA_CALL_INPUT_END,    /* none left */
    CLA_CALL_INPUT_FAILED, /* errno says why */
};

/* Reads from 'fd', which stays open, and blocking if it was. */
void cla_call_input_init(struct cla_call_input *input, struct cla_loop *loop, int fd,
                         cla_call_input_cb *cb, void *arg);

/* Gives the next line, NUL-terminated, until the next call. A line may have as many bytes as params
 * (E2BIG). */
enum cla_call_input_result cla_call_input_line(struct cla_call_input *input, char **line);

/* Stops waiting and frees; its libuv handle closes with the loop's next turn. */
void cla_call_input_fini(struct cla_call_input *input);

#endif
