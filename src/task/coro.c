/* Happy path: prepare, enter, lua_resume, leave at each yield, forget when over.
 * Failure modes: an await inside: the chain stays as it is, and the resumer awaits too; an error:
 * the boot frame closes variables, and raises it on to the resumer; no memory to keep what was
 * collected: it is dropped, as plain Lua drops it.
 * On close: a coroutine that yielded is resumed with 'closing' set. Its yield raises nil, as which
 * to-be-closed variables see it, and pcalls that were entered before let everything pass. What
 * yielded in another way is reset. */
#include "task/coro.h"

#include <lauxlib.h>

#include "task/compat.h"

/* Slots that the frame of a C function has for certain, but for a few. */
#define ROOM (LUA_MINSTACK - 4)
#define HANDLER 1 /* stack index of the message handler in the boot frame */
/* lua_resetthread of 5.4.4 does not count C calls: more, one inside the other, would crash. */
#define RESETS_MAX 150

static char meta_key;   /* registry key: the metatable of struct cla_coro */
static char traces_key; /* registry key: {coroutine -> traceback of the error that ended it} */

void cla_coro_forget(struct cla_coro *coro)
{
    *(struct cla_sched **)lua_getextraspace(coro->L) = coro->sched;
    cla_stack_remove(&coro->link);
    cla_list_remove(&coro->collected);
    luaL_unref(coro->sched->nobody->running, LUA_REGISTRYINDEX, coro->ref);
    coro->ref = LUA_NOREF;
    if (coro->innermost != NULL)
        cla_scope_close_split(coro->innermost, coro->outermost);
    coro->innermost = coro->outermost = NULL;
}

/* --- The boot frame. --- */

/* Message handler. */
static int handle_error(lua_State *L)
{
    if (cla_scope_at(L, 1) != NULL || (cla_coro_closing(L) && lua_isnil(L, 1)))
        return 1;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &traces_key);
    lua_pushthread(L);
    luaL_traceback(L, L, NULL, 1);
    lua_rawset(L, -3);
    lua_settop(L, 1);
    return cla_task_traceback(L);
}

static int boot_k(lua_State *L, int status, lua_KContext context)
{
    struct cla_coro *coro = (struct cla_coro *)context;

    cla_coro_forget(coro);
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - HANDLER;
    if (coro->closing && lua_isnil(L, -1))
        return 0;
    return lua_error(L);
}

/* Upvalues: the struct cla_coro, and the function. */
static int boot(lua_State *L)
{
    lua_KContext context = (lua_KContext)lua_touserdata(L, lua_upvalueindex(1));
    int n = lua_gettop(L);

    lua_pushcfunction(L, handle_error);
    lua_insert(L, HANDLER);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, HANDLER + 1);
    return boot_k(L, lua_pcallk(L, n, LUA_MULTRET, HANDLER, context, boot_k), context);
}

void cla_coro_push(lua_State *L, lua_State *co)
{
    lua_pushthread(co);
    lua_xmove(co, L, 1);
}

/* Puts the boot frame around the function of a fresh coroutine, and makes it the owner's. */
static struct cla_coro *prepare(lua_State *L, lua_State *co, struct cla_task *owner)
{
    struct cla_coro *coro;

    luaL_checkstack(L, 3, NULL);
    if (!lua_checkstack(co, 2))
        luaL_error(L, "stack overflow");
    coro = lua_newuserdatauv(L, sizeof *coro, 1);
    *coro = (struct cla_coro){.sched = owner->sched, .L = co, .owner = owner, .ref = LUA_NOREF};
    cla_list_init(&coro->collected);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &meta_key);
    lua_setmetatable(L, -2);
    cla_coro_push(L, co);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(co, 1);
    lua_xmove(co, L, 1);
    lua_pushcclosure(L, boot, 2);
    lua_xmove(L, co, 1);
    lua_replace(co, 1);
    cla_stack_push(&owner->coros, &coro->link);
    *(uintptr_t *)lua_getextraspace(co) = (uintptr_t)coro | CLA_SCHED_OF_CORO;
    return coro;
}

void cla_coro_create(lua_State *L)
{
    lua_State *co = lua_newthread(L);
    struct cla_sched *sched = cla_sched_of(L);

    lua_insert(L, -2);
    lua_xmove(L, co, 1);
    prepare(L, co, sched->current != NULL ? cla_task_top(sched->current) : sched->nobody);
}

/* It was made in a call that ended before it was begun. */
static void adopt(struct cla_coro *coro, struct cla_task *task)
{
    coro->orphan = false;
    coro->owner = cla_task_top(task);
    cla_stack_remove(&coro->link);
    cla_stack_push(&coro->owner->coros, &coro->link);
}

/* --- Resuming. --- */

static bool is_fresh(lua_State *co)
{
    lua_Debug ar;

    return lua_status(co) == LUA_OK && lua_gettop(co) == 1 && lua_getstack(co, 0, &ar) == 0;
}

static inline void enter(struct cla_coro *coro, struct cla_task *task, lua_State *L)
{
    coro->yielded = false;
    coro->task = task;
    coro->outer = cla_coro_innermost(task);
    coro->from = L;
    coro->base = task->scope;
    coro->unwinding = cla_scope_unwinding(task);
    coro->raises = task->sched->raises;
    task->running = coro->L;
    if (coro->innermost != NULL) {
        cla_scope_join(coro->innermost, coro->outermost, task);
        coro->innermost = coro->outermost = NULL;
    }
}

/* What the coroutine has opened is split off if it yielded; else it should have been closed. */
static void leave_scopes(struct cla_coro *coro, struct cla_task *task)
{
    struct cla_scope *s = task->scope;

    if (lua_status(coro->L) == LUA_YIELD) {
        coro->innermost = s;
        coro->outermost = cla_scope_split(task, coro->base, coro->owner);
        return;
    }
    while (cla_scope_outer(s) != coro->base)
        s = cla_scope_outer(s);
    cla_scope_close(s);
}

static inline void leave(struct cla_coro *coro)
{
    struct cla_task *task = coro->task;

    task->running = cla_coro_around(coro);
    coro->task = NULL;
    if (task->scope != coro->base)
        leave_scopes(coro, task);
}

/* L's frame is that of a C function which holds nothing above the coroutine. */
static inline int take_results(lua_State *L, lua_State *co, int n)
{
    if (n >= ROOM && !lua_checkstack(L, n + 1)) {
        lua_pop(co, n);
        lua_pushliteral(L, "too many results to resume");
        return CLA_CORO_FAILED;
    }
    lua_xmove(co, L, n);
    return n;
}

static int take_error(lua_State *L, lua_State *co, const struct cla_coro *coro,
                      const struct cla_task *task)
{
    lua_xmove(co, L, 1);
    if (cla_scope_fault(task, L, coro->raises) == CLA_SCOPE_ERROR)
        return CLA_CORO_FAILED;
    return coro->unwinding ? CLA_CORO_PASSES : CLA_CORO_CANCELLED;
}

/* 'coro' is in the frame of 'co', which may be gone; nothing is collected before it was read. */
static inline int run(lua_State *L, struct cla_coro *coro, int n)
{
    struct cla_task *task = coro->task;
    lua_State *co = coro->L;
    int results = 0, status = lua_resume(co, L, n, &results);

    if (status == LUA_YIELD && task->state != CLA_TASK_RUNNING)
        return CLA_CORO_AWAITS;
    leave(coro);
    if (status == LUA_OK || status == LUA_YIELD)
        return take_results(L, co, results);
    return take_error(L, co, coro, task);
}

static int refuse(lua_State *L, int n, const char *message)
{
    lua_pop(L, n);
    lua_pushstring(L, message);
    return CLA_CORO_FAILED;
}

/* Not resumed before, over, not resumable, or begun by a C module, which then is as it ever was. */
static int resume_other(lua_State *L, lua_State *co, int n)
{
    int results = 0, status;

    if (is_fresh(co)) {
        prepare(L, co, cla_sched_of(L)->nobody);
        return cla_coro_resume(L, co, n);
    }
    if (!lua_checkstack(co, n + 1))
        return refuse(L, n, "too many arguments to resume");
    lua_xmove(L, co, n);
    status = lua_resume(co, L, n, &results);
    if (status == LUA_OK || status == LUA_YIELD)
        return take_results(L, co, results);
    lua_xmove(co, L, 1);
    return CLA_CORO_FAILED;
}

int cla_coro_resume(lua_State *L, lua_State *co, int n)
{
    struct cla_coro *coro = cla_coro_of(co);
    struct cla_sched *sched;
    struct cla_task *task;

    if (coro == NULL)
        return resume_other(L, co, n);
    if (coro->task != NULL)
        return refuse(L, n, "cannot resume non-suspended coroutine");
    if ((n >= ROOM || !coro->yielded) && !lua_checkstack(co, n + 1))
        return refuse(L, n, "too many arguments to resume");
    sched = coro->sched;
    task = sched->current != NULL ? sched->current : sched->nobody;
    if (coro->orphan)
        adopt(coro, task);
    if (n > 0)
        lua_xmove(L, co, n);
    enter(coro, task, L);
    return run(L, coro, n);
}

int cla_coro_continue(lua_State *L, lua_State *co)
{
    return run(L, cla_coro_of(co), 0);
}

int cla_coro_return_error(lua_State *L, int n)
{
    if (n == CLA_CORO_PASSES)
        return lua_error(L);
    if (n == CLA_CORO_CANCELLED)
        cla_scope_catch(cla_task_on(L), L, 0);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

bool cla_coro_may_await(const struct cla_task *task)
{
    for (const struct cla_coro *coro = cla_coro_innermost(task); coro != NULL; coro = coro->outer) {
        lua_State *under = cla_coro_around(coro);

        if (coro->from != under || !lua_isyieldable(under))
            return false;
    }
    return true;
}

/* --- Yielding and closing. --- */

static int yield_k(lua_State *L, int status, lua_KContext context)
{
    const struct cla_coro *coro = (const struct cla_coro *)context;

    (void)status;
    if (!coro->closing)
        return lua_gettop(L);
    lua_pushnil(L);
    return lua_error(L);
}

/* Subtasks must not be left to themselves: nobody may ever resume the coroutine. */
static bool in_group(const struct cla_coro *coro)
{
    if (coro->task == NULL)
        return false;
    for (const struct cla_scope *s = coro->task->scope; s != coro->base; s = cla_scope_outer(s)) {
        if (s->is_group)
            return true;
    }
    return false;
}

int cla_coro_yield(lua_State *L)
{
    struct cla_coro *coro = cla_coro_of(L);

    if (coro == NULL) {
        if (cla_task_owns(L))
            return luaL_error(L, "attempt to yield from outside a coroutine");
        return lua_yield(L, lua_gettop(L));
    }
    if (coro->closing)
        return luaL_error(L, "attempt to yield from a coroutine that is being closed");
    if (in_group(coro))
        return luaL_error(L,
                          "attempt to yield inside a group, whose subtasks cannot be left alone: "
                          "yield when the group has returned");
    coro->yielded = true;
    return lua_yieldk(L, lua_gettop(L), (lua_KContext)coro, yield_k);
}

int cla_coro_reset(lua_State *co, lua_State *from)
{
    struct cla_sched *sched = cla_sched_of(co);
    struct cla_coro *coro = cla_coro_of(co);
    int status;

    sched->resets++;
    status = cla_compat_close_thread(co, from);
    sched->resets--;
    if (coro != NULL)
        cla_coro_forget(coro);
    return status;
}

static int close_by_reset(lua_State *L, lua_State *co)
{
    struct cla_sched *sched = cla_sched_of(L);

    if (sched->resets >= RESETS_MAX)
        return luaL_error(L, "C stack overflow");
    if (cla_coro_reset(co, L) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
}

static int close_k(lua_State *L, int status, lua_KContext context);

/* Ends close() with what cla_coro_resume() has returned. */
static int closed(lua_State *L, lua_State *co, int n)
{
    struct cla_coro *coro = cla_coro_of(co);

    if (n == CLA_CORO_AWAITS)
        return lua_yieldk(L, 0, (lua_KContext)co, close_k);
    if (n < 0 && coro != NULL) { /* it was not even resumed: C stack overflow */
        coro->closing = false;
        return lua_error(L);
    }
    if (n >= 0)
        return close_by_reset(L, co); /* over, unless a C module yielded */
    cla_compat_close_thread(co, L);
    lua_settop(co, 0);
    return cla_coro_return_error(L, n);
}

static int close_k(lua_State *L, int status, lua_KContext context)
{
    lua_State *co = (lua_State *)context;

    (void)status;
    return closed(L, co, cla_coro_continue(L, co));
}

int cla_coro_close(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    struct cla_coro *coro;
    lua_Debug ar;

    luaL_argexpected(L, co != NULL, 1, "thread");
    if (cla_task_owns(co))
        return luaL_error(L, "cannot close the coroutine of a call");
    coro = cla_coro_of(co);
    if (co == L)
        return luaL_error(L, "cannot close a running coroutine");
    if ((coro != NULL && coro->task != NULL) ||
        (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar) != 0))
        return luaL_error(L, "cannot close a normal coroutine");
    if (coro == NULL || !coro->yielded)
        return close_by_reset(L, co);
    lua_settop(L, 1);
    coro->closing = true;
    return closed(L, co, cla_coro_resume(L, co, 0));
}

/* --- The VM. --- */

static int l_anchor(lua_State *L)
{
    struct cla_coro *coro = lua_touserdata(L, 1);

    lua_getiuservalue(L, 1, 1);
    coro->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* A suspended coroutine of a call was abandoned: it is kept until it was closed. */
static int l_collected(lua_State *L)
{
    struct cla_coro *coro = lua_touserdata(L, 1);

    if (coro->L == NULL || cla_coro_of(coro->L) != coro)
        return 0; /* over */
    lua_pushcfunction(L, l_anchor);
    lua_pushvalue(L, 1);
    if (lua_status(coro->L) != LUA_YIELD || coro->owner == coro->sched->nobody ||
        lua_pcall(L, 1, 0, 0) != LUA_OK) {
        cla_coro_forget(coro);
        return 0;
    }
    cla_list_push(&coro->sched->collected, &coro->collected);
    return 0;
}

void cla_coro_push_trace(lua_State *L, lua_State *co)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &traces_key);
    cla_coro_push(L, co);
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

void cla_coro_setup(lua_State *L)
{
    struct cla_sched *sched = cla_sched_of(L);
    static char nobody_key;

    sched->nobody = lua_newuserdatauv(L, sizeof *sched->nobody, 0);
    cla_task_init(sched->nobody, sched);
    sched->nobody->L = sched->nobody->running = sched->L;
    sched->nobody->state = CLA_TASK_RUNNING;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &nobody_key);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_collected);
    lua_setfield(L, -2, "__gc");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &meta_key);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &traces_key);
}

void cla_coro_fini(struct cla_sched *sched)
{
    struct cla_stack_link *link;

    while ((link = cla_stack_pop(&sched->nobody->coros)) != NULL)
        cla_coro_forget(CLA_CONTAINER(link, struct cla_coro, link));
}
