/* A loaded script: a VM with Cancela's modules, the procedures, and the app the gateway sees.
 *
 * VM thread. Depends on: task/vm, gateway/app, gateway/call. */
#ifndef CLA_BIND_SCRIPT_H
#define CLA_BIND_SCRIPT_H

#include <stdatomic.h>

#include "gateway/app.h"
#include "gateway/bulletin.h"
#include "gateway/call.h"
#include "gateway/pattern.h"
#include "io/file_set.h"
#include "task/vm.h"
#include "json/schema.h"

/* A procedure as the script declared it. */
struct cla_script_procedure {
    struct cla_procedure base;      /* its name is owned */
    int fn;                         /* registry reference */
    bool wants_call;                /* the function takes a second parameter */
    bool preemptible;               /* others may run between its slices */
    bool manual;                    /* cancel = "manual" */
    bool keep_nulls;                /* nulls = "keep" */
    bool array_result;              /* result = {type = "array"}: an empty table is [] */
    bool is_route;                  /* of a struct cla_script_route */
    bool discovers;                 /* rpc.discover: its result is script->document */
    char *summary;                  /* owned; NULL: none */
    struct cla_json_schema *params; /* what its params are checked against; NULL: anything */
    struct cla_json_schema *result; /* for readers; NULL: none */
};

/* A route as the script declared it: the procedure's name is its key. */
struct cla_script_route {
    struct cla_script_procedure procedure;
    struct cla_pattern pattern;
};

/* A WebSocket handler as the script declared it. */
struct cla_script_socket {
    struct cla_socket_route base; /* its path and the names of protocols are owned */
    int run;                      /* registry references or LUA_NOREF: the whole handler, or … */
    int on_open, on_message, on_close; /* … these */
};

/* A topic, or all whose names begin so, as the script declared it. */
struct cla_script_topic {
    struct cla_slice name; /* owned */
    bool prefix;
    struct cla_topic_rules rules;
};

/* Work that no client asked for: a function of app.background, or on_unload. */
struct cla_script_job {
    struct cla_script *script;
    char *name;            /* owned; NULL: on_unload */
    int fn;                /* registry reference, or LUA_NOREF */
    bool once;             /* on one worker only */
    bool preemptible;      /* others may run between its slices */
    struct cla_task *task; /* NULL: it does not run */
};

struct cla_script {
    struct cla_app app; /* what the gateway sees; its folder is owned */
    struct cla_vm *vm;
    bool owns_vm; /* false: an app under test, in the VM of its spec */
    struct cla_log *log;
    struct cla_log last_log;    /* of finalizers that run while it is freed, on whatever thread */
    struct cla_store *store;    /* that all workers share; not its own */
    struct cla_file_set *files; /* that it has read; a reference; NULL: not noted */
    char *home;                 /* the folder of its file; owned; NULL: none yet */
    struct cla_watchdog *watchdog;           /* of the thread that runs it; NULL: none */
    struct cla_script_procedure *procedures; /* in the order of their names */
    size_t procedure_count;
    struct cla_script_procedure discover; /* rpc.discover; its name is empty if that is off */
    struct cla_buf document;              /* its result */
    uint32_t *index;   /* hash table of positions in 'procedures', plus 1; 0: free */
    size_t index_mask; /* slots - 1 */
    struct cla_script_socket *sockets;
    size_t socket_count;
    struct cla_script_topic *topics;
    size_t topic_count;
    struct cla_script_route *routes;     /* in the order of their patterns … */
    const struct cla_pattern **patterns; /* … which are listed here */
    size_t route_count;
    struct cla_script_job *background;
    size_t background_count;
    struct cla_script_job on_unload;
    bool begun, unloaded;            /* its background tasks were started; on_unload was */
    enum cla_cancel_kind retired;    /* why its background tasks were cancelled; NONE: not yet */
    void (*on_idle)(void *idle_arg); /* the last of these has ended; NULL: nobody asks */
    void *idle_arg;
    int authorize; /* registry references of functions, or LUA_NOREF */
    int on_connect, on_disconnect;
    struct cla_link clients; /* objects of bind/client */
    unsigned json_depth;
    unsigned detached, max_detached; /* tasks of cancela.detach */
    bool stopping;                   /* the server shuts down: nothing is detached any more */
    bool expose_errors;
    bool discovers;                                /* the setting discover */
    uint64_t call_timeout_ns, max_call_timeout_ns; /* for the document */
    uint64_t stream_idle_timeout_ns;
    struct cla_buf scratch; /* JSON of an error's data, and the like */
    struct cla_buf frame;   /* a notification as a binary frame */
};

struct cla_script_options {
    struct cla_loop *loop;
    struct cla_log *log;
    size_t vm_memory; /* bytes */
    uint64_t grace_ns, load_timeout_ns;
    const atomic_bool *stop; /* true: loading is to end, at once; NULL: nobody asks for that */
    uint64_t hold_limit_ns, cpu_limit_ns; /* 0: none */
    unsigned json_depth, max_detached;
    bool expose_errors;
    struct cla_store *store; /* of cancela.shared; lives longer than the script */
    bool discover;           /* answer rpc.discover */
    uint64_t call_timeout_ns, max_call_timeout_ns, stream_idle_timeout_ns; /* what it tells */
    const char *version;
    uint64_t generation, previous; /* its number, and that of the one that it replaces; 0: none */
    struct cla_file_set *files;    /* where to note what it reads; NULL: nowhere */
};

/* Makes a VM with all modules and no procedures. Returns 0 or -CLA_ENOMEM. */
int cla_script_new(struct cla_script **out, const struct cla_script_options *options);

/* Makes another app, with no procedures, in the VM of 'script', which must outlive it.
 * Returns 0 or -CLA_ENOMEM. */
int cla_script_new_beside(struct cla_script **out, const struct cla_script *script);

/* Opens the folder that the app table at 'index' of L names as static, seen from that of the script
 * at 'path'. Raises if there is none. */
void cla_script_take_folder(struct cla_script *script, lua_State *L, int index, const char *path);

/* Takes the procedures of the app table at 'index' of L (as the Lua half normalised it). May raise,
 * then the script has none. Raises if a name stands twice. */
void cla_script_take(struct cla_script *script, lua_State *L, int index);

/* Has 'take' take each element of the list on top of the stack, where it finds it, and pops the
 * list. Raises what that raises. */
void cla_script_take_each(struct cla_script *script, lua_State *L,
                          void (*take)(struct cla_script *script, lua_State *L));

/* The procedure of that dotted name, or NULL. */
const struct cla_procedure *cla_script_find(const struct cla_script *script, struct cla_slice name);

/* Takes the procedure on top of the stack, as the Lua half normalised it, into '*p', which is
 * zeroed. May raise; then '*p' has some of it. */
void cla_script_take_procedure(struct cla_script_procedure *p, lua_State *L);

/* Frees what a procedure holds. */
void cla_script_drop_procedure(struct cla_script_procedure *p, lua_State *L);

/* The script that a coroutine belongs to. */
struct cla_script *cla_script_of(lua_State *L);

/* Frees all. No call may be live. NULL is fine. */
void cla_script_free(struct cla_script *script);

#endif
