/* What a stream with TLS does otherwise than a plain one.
 *
 * Loop thread only. Depends on: io/stream, io/tls. Between io/stream.c and io/stream_tls.c only. */
#ifndef CLA_IO_STREAM_TLS_H
#define CLA_IO_STREAM_TLS_H

#include "io/stream.h"

/* Ciphertext arrived: on_secured, on_cleartext, on_read and on_end may run inside. */
void cla_stream_tls_feed(struct cla_stream *stream, struct cla_slice ciphertext);

/* Encrypts and sends 'bytes', or holds them until the handshake is over; empties them. */
void cla_stream_tls_write(struct cla_stream *stream, struct cla_buf *bytes);

/* Sends close_notify, if that can be told; once. */
void cla_stream_tls_goodbye(struct cla_stream *stream);

/* Frees what TLS needs; of a plain stream nothing. */
void cla_stream_tls_free(struct cla_stream *stream);

/* Writes what it can of 'bytes' as they are, and takes the rest. In io/stream.c. */
void cla_stream_send(struct cla_stream *stream, struct cla_buf *bytes);

/* Reports an end, if it is one to report. In io/stream.c. */
void cla_stream_end(struct cla_stream *stream, int rc);

/* Stops reading, for good or for a pause. In io/stream.c. */
void cla_stream_stop_reading(struct cla_stream *stream);

#endif
