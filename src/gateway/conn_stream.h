/* A response whose body goes out in pieces, as somebody makes them.
 *
 * Worker thread. Depends on: gateway/writer, gateway/conn.
 *
 *   begin -> piece, while there is room; else a writer waits -> end: the last chunk
 *                                                            -> cut: none, and the connection ends
 *
 * On HTTP/1.1 the pieces are chunks (RFC 9112 section 7.1), and a body that is cut off is seen to
 * be by the client: the last chunk is missing. On HTTP/1.0 the end of the connection is that of the
 * body, and only what the body says by itself can tell. */
#ifndef CLA_GATEWAY_CONN_STREAM_H
#define CLA_GATEWAY_CONN_STREAM_H

#include <stdint.h>

#include "base/slice.h"
#include "gateway/writer.h"

struct cla_conn;
struct cla_exchange;

struct cla_conn_stream {
    struct cla_conn *conn;      /* NULL: none is under way, or the client has gone */
    struct cla_writers writers; /* who waits for room: up to out_bytes wait to be sent */
    bool chunked;
    bool closes; /* the connection, when it has ended */
};

/* Begins the response to 'exchange', with its status. 'fields': more whole lines, each with its
 * \r\n. The exchange stays the connection's until the end. */
void cla_conn_stream_begin(struct cla_exchange *exchange, const char *content_type,
                           struct cla_slice fields);

/* As cla_conn_stream_begin(), of a body of 'bytes' bytes: not in chunks. 'content_type' NULL:
 * none. */
void cla_conn_stream_begin_sized(struct cla_exchange *exchange, const char *content_type,
                                 struct cla_slice fields, uint64_t bytes);

/* Appends a piece of the body, 'first' and then 'second', whether there is room or not. No-op if
 * nothing is under way, or both are empty. */
void cla_conn_stream_piece(struct cla_conn_stream *stream, struct cla_slice first,
                           struct cla_slice second);

/* The body is complete: the connection goes on with the next request. No-op if none is under way.
 */
void cla_conn_stream_end(struct cla_conn_stream *stream);

/* The body will not be complete: closes the connection behind what was written. No-op if none is
 * under way. */
void cla_conn_stream_cut(struct cla_conn_stream *stream);

/* The client has gone: who waits goes on. For the exchange. */
void cla_conn_stream_lost(struct cla_conn_stream *stream);

#endif
