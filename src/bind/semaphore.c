/* Happy path: a permit is free, or the one that is released goes to who waits longest.
 * Failure modes: who is cancelled while it waits leaves the queue; who is cancelled after the
 * permit was given to it but before it runs gives it back, and it goes to the next. On close:
 * nothing; a task that ends does not release what it holds.
 *
 * If anybody waits no permit is free. */
#include "bind/semaphore.h"

#include <lauxlib.h>

#include "task/op.h"

#define SEMAPHORE "cancela.Semaphore"
#define MUTEX "cancela.Mutex"

struct semaphore {
    struct cla_link waiting; /* operations, the longest waiting first */
    lua_Integer permits, free;
    bool is_mutex;
    uint64_t owner; /* of a mutex: the task that holds it, by its serial; 0: none */
};

static void grant(struct semaphore *semaphore, const struct cla_task *task)
{
    if (semaphore->is_mutex)
        semaphore->owner = task->serial;
}

static bool begin(lua_State *L, struct cla_op *op, int at)
{
    struct semaphore *semaphore = op->object;
    const struct cla_task *task = cla_await_task(L, "await");

    (void)at;
    if (semaphore->is_mutex && semaphore->owner == task->serial)
        luaL_error(L, "this task holds the mutex already: it would wait for itself for ever");
    if (semaphore->free == 0)
        return false;
    semaphore->free--;
    grant(semaphore, task);
    return true;
}

static void enqueue(struct cla_op *op)
{
    cla_list_push(&((struct semaphore *)op->object)->waiting, &op->link);
}

static void pass_on(struct semaphore *semaphore)
{
    struct cla_op *next = cla_op_first(&semaphore->waiting);

    semaphore->owner = 0;
    if (next == NULL) {
        semaphore->free++;
        return;
    }
    grant(semaphore, next->wait->task);
    cla_op_complete(next);
}

static void give_back(struct cla_op *op)
{
    pass_on(op->object);
}

static int push(lua_State *L, struct cla_op *op, int at)
{
    (void)L, (void)op, (void)at;
    return 0;
}

static const struct cla_op_ops ops = {
    .begin = begin,
    .enqueue = enqueue,
    .give_back = give_back,
    .push = push,
};

/* --- Functions. --- */

static int push_op(lua_State *L, const char *type)
{
    (void)cla_op_push_new(L, &ops, sizeof(struct cla_op), 1, luaL_checkudata(L, 1, type));
    return 1;
}

static int l_acquire_op(lua_State *L)
{
    return push_op(L, SEMAPHORE);
}

/* acquire(). Awaits. */
static int l_acquire(lua_State *L)
{
    (void)push_op(L, SEMAPHORE);
    return cla_op_await(L);
}

/* release() */
static int l_release(lua_State *L)
{
    struct semaphore *semaphore = luaL_checkudata(L, 1, SEMAPHORE);

    if (semaphore->free == semaphore->permits)
        return luaL_error(L, "cannot release: all %I permits of the semaphore are free",
                          semaphore->permits);
    pass_on(semaphore);
    return 0;
}

static int l_lock_op(lua_State *L)
{
    return push_op(L, MUTEX);
}

/* lock(). Awaits. */
static int l_lock(lua_State *L)
{
    (void)push_op(L, MUTEX);
    return cla_op_await(L);
}

/* unlock() */
static int l_unlock(lua_State *L)
{
    struct semaphore *mutex = luaL_checkudata(L, 1, MUTEX);
    const struct cla_task *task = cla_sched_of(L)->current;

    if (mutex->owner == 0)
        return luaL_error(L, "cannot unlock: the mutex is not locked");
    if (task == NULL || mutex->owner != task->serial)
        return luaL_error(L, "cannot unlock: another task holds the mutex");
    pass_on(mutex);
    return 0;
}

static void push_new(lua_State *L, const char *type, lua_Integer permits)
{
    struct semaphore *semaphore = lua_newuserdatauv(L, sizeof *semaphore, 0);

    *semaphore = (struct semaphore){.permits = permits, .free = permits};
    cla_list_init(&semaphore->waiting);
    semaphore->is_mutex = strcmp(type, MUTEX) == 0;
    luaL_setmetatable(L, type);
}

/* semaphore(permits) */
static int l_semaphore(lua_State *L)
{
    lua_Integer permits = luaL_checkinteger(L, 1);

    luaL_argcheck(L, permits >= 1 && permits <= CLA_SEMAPHORE_PERMITS_MAX, 1,
                  "the number of permits must be from 1 to 1000000");
    push_new(L, SEMAPHORE, permits);
    return 1;
}

/* mutex() */
static int l_mutex(lua_State *L)
{
    push_new(L, MUTEX, 1);
    return 1;
}

static const luaL_Reg semaphore_methods[] = {
    {"acquire", l_acquire},
    {"acquire_op", l_acquire_op},
    {"release", l_release},
    {NULL, NULL},
};

static const luaL_Reg mutex_methods[] = {
    {"lock", l_lock},
    {"lock_op", l_lock_op},
    {"unlock", l_unlock},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"semaphore", l_semaphore},
    {"mutex", l_mutex},
    {NULL, NULL},
};

static void set_up(lua_State *L, const char *type, const luaL_Reg *methods)
{
    luaL_newmetatable(L, type);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

void cla_semaphore_functions(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
    set_up(L, SEMAPHORE, semaphore_methods);
    set_up(L, MUTEX, mutex_methods);
}
