/* The arguments of 'cancela call' and 'cancela listen'.
 *
 * Main thread. Depends on: base, http/url, cli/call_params. */
#ifndef CLA_CLI_CALL_ARGS_H
#define CLA_CLI_CALL_ARGS_H

#include "base/buf.h"
#include "base/check.h"
#include "http/url.h"

struct cla_call_args {
    bool websocket;         /* else HTTP */
    bool tls;               /* https:// or wss:// */
    bool insecure;          /* the server's certificate is not verified */
    const char *cacert;     /* PEM files, borrowed from argv; NULL: none */
    const char *cert, *key; /* likewise */
    char host[256];         /* IPv6 without brackets, or unix:PATH */
    uint16_t port;          /* of 'host' */
    struct cla_buf address; /* "host:port", IPv6 in brackets */
    struct cla_buf target;  /* path and query */
    struct cla_buf fields;  /* the lines of --header */
    struct cla_buf params;  /* JSON text; empty: none */
    const char *procedure;  /* borrowed from argv; NULL: calls come from 'file' or a prompt */
    const char *file;       /* borrowed from argv; "-": stdin; NULL: none */
    const char *event;      /* of 'listen', borrowed from argv */
    uint64_t count;         /* events to wait for; 0: no limit */
    const char *timeout;    /* as typed; NULL: none */
    uint64_t timeout_ns;    /* CLA_NEVER: none */
    bool stream;            /* items and progress are asked for */
    bool verbose, help;
    bool listens; /* they are those of 'listen' */
};

/* Reads argv[1..argc), whose order it may change; reads stdin for the argument "-". Without
 * procedure and file stdin must be a terminal. Returns 0, or an exit code after a message. Free
 * with cla_call_args_fini() in any case. With 'help' set, the rest was not looked at. */
int cla_call_args_read(struct cla_call_args *args, int argc, char **argv);

/* As cla_call_args_read(), for 'cancela listen': URL EVENT [PROCEDURE [PARAMS]]. */
int cla_call_args_read_listen(struct cla_call_args *args, int argc, char **argv);

/* Frees what cla_call_args_read() made. */
void cla_call_args_fini(struct cla_call_args *args);

/* Prints "cancela: " and one line to stderr. Returns CLA_EXIT_USAGE. */
int cla_call_args_fail(const char *format, ...) CLA_PRINTF(1, 2);

#endif
