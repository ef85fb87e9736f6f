/* One item of the setting 'listen': where to listen, and how.
 *
 *     ADDRESS:PORT   [IPv6]:PORT   NAME:PORT   :PORT   http://…   https://…   unix:PATH
 *     systemd   systemd:SOCKET   https://systemd…     (gateway/passed.h)
 *
 * each with options behind it: half_close=allow|cancel, mode=0660 (of a unix socket).
 *
 * Any thread. Depends on: base, gateway/config. */
#ifndef CLA_GATEWAY_LISTEN_H
#define CLA_GATEWAY_LISTEN_H

#include "gateway/config.h"

/* The longest path of a unix socket, with its NUL. */
#define CLA_LISTEN_PATH 108

struct cla_listen {
    char host[256]; /* IPv4, IPv6 without brackets, or a name; empty: every address; or a path */
    uint16_t port;  /* 0: any free port */
    bool local;     /* a unix socket: 'host' is its path */
    bool passed;    /* sockets that were passed to the process: 'host' is their name; empty: all */
    bool tls;       /* https:// */
    bool half_close_set;
    enum cla_half_close half_close; /* if set; else the setting's */
    unsigned mode;                  /* of the file of a unix socket */
};

/* Reads one item. Returns NULL, or what is wrong: "is not …; write …". */
const char *cla_listen_read(struct cla_slice text, struct cla_listen *listen);

/* True if both cannot be listened on. */
bool cla_listen_same(const struct cla_listen *a, const struct cla_listen *b);

/* Appends where it listens, as it is written. Returns 0 or -CLA_ENOMEM. */
int cla_listen_print(const struct cla_listen *listen, struct cla_buf *to);

#endif
