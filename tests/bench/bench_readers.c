/* Many WebSocket clients of a server that publishes: 'scripts/bench pubsub' runs this.
 * Usage: bench_readers PORT PATH CLIENTS MESSAGES
 * Each client sends one text and takes one for an answer; then "ready" is printed. What comes after
 * must be MESSAGES notifications that are numbered from FIRST on. Ends when all have come, or none
 * has for five seconds; prints how many came, how many were missed, and how many out of order. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ws/frame.h"

#define FIRST 1000000001L
#define PREFIX "{\"jsonrpc\":\"2.0\",\"method\":\"tick\",\"params\":["
#define SUBSCRIBE \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\",\"params\":{\"topic\":\"tick\"}}"
#define IDLE_MS 5000
#define READ_BYTES 65536

struct reader {
    int fd;
    char bytes[READ_BYTES]; /* of a frame that is not complete, and behind it what is read */
    size_t n;
    long next; /* number that is to come */
};

static struct reader *readers;
static long clients, messages, got, missed, disordered;

static void require(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_readers: %s: %s\n", what, strerror(errno));
    exit(1);
}

static size_t read_some(struct reader *reader)
{
    ssize_t n = read(reader->fd, reader->bytes + reader->n, READ_BYTES - reader->n);

    require(n > 0, "the server has closed");
    reader->n += (size_t)n;
    return (size_t)n;
}

static void drop(struct reader *reader, size_t n)
{
    memmove(reader->bytes, reader->bytes + n, reader->n - n);
    reader->n -= n;
}

/* The length of the frame at p[0..n), header included; 0: it is not all there. */
static size_t frame_at(const char *p, size_t n, size_t *head)
{
    struct cla_ws_header header;
    const char *why;
    int size = cla_ws_header_read(&header, p, n, 0, &why);

    require(size >= 0, "a broken frame");
    *head = (size_t)size;
    return size > 0 && n - *head >= header.length ? *head + header.length : 0;
}

static void take_number(struct reader *reader, const char *p)
{
    long number;

    require(memcmp(p, PREFIX, sizeof PREFIX - 1) == 0, "not the text that was published");
    number = strtol(p + sizeof PREFIX - 1, NULL, 10);
    got++;
    if (number < reader->next)
        disordered++;
    else
        missed += number - reader->next;
    reader->next = number + 1;
}

static void take_frames(struct reader *reader)
{
    size_t at = 0, head, size;

    while ((size = frame_at(reader->bytes + at, reader->n - at, &head)) > 0) {
        take_number(reader, reader->bytes + at + head);
        at += size;
    }
    drop(reader, at);
}

static void write_all(int fd, const char *p, size_t n)
{
    require(write(fd, p, n) == (ssize_t)n, "write");
}

static void subscribe(struct reader *reader)
{
    const unsigned char key[4] = {0};
    struct cla_buf frame = {0};
    size_t head;

    require(cla_ws_frame_add(&frame, CLA_WS_FIN | CLA_WS_TEXT, CLA_LIT(SUBSCRIBE), key) == 0,
            "memory");
    write_all(reader->fd, frame.p, frame.n);
    cla_buf_fini(&frame);
    while (frame_at(reader->bytes, reader->n, &head) == 0)
        read_some(reader);
    drop(reader, frame_at(reader->bytes, reader->n, &head));
}

static void open_reader(struct reader *reader, int port, const char *path)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char text[512];
    const char *end;

    reader->fd = socket(AF_INET, SOCK_STREAM, 0);
    reader->next = FIRST;
    require(connect(reader->fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    snprintf(text, sizeof text,
             "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
             path);
    write_all(reader->fd, text, strlen(text));
    do
        read_some(reader);
    while ((end = memmem(reader->bytes, reader->n, "\r\n\r\n", 4)) == NULL);
    require(memcmp(reader->bytes, "HTTP/1.1 101", 12) == 0, "the upgrade was refused");
    drop(reader, (size_t)(end + 4 - reader->bytes));
    subscribe(reader);
}

static void run(int epoll)
{
    struct epoll_event events[256];
    int n;

    while (got + missed < clients * messages && (n = epoll_wait(epoll, events, 256, IDLE_MS)) > 0) {
        for (int i = 0; i < n; i++) {
            struct reader *reader = events[i].data.ptr;

            read_some(reader);
            take_frames(reader);
        }
    }
    for (long i = 0; i < clients; i++)
        missed += FIRST + messages - readers[i].next;
}

int main(int argc, char **argv)
{
    int epoll = epoll_create1(0);

    require(argc == 5, "usage: bench_readers PORT PATH CLIENTS MESSAGES");
    clients = atol(argv[3]);
    messages = atol(argv[4]);
    readers = calloc((size_t)clients, sizeof *readers);
    require(readers != NULL, "memory");
    for (long i = 0; i < clients; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &readers[i]};

        open_reader(&readers[i], atoi(argv[1]), argv[2]);
        require(epoll_ctl(epoll, EPOLL_CTL_ADD, readers[i].fd, &event) == 0, "epoll");
    }
    puts("ready");
    fflush(stdout);
    run(epoll);
    printf("%ld %ld %ld\n", got, missed, disordered);
    return 0;
}
