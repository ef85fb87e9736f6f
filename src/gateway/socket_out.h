/* What goes out on a WebSocket, and who waits for room there.
 *
 * Worker thread. Depends on: gateway/socket, gateway/writer.
 *
 * There is room while no more than out_bytes wait to be sent. Scripts that write wait for it; so
 * does a call's result before it is encoded. What cannot wait (errors, pongs) goes out all the
 * same, up to out_bytes of it: then, or when a peer takes nothing for write_timeout, the connection
 * is closed with 1013. So no more than about two out_bytes and one message are held for a client.
 */
#ifndef CLA_GATEWAY_SOCKET_OUT_H
#define CLA_GATEWAY_SOCKET_OUT_H

#include "gateway/socket.h"
#include "gateway/writer.h"

/* True if there is room, or nobody to write to. */
bool cla_socket_has_room(const struct cla_socket *socket);

/* The same, for socket->writers, where who writes on it waits for room. */
bool cla_socket_room_for(const struct cla_writers *writers);

/* Everything was written, or the socket is OVER: who waits may go on. For the connection. */
void cla_socket_drained(struct cla_socket *socket);

/* Appends a message, whether there is room or not. Returns 0; -CLA_ECLOSED if the socket is not
 * OPEN; or -CLA_ENOMEM (nothing is sent). */
int cla_socket_send(struct cla_socket *socket, enum cla_ws_kind kind, struct cla_slice message);

/* Sends what a text is answered with (empty: nothing). 'lost': it could not be built for want of
 * memory, so the connection must end. */
void cla_socket_answer(struct cla_socket *socket, struct cla_slice reply, bool lost);

/* Answers a ping. */
void cla_socket_pong(struct cla_socket *socket, struct cla_slice payload);

/* Closes with 1013: the peer reads too slowly. */
void cla_socket_slow(struct cla_socket *socket, const char *why);

/* Where frames go; they leave with the end of the turn. The socket must have its connection. */
struct cla_buf *cla_socket_out(struct cla_socket *socket);

#endif
