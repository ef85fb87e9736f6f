--- What the statements of the grammar do, and the rules of each.
local cancela = require "cancela"
local core = require "cancela.testing.core"
local machine = require "machine"

local inside, note, blame, await, watch, finish = machine.inside, machine.note, machine.blame, machine.await,
  machine.watch, machine.finish
local enter, hide, late = machine.enter, machine.hide, machine.late
local SOON = 1e-6

local statements = {}
local exec = {}

--- Runs a block. Returns true if it was left by 'leave'.
local function run(block, ctx)
  for i = 1, #block do
    machine.step(ctx)
    local node = block[i]
    if exec[node.op](node, ctx) then
      return true
    end
  end
end
statements.run = run

--- Is a value an error that a Cancel of a scope around, which is still open, goes by?
local function is_live(ctx, e)
  return e ~= nil and cancela.is_cancel(e) and not ctx.p.thrown[e] and not ctx.p.stale[e]
end

--- A <close> variable: a Cancel that leaves must be that of something around.
local function passing(ctx, what)
  return watch(ctx, function(_, e)
    if is_live(ctx, e) and ctx.strand == ctx.task.strand and not ctx.scope.token.cancelled and not ctx.task.weak then
      blame(ctx, "%s let %s pass, but nothing around it is cancelled", what, tostring(e))
    end
  end)
end

local function is_main(ctx)
  return ctx.strand == ctx.task.strand
end

-- --- Scopes. ---

function exec.sleep(node, ctx)
  local start, busy = cancela.now(), ctx.p.busy
  await(ctx, "sleep", cancela.sleep, node.t)
  local more = cancela.now() - start - node.t
  if more < -SOON or more > late(ctx.p, busy) then
    blame(ctx, "it slept %.3f s instead of %.3f", cancela.now() - start, node.t)
  end
end

--- Calls what opens a scope and runs the node's body in it.
local function scoped(node, ctx, kind, fn, mark)
  local out <close> = passing(ctx, kind)
  note(ctx, "%s(%g)", kind, node.t)
  return finish(out, fn(node.t, function()
    local inner, ending = enter(ctx, kind)
    local _ <close> = ending
    mark.scope = inner.scope
    if kind == "shield" then
      inner = hide(inner, "shield", cancela.now() + node.t)
    end
    return run(node.body, inner)
  end))
end

function exec.timeout(node, ctx)
  local start, mark = cancela.now(), {}
  local ok, value = scoped(node, ctx, "timeout", cancela.timeout, mark)
  note(ctx, "timeout returns %s", tostring(ok))
  if ok then
    return value
  end
  if value.kind ~= "timeout" or cancela.now() < start + node.t - SOON then
    blame(ctx, "a timeout of %g s ended by %s after %g", node.t, value.kind, cancela.now() - start)
  end
  if mark.scope.error then
    ctx.p.stale[mark.scope.error] = true
  end
end

function exec.fail_after(node, ctx)
  local start, mark = cancela.now(), {}
  local out <close> = watch(ctx, function(_, e)
    if type(e) == "table" and e.code == "deadline_exceeded" and mark.scope and mark.scope.error ~= e then
      ctx.p.stale[mark.scope.error or e] = true
      if cancela.now() < start + node.t - SOON then
        blame(ctx, "fail_after(%g) failed after %g s", node.t, cancela.now() - start)
      end
    end
  end)
  return finish(out, (scoped(node, ctx, "fail_after", cancela.fail_after, mark)))
end

function exec.shield(node, ctx)
  return (scoped(node, ctx, "shield", cancela.shield, {}))
end

-- --- Clean-up. ---

--- A value to be closed. Mark what else is returned as armed behind the <close> variable.
local function closing(ctx, what, fn)
  local item = machine.opened(ctx, what)
  return setmetatable({}, { __close = core.count(function(_, e)
    machine.closes(ctx, item, e)
    fn(e)
  end, item) }), item
end
statements.closing = closing

function exec.defer(node, ctx)
  local item = machine.opened(ctx, "defer")
  local _ <close> = cancela.defer(core.count(function(e)
    machine.closes(ctx, item, e)
    local inner, ending = enter(ctx, "defer")
    local _ <close> = ending
    run(node.handler, hide(inner, "shield", math.huge))
  end, item))
  item.armed = true
  return run(node.body, ctx)
end

function exec.close(node, ctx)
  local _ <close>, item = closing(ctx, "close", function(e)
    run(node.handler, machine.in_cleanup(ctx, e))
  end)
  item.armed = true
  return run(node.body, ctx)
end

-- --- Errors. ---

--- The rules for what a pcall, or what works like one, has caught.
local function caught(ctx, e, entered)
  machine.check_error(ctx, e)
  local p, base = ctx.p, machine.base(ctx)
  local task = base and base.task or ctx.task
  if is_live(ctx, e) then
    local raised = p.raised[e] and p.raised[e][task]
    if raised and raised < entered and not ctx.hide and is_main(ctx) and not task.weak then
      blame(ctx, "a pcall that was entered after %s was raised caught it", tostring(e))
    end
    p.kept = e
  end
end

--- A Cancel leaves through a pcall.
local function passes(self, e)
  local ctx = self.ctx
  local task = ctx.task
  note(ctx, "a pcall lets %s pass", tostring(e))
  if not is_live(ctx, e) or not is_main(ctx) then
    return
  end
  if not ctx.hide and not task.weak and not (task.first_raised and task.first_raised < self.entered) then
    blame(ctx, "a pcall that was entered before a Cancel was raised let %s pass", tostring(e))
  end
end

local function protected(node, ctx)
  local pass <close> = watch(ctx, passes)
  pass.entered = ctx.p.seq
  note(ctx, "%s", node.how or "pcall")
  if node.how == "xpcall" then
    return finish(pass, xpcall(run, function(e)
      if is_live(ctx, e) and is_main(ctx) and ctx.scope.token.cancelled and not ctx.p.throwing then
        blame(ctx, "the handler of xpcall was shown %s", tostring(e))
      end
      return e
    end, node.body, ctx))
  end
  return finish(pass, pcall(run, node.body, ctx))
end

function exec.pcall(node, ctx)
  local entered = ctx.p.seq
  local ok, e = protected(node, ctx)
  note(ctx, "pcall returns %s, %s", tostring(ok), tostring(e))
  if ok then
    return e
  end
  caught(ctx, e, entered)
  if node.on == "swallow" then
    return
  end
  run(node.handler, ctx)
  if node.on == "assert" then
    assert(false, e)
  end
  error(e, 0)
end

--- Goes on for ever as long as a Cancel is all that stops it: but that must.
function exec.retry(node, ctx)
  local errors, cancels = 0, {}
  for _ = 1, 1000 do
    local entered = ctx.p.seq
    local ok, e = protected(node, ctx)
    note(ctx, "retry: %s, %s", tostring(ok), tostring(e))
    if ok then
      return e
    end
    caught(ctx, e, entered)
    if is_live(ctx, e) and ctx.scope.token.cancelled then
      cancels[e] = (cancels[e] or 0) + 1
      if cancels[e] > (ctx.hide and 2 or 1) and not ctx.task.weak and is_main(ctx) then
        blame(ctx, "a retry loop caught %s %d times", tostring(e), cancels[e])
      end
    else
      errors = errors + 1
    end
    if errors > 2 or ctx.p.stopped then
      return
    end
  end
  if not ctx.task.weak then
    blame(ctx, "a retry loop does not end")
  end
end

function exec.error(node, ctx)
  note(ctx, "error(%s)", node.what)
  if node.what == "table" then
    error { "an error" }
  elseif node.what == "typed" then
    cancela.error { code = "not_found", message = "thrown" }
  elseif node.what == "saved" and ctx.p.kept then
    ctx.p.thrown[ctx.p.kept] = true
    ctx.task.weak = true
    error(ctx.p.kept, 0)
  end
  error "an error"
end

-- --- Subtasks. ---

--- What a task runs. `gctx` is what it is in; it has a strand of its own.
local function task_body(gctx, block, kind)
  local p = gctx.p
  p.tasks = p.tasks + 1
  local task = { name = kind .. p.tasks, kind = kind, strand = { name = "", stack = {} } }
  return task, function()
    task.begun = true
    -- The grace of a coroutine's scope may begin when it is resumed.
    task.apart = gctx.task and (gctx.task.apart or not is_main(gctx))
    task.in_callback = kind == "callback" or (gctx.task and gctx.task.in_callback)
    task.weak = gctx.task and (gctx.task.weak or gctx.strand ~= gctx.task.strand and machine.is_hidden(gctx))
    local ctx = inside(gctx, "task", task)
    ctx.strand, ctx.group = task.strand, nil
    if gctx.task and not is_main(gctx) then
      local base = machine.base(gctx) -- another call may have resumed the coroutine
      ctx.call = base and base.call
    end
    ctx.scope = machine.new_scope(kind, cancela.token(), ctx.call, kind ~= "detached" and { gctx.scope } or {})
    note(ctx, "begins")
    local _ <close> = setmetatable({}, { __close = function(_, e)
      note(ctx, "ends (%s)", tostring(e))
      machine.check_error(ctx, e)
      machine.end_scope(ctx.scope)
      task.ended, task.error, task.scope = cancela.now(), e, ctx.scope
    end })
    run(block, ctx)
    return task.name
  end
end
statements.task_body = task_body

--- Marks a Cancel that is raised by what is no plain await, also if a subtask has thrown the same before.
local function marking(ctx)
  return watch(ctx, function(_, e)
    local base = machine.base(ctx)
    if base and (is_live(ctx, e) or ctx.p.thrown[e] and ctx.scope.token.cancelled) then
      machine.mark_raised(ctx.p, base.task, e)
    end
  end)
end

local function spawn(ctx, block)
  local group = ctx.group
  local task, fn = task_body(group.ctx, block, "sub")
  local refuses = group.ctx.scope.token.cancelled and not group.ctx.hide and is_main(group.ctx)
    and not group.ctx.task.weak
  local mark <close> = marking(ctx)
  -- In a shield each spawn raises the Cancel of the group again, until grace ends.
  ctx.task.weak = ctx.task.weak or ctx.hide and group.ctx.scope.token.cancelled
  local handle = finish(mark, group.g:spawn(fn))
  note(ctx, "spawns %s", task.name)
  if refuses then
    blame(ctx, "a cancelled group spawned %s", task.name)
  end
  task.handle = handle
  group.tasks[#group.tasks + 1] = task
  ctx.p.cancellers[#ctx.p.cancellers + 1] = function() return handle:cancel "by the program" end
  return task
end

--- However a group is left, its subtasks are over.
local function all_over(ctx, tasks, what)
  for _, task in ipairs(tasks) do
    if task.begun and not task.ended then
      blame(ctx, "%s is over, but %s goes on", what, task.name)
    end
  end
end

--- What goes on after `decided` must have been cancelled.
local function check_losers(ctx, tasks, decided, what)
  for _, task in ipairs(tasks) do
    if task.ended and task.ended > decided + late(ctx.p) and not task.scope.token.cancelled then
      blame(ctx, "%s was not cancelled by the end of its %s", task.name, what)
    end
  end
end

--- The first error of a group ends the others.
local function check_failed(ctx, tasks, what)
  local first
  for _, task in ipairs(tasks) do
    if task.ended and task.error ~= nil and not cancela.is_cancel(task.error) and (not first or task.ended < first) then
      first = task.ended
    end
  end
  if first then
    check_losers(ctx, tasks, first, what)
  end
end

--- Calls group, all or race, whose subtasks go into `group.tasks`.
local function grouped(ctx, group, what, fn, ...)
  local out <close> = watch(ctx, function(_, e)
    note(ctx, "%s raises %s", what, tostring(e))
    all_over(ctx, group.tasks, what)
    if what ~= "race" then
      check_failed(ctx, group.tasks, what)
    end
    if is_live(ctx, e) and is_main(ctx) and not ctx.scope.token.cancelled and not ctx.task.weak then
      blame(ctx, "%s let %s pass, but nothing around it is cancelled", what, tostring(e))
    end
  end)
  note(ctx, "%s", what)
  local mark <close> = marking(ctx)
  local results = table.pack(finish(mark, fn(...)))
  note(ctx, "%s returns", what)
  all_over(ctx, group.tasks, what)
  return finish(out, table.unpack(results, 1, results.n))
end

function exec.group(node, ctx)
  local group = { tasks = {} }
  return (grouped(ctx, group, "group", cancela.group, function(g)
    local inner, ending = enter(ctx, "group")
    local _ <close> = ending
    local _ <close> = watch(ctx, function(_, e)
      if is_live(ctx, e) and not ctx.scope.token.cancelled then
        ctx.p.stale[e] = true
      end
    end)
    group.g, group.ctx = g, inner
    inner.group = group
    for _, block in ipairs(node.tasks) do
      spawn(inner, block)
    end
    return run(node.body, inner)
  end))
end

function exec.spawn(node, ctx)
  if ctx.group then
    spawn(ctx, node.body)
  end
end

--- The error of a subtask: an ordinary one, also if it was cancelled.
local function check_awaited(ctx, task, e)
  if type(e) == "table" and e.kind == "cancelled" then
    if not (e.reason and e.code == "canceled") then
      blame(ctx, "the error of a cancelled subtask has no reason, or code %s", tostring(e.code))
    end
  elseif is_live(ctx, e) and is_main(ctx) and not ctx.scope.token.cancelled then
    blame(ctx, "awaiting %s raised its Cancel", task.name)
  end
end

function exec.await(node, ctx)
  local tasks = ctx.group and ctx.group.tasks or {}
  local task = tasks[node.which % math.max(#tasks, 1) + 1]
  if not task or task == ctx.task then
    return
  end
  local out <close> = watch(ctx, function(_, e) check_awaited(ctx, task, e) end)
  local result = finish(out, await(ctx, "await " .. task.name, task.handle.await, task.handle))
  if not task.ended or result ~= task.name then
    blame(ctx, "awaiting %s gave %s", task.name, tostring(result))
  end
end

local function beside(node, ctx, what)
  local group = { tasks = {} }
  local fns = {}
  local gctx = inside(ctx, "scope", machine.new_scope(what, ctx.scope.token, ctx.call, { ctx.scope }))
  for i, block in ipairs(node.tasks) do
    group.tasks[i], fns[i] = task_body(gctx, block, what)
  end
  local results = table.pack(grouped(ctx, group, what, cancela[what], table.unpack(fns)))
  machine.end_scope(gctx.scope)
  return group.tasks, results
end

function exec.all(node, ctx)
  machine.step(ctx)
  local tasks, results = beside(node, ctx, "all")
  for i, task in ipairs(tasks) do
    if results[i] ~= task.name then
      blame(ctx, "all: result %d is %s, not %s", i, tostring(results[i]), task.name)
    end
  end
end

function exec.race(node, ctx)
  machine.step(ctx)
  local tasks, results = beside(node, ctx, "race")
  local winner = tasks[results[1]]
  if not winner or not winner.ended or results[2] ~= winner.name then
    return blame(ctx, "race: %s, %s", tostring(results[1]), tostring(results[2]))
  end
  check_losers(ctx, tasks, winner.ended, "race")
end

function exec.detach(node, ctx)
  local p = ctx.p
  local base = { p = p }
  local task, fn = task_body(base, node.body, "detached")
  base.task, base.strand = task, task.strand
  note(ctx, "detaches %s", task.name)
  p.detached[#p.detached + 1] = cancela.detach(fn, { timeout = node.t })
end

-- --- The call and its tokens. ---

function exec.abort(_, ctx)
  if not ctx.call or not ctx.call.token then
    return
  end
  local before = ctx.call.token.cancelled
  local did = ctx.call.object:abort "enough"
  note(ctx, "abort: %s", tostring(did))
  ctx.call.aborted = true
  if did ~= not (before or ctx.call.ended) then
    blame(ctx, "abort returned %s", tostring(did))
  end
  if not ctx.call.ended and not ctx.call.token.cancelled then
    blame(ctx, "a call that was aborted is not cancelled")
  end
end

-- --- Coroutines of the script. ---

local function resumable(strand, ctx)
  return coroutine.status(strand.co) == "suspended" and strand.resumer_p == ctx.p
end

--- Resumes it once, from this context. Returns false if it is over.
local function resume(strand, ctx, how, on)
  if not resumable(strand, ctx) then
    return false
  end
  strand.resumer = ctx
  note(ctx, "resumes %s", strand.name)
  if how == "wrap" then
    strand.step()
  else
    local entered = ctx.p.seq
    local ok, e = coroutine.resume(strand.co)
    note(ctx, "%s gives %s, %s", strand.name, tostring(ok), tostring(e))
    if not ok then
      if cancela.is_cancel(e) then
        ctx.task.weak = ctx.task.weak or not is_live(ctx, e)
      else
        caught(ctx, e, entered)
      end
      if on == "again" then
        error(e, 0)
      end
    end
  end
  return true
end

--- The outermost scope of the call, or of what runs without one.
local function root_of(ctx)
  local root = ctx.scope
  while root.parents[1] and root.call == root.parents[1].call and not root.of_test do
    root = root.parents[1]
  end
  return root
end

--- Would a coroutine that was made here belong to the task of the test itself?
local function is_of_test(ctx)
  local root = root_of(ctx)
  return root.kind == "outside" or root.of_test
end
statements.is_of_test = is_of_test

function exec.generator(node, ctx)
  local p = ctx.p
  if is_of_test(ctx) then
    return
  end
  p.strands = p.strands + 1
  local strand = { name = "/" .. p.strands, stack = {}, resumer = ctx, resumer_p = p }
  local inner = inside(ctx, "strand", strand)
  inner.hide, inner.group, inner.scope, inner.generator = nil, nil, root_of(ctx), true
  local function body()
    run(node.body, inner)
  end
  if node.how == "wrap" then
    strand.step = coroutine.wrap(function()
      strand.co = coroutine.running()
      coroutine.yield()
      body()
    end)
    strand.step()
  else
    strand.co = coroutine.create(body)
  end
  p.generators[#p.generators + 1] = strand
  for _ = 1, node.steps do
    if not resume(strand, ctx, node.how, node.on) then
      break
    end
    if node.each and run(node.each, ctx) then
      return true
    end
  end
  if node.close and resumable(strand, ctx) then
    note(ctx, "closes %s", strand.name)
    strand.closing = true
    local entered = p.seq
    local ok, e = coroutine.close(strand.co)
    if not ok then
      caught(ctx, e, entered)
    end
  end
end

function exec.resume(node, ctx)
  local list = ctx.p.generators
  local strand = list[node.which % math.max(#list, 1) + 1]
  if strand and not strand.step and not is_of_test(ctx) then
    resume(strand, ctx, "resume", "again")
  end
end

function exec.yield(_, ctx)
  local strand = ctx.strand
  if is_main(ctx) or strand.closing or ctx.group then
    return
  end
  note(ctx, "yields")
  local base = machine.base(ctx)
  if base and ctx.hide and base.task.first_raised then
    base.task.weak = true -- clean-up that yields: its Cancel unwinds on, for its consumer too
  end
  strand.suspended = true
  coroutine.yield()
  strand.suspended = false
  note(ctx, "goes on")
end

function exec.throw(node, ctx)
  local scope = statements.token_of(node, ctx)
  local token = scope.token
  local cancelled = token.cancelled
  local out <close> = watch(ctx, function(_, e)
    if not cancelled or not cancela.is_cancel(e) then
      blame(ctx, "throw_if_cancelled raised %s", tostring(e))
    end
    ctx.p.thrown[e], ctx.p.throwing = true, nil
    ctx.task.weak = true
  end)
  ctx.p.throwing = true
  local same = token:throw_if_cancelled()
  ctx.p.throwing = nil
  finish(out)
  if cancelled or same ~= token then
    blame(ctx, "throw_if_cancelled returned, though it is cancelled: %s", tostring(cancelled))
  end
end

statements.exec, statements.is_live = exec, is_live

return statements
