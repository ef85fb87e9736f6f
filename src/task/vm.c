#include "task/vm.h"

#include <lauxlib.h>
#include <lualib.h>

#include "base/error.h"
#include "base/mem.h"
#include "task/coro.h"
#include "task/op.h"
#include "task/preempt.h"
#include "task/watchdog.h"

/* A tight VM looks again whether calls that have ended gave memory back, but not before this many
 * times as long as the last look took. */
#define COLLECT_SHARE 4
/* One cycle may have begun before the garbage was; the next runs finalizers; the last frees what
 * they belonged to. */
#define TRIM_CYCLES 3
/* How long a slice of a trimming takes, and the collector's step multiplier for it: with the
 * default one, a single step of its may sweep for 10 ms. */
#define TRIM_NS (CLA_NS_PER_MS / 2)
#define TRIM_STEP_MULTIPLIER 1

static void *allocate(void *arg, void *block, size_t old, size_t bytes)
{
    struct cla_vm *vm = arg;
    void *p;

    if (block == NULL)
        old = 0; /* it is then a type tag */
    if (bytes > old && bytes - old > vm->cap - vm->used)
        return NULL;
    p = cla_blocks_resize(&vm->blocks, block, old, bytes);
    if (p != NULL || bytes == 0)
        vm->used += bytes - old;
    return p;
}

static int panic(lua_State *L)
{
    const char *message = lua_tostring(L, -1);

    cla_log_line(cla_sched_of(L)->log, CLA_LOG_ERROR, "unprotected error in Lua: %s",
                 message != NULL ? message : "?");
    return 0; /* Lua aborts */
}

static int l_setup(lua_State *L)
{
    luaL_openlibs(L);
    cla_scope_setup(L);
    cla_coro_setup(L);
    cla_op_setup(L);
    return 0;
}

int cla_vm_new(struct cla_vm **out, struct cla_loop *loop, struct cla_log *log, size_t cap,
               uint64_t grace_ns, const struct cla_sched_ops *ops)
{
    struct cla_vm *vm = cla_mem_zalloc(sizeof *vm);

    if (vm == NULL)
        return -CLA_ENOMEM;
    vm->cap = cap;
    vm->tight_above = cap / 5 * 4;
    cla_blocks_init(&vm->blocks, CLA_BLOCKS_SLABS_OR(CLA_BLOCKS_LIBRARY));
    vm->L = lua_newstate(allocate, vm);
    if (vm->L == NULL)
        goto free_vm;
    lua_atpanic(vm->L, panic);
    cla_sched_init(&vm->sched, vm->L, loop, log, ops);
    vm->sched.memory = &vm->used;
    vm->sched.grace_ns = grace_ns;
    lua_pushcfunction(vm->L, l_setup);
    if (lua_pcall(vm->L, 0, 0, 0) != LUA_OK)
        goto close_state;
    *out = vm;
    return 0;
close_state:
    lua_close(vm->L);
free_vm:
    cla_blocks_fini(&vm->blocks);
    cla_mem_free(vm);
    return -CLA_ENOMEM;
}

/* What goes on for ever has been charged for all of its life. */
static bool charged_more(struct cla_task *task, struct cla_task *than)
{
    bool endless = cla_task_top(task)->ops->endless,
         than_endless = cla_task_top(than)->ops->endless;

    return endless == than_endless ? task->charged > than->charged : than_endless;
}

static struct cla_task *most_charged(struct cla_sched *sched)
{
    struct cla_task *most = NULL;

    CLA_LIST_EACH (link, &sched->tasks) {
        struct cla_task *task = CLA_CONTAINER(link, struct cla_task, all);

        if (task->scope != NULL && !cla_task_top(task)->root.due &&
            (most == NULL || charged_more(task, most)))
            most = task;
    }
    return most != NULL ? cla_task_top(most) : NULL;
}

/* Finalizers run: the watchdog is to see those that do not end. */
static void begin_collecting(struct cla_vm *vm)
{
    cla_watchdog_wake(&vm->sched);
    cla_preempt_turn_to(&vm->sched);
    cla_preempt_beat(&vm->sched);
}

static void end_collecting(struct cla_vm *vm)
{
    cla_preempt_beat(&vm->sched);
    cla_watchdog_rest(&vm->sched);
}

static void collect(struct cla_vm *vm)
{
    size_t threshold = vm->cap / 5 * 4;
    uint64_t began_ns = cla_clock_monotonic_ns();

    begin_collecting(vm);
    lua_gc(vm->L, LUA_GCCOLLECT);
    end_collecting(vm);
    vm->tight = vm->used >= threshold;
    vm->again_ns =
        cla_sched_now_ns(&vm->sched) + COLLECT_SHARE * (cla_clock_monotonic_ns() - began_ns);
    if (!vm->tight)
        vm->tight_above = threshold;
}

void cla_vm_relieve(struct cla_vm *vm)
{
    struct cla_task *most;

    if (vm->used < vm->tight_above) {
        /* Lua alone would not collect: without new calls nothing is allocated. */
        if (vm->tight && cla_sched_now_ns(&vm->sched) >= vm->again_ns)
            collect(vm);
        return;
    }
    collect(vm);
    if (!vm->tight)
        return;
    vm->tight_above = vm->used + (vm->cap - vm->used) / 2; /* not again with every turn */
    most = most_charged(&vm->sched);
    if (most == NULL)
        return;
    cla_log_line(vm->sched.log, CLA_LOG_WARN,
                 "VM memory: %zu of %zu bytes in use after a collection; cancelling the call that "
                 "allocated most (vm_memory sets the limit)",
                 vm->used, vm->cap);
    cla_scope_cancel(&most->root, CLA_CANCEL_LIMIT, CLA_LIT("the VM's memory is nearly used up"));
}

static int l_mark(lua_State *L)
{
    static char key;

    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    return 0;
}

/* Puts a live object before all others, for a cycle begins to sweep by freeing everything up to the
 * first live one, in a single step. */
static void begin_cycle(struct cla_vm *vm)
{
    if (!lua_checkstack(vm->L, 4))
        return;
    lua_pushcfunction(vm->L, l_mark);
    if (lua_pcall(vm->L, 0, 0, 0) != LUA_OK)
        lua_pop(vm->L, 1); /* no memory: then it is a long step */
}

/* No idle task stays: the few would lie far apart, and each keep the slabs that it lies in. */
static void begin_trimming(struct cla_vm *vm)
{
    cla_sched_trim(&vm->sched, 0);
    vm->trimming = TRIM_CYCLES + 1;
    begin_cycle(vm);
}

/* Runs the cycles of a trimming that are left. */
static void trim_objects(struct cla_vm *vm, uint64_t until_ns)
{
    int multiplier = lua_gc(vm->L, LUA_GCSETSTEPMUL, TRIM_STEP_MULTIPLIER);

    begin_collecting(vm);
    while (vm->trimming > 1 && cla_clock_monotonic_ns() < until_ns) {
        if (lua_gc(vm->L, LUA_GCSTEP, 0) == 0)
            continue;
        vm->trimming--;
        begin_cycle(vm);
    }
    end_collecting(vm);
    lua_gc(vm->L, LUA_GCSETSTEPMUL, multiplier);
}

bool cla_vm_trim(struct cla_vm *vm)
{
    uint64_t until_ns = cla_clock_monotonic_ns() + TRIM_NS;

    if (vm->trimming == 0)
        begin_trimming(vm);
    trim_objects(vm, until_ns);
    while (vm->trimming == 1 && cla_clock_monotonic_ns() < until_ns) {
        if (!cla_blocks_trim(&vm->blocks))
            vm->trimming = 0;
    }
    return vm->trimming > 0;
}

void cla_vm_free(struct cla_vm *vm)
{
    if (vm == NULL)
        return;
    cla_sched_fini(&vm->sched);
    lua_close(vm->L);
    cla_blocks_fini(&vm->blocks);
    cla_mem_free(vm);
}
