--- Runs one program, and checks the rules for all of it: how each call is settled, when it is over, and that nothing
--- is left, lost or doubled.
local cancela = require "cancela"
local core = require "cancela.testing.core"
local testing = require "cancela.testing"
local machine = require "machine"
local statements = require "statements"
local things = require "things"

local blame = machine.blame
local GRACE, SOON = machine.GRACE, 1e-6

local programs = {}

local CODES = { reset = "canceled", disconnect = "canceled", timeout = "deadline_exceeded", shutdown = "unavailable",
  reload = "unavailable", killed = "aborted", user = "aborted", limit = "resource_exhausted",
  slow_consumer = "resource_exhausted" }

-- What does not settle a manual call before it ends.
local WAITS = { timeout = true, shutdown = true, reload = true }

---@class random.Program A program that runs.

local function new(program, tracing)
  local p = { program = program, tracing = tracing, trace = {}, problems = {}, seq = 0, steps = 0, awaits = 0,
    tasks = 0, opened = 0, items = 0, registered = 0, strands = 0, ticks = 0, held = 0, period = 0.02,
    permits = program.permits, raised = {}, thrown = {}, stale = {}, cancellers = {}, loose = {},
    generators = {}, detached = {}, things = {}, busy = 0, calls = {}, channels = {}, by_count = {} }
  local token, stop = cancela.token():child()
  p.outside = machine.new_scope("outside", token, nil, {})
  p.stop, p.token = stop, token
  p.cancellers[1] = stop
  for i, capacity in ipairs { 0, 1, 3 } do
    p.channels[i] = { object = cancela.channel(capacity), offered = {}, last = {} }
  end
  p.semaphore, p.mutex = cancela.semaphore(p.permits), cancela.mutex()
  p.began, p.ticking = cancela.now(), cancela.now()
  p.interval = cancela.interval(p.period)
  p.callbacks_first = things.callbacks_first
  for _, c in ipairs(program.cancels) do
    if c.await then
      p.by_count[c.await] = c
    end
  end
  return p
end

-- --- Cancels from outside. ---

--- The first cancel decides, and what comes later changes nothing.
local function cancel_call(p, c)
  local call = p.calls[c.call]
  if not call or not call.object then
    return
  end
  local token, before = call.token, call.token.reason
  local settled = call.ended or before ~= nil
  local late = cancela.now() >= token.deadline
  core.cancel(call.object, c.kind, "from outside")
  call.aborted = call.aborted or not WAITS[c.kind]
  local after = token.reason
  if settled then
    if (before and before.kind) ~= (after and after.kind) or (before and before.at) ~= (after and after.at) then
      blame({ p = p }, "the reason of a settled call became %s", after and after.kind)
    end
  elseif not after or after.kind ~= (late and "timeout" or c.kind) then
    blame({ p = p }, "a cancel with %s made the reason %s", c.kind, after and after.kind)
  end
end

local function inject(p, c)
  p.seq = p.seq + 1
  if p.tracing then
    machine.trace(p, ("cancel %s %s"):format(c.what, c.kind))
  end
  if c.what == "call" then
    cancel_call(p, c)
  elseif c.what == "outside" then
    p.stop "from outside"
  elseif #p.cancellers > 0 then
    p.cancellers[c.which % #p.cancellers + 1]()
  end
end

local function inject_at_times(p)
  local list = {}
  for i, c in ipairs(p.program.cancels) do
    if c.at then
      list[#list + 1] = { c = c, i = i }
    end
  end
  table.sort(list, function(a, b)
    return a.c.at ~= b.c.at and a.c.at < b.c.at or a.c.at == b.c.at and a.i < b.i
  end)
  for _, entry in ipairs(list) do
    cancela.sleep(math.max(0, p.began + entry.c.at - cancela.now()))
    inject(p, entry.c)
  end
end

-- --- Calls. ---

local function body_of(p, i, node)
  return function(_, object)
    local call = { object = object, token = object.token, deadline = object.token.deadline, manual = node.manual,
      may_be_reset = node.cancel_after, preemptible = node.preemptible }
    -- What a Cancel that is left to the script hides is hard to tell.
    local task = { name = "call" .. i, kind = "call", strand = { name = "", stack = {} }, weak = node.manual }
    call.scope = machine.new_scope("call", call.token, call, {})
    p.calls[i] = call
    local ctx = { p = p, call = call, task = task, strand = task.strand, scope = call.scope }
    machine.note(ctx, "begins")
    local _ <close> = setmetatable({}, { __close = function(_, e)
      machine.note(ctx, "ends (%s)", tostring(e))
      machine.check_error(ctx, e)
      machine.end_scope(call.scope)
      call.reason = call.token.reason -- first: where it is given up this may be cut off
      call.ended, call.error, call.ended_cancelled = cancela.now(), e, call.token.cancelled
    end })
    statements.run(node.body, ctx)
    return 1000 + i
  end
end

--- What awaiting a cancelled subtask raises: an error like any other.
local function is_subtask_error(e)
  return type(e) == "table" and e.kind == "cancelled"
end

--- The outcome of a call that decided it itself.
local function check_own(ctx, call, i, result, err)
  if call.error == nil then
    if result ~= 1000 + i then
      blame(ctx, "call %d completed, but its outcome is %s", i, err and err.code or tostring(result))
    end
  elseif not err or (err.code == "canceled" and not is_subtask_error(call.error)) then
    blame(ctx, "call %d failed (%s), but its outcome is %s", i, tostring(call.error), err and err.code or "a result")
  end
end

--- Is it for the call to decide what its Cancel makes of it?
local function is_lenient(call)
  return call.ended_cancelled and call.manual and WAITS[call.reason.kind]
end

--- Was the Cancel of a manual call left to the script until its end?
local function is_left_to(p, call)
  return is_lenient(call) and not call.aborted and not call.may_be_reset and p.busy == 0
    and call.ended < call.reason.at + GRACE - SOON
end

--- One reply, of what happened first.
local function check_reply(p, call, i, result, err)
  local ctx = { p = p }
  if not call then
    if not err then
      blame(ctx, "call %d returned %s, but its body never began", i, tostring(result))
    end
    return
  end
  if not call.ended then
    return blame(ctx, "call %d is over, but its body goes on", i)
  end
  if call.ended_cancelled and not call.reason then
    return blame(ctx, "call %d was cancelled for no reason", i)
  end
  if call.ended_cancelled and call.reason.at >= call.deadline and call.reason.kind ~= "timeout" then
    blame(ctx, "call %d was cancelled (%s) at its deadline", i, call.reason.kind)
  end
  if is_lenient(call) and not (err and err.code == CODES[call.reason.kind]) then
    return check_own(ctx, call, i, result, err)
  end
  if call.ended_cancelled then
    if is_left_to(p, call) and call.error == nil then
      blame(ctx, "call %d, which is manual, returned within the grace, but its outcome is %s", i, err and err.code)
    end
    if not err or err.code ~= CODES[call.reason.kind] then
      blame(ctx, "call %d was cancelled (%s), but its outcome is %s", i, call.reason.kind,
        err and err.code or "a result")
    end
  else
    check_own(ctx, call, i, result, err)
  end
end

local function check_time(p, call, i)
  local by = (call.ended_cancelled and call.reason.at or call.ended) + GRACE
  if cancela.now() > by + machine.late(p) then
    blame({ p = p }, "call %d held its slot %.3f s longer than the grace allows", i, cancela.now() - by)
  end
end

local function run_call(p, i, node)
  cancela.sleep(node.start)
  local name = (node.manual and "manual" or "p") .. i
  local result, err = p.app:call(name, nil, { timeout = node.timeout, cancel_after = node.cancel_after })
  local call = p.calls[i]
  check_reply(p, call, i, result, err)
  if call then
    call.released = true
  end
  if call and call.ended then
    check_time(p, call, i)
  end
end

-- --- The end. ---

local function check_channel(ctx, channel)
  channel.shut = true
  channel.object:close()
  local number = channel.object:recv()
  while number do
    local item = channel.offered[number]
    if not item or item.received then
      blame(ctx, "item %s was in the channel and had been received", tostring(number))
    else
      item.received = true
    end
    number = channel.object:recv()
  end
  for _, item in pairs(channel.offered) do
    if (item.state == "sent") ~= (item.received == true) then
      blame(ctx, "item %d was %s, but %s", item.number, item.state, item.received and "received" or "is gone")
    end
  end
end

local function check_free(ctx, what, op, back)
  if cancela.select { op, cancela.sleep_op(0) } ~= 1 then
    return blame(ctx, "a %s is gone", what)
  end
  return back
end

local function check_things(p)
  local ctx = { p = p }
  for _, channel in ipairs(p.channels) do
    check_channel(ctx, channel)
  end
  for _ = 1, p.permits do
    check_free(ctx, "permit", p.semaphore:acquire_op())
  end
  check_free(ctx, "mutex", p.mutex:lock_op())
  p.ticks = p.ticks + p.interval:tick()
  local due = (cancela.now() - p.ticking) / p.period
  if p.ticks < math.floor(due - SOON) or p.ticks > math.floor(due + SOON) then
    blame(ctx, "%d ticks in %.3f periods", p.ticks, due)
  end
end

local function check_registrations(ctx, scope, seen)
  if seen[scope] then
    return
  end
  seen[scope] = true
  for _, registration in ipairs(ctx.p.given_up and {} or scope.registrations) do
    if registration.ran == 0 and not registration.removed and not registration.late and scope.was_cancelled then
      blame(ctx, "callback %d of %s never ran", registration.number, scope.kind)
    end
  end
  for _, child in ipairs(scope.children) do
    check_registrations(ctx, child, seen)
  end
end

local function check_left(p, before)
  local ctx = { p = p, always = true }
  for _, item in ipairs(p.things) do
    if item.entered ~= 1 and (item.entered or item.armed and not p.given_up) then
      blame(ctx, "clean-up of %s was entered %d times", item.what, item.entered or 0)
    elseif not item.closed and not p.enforced and not p.given_up then
      blame(ctx, "%s was never closed", item.what)
    end
  end
  local inside = core.inside(p.token)
  if inside > 0 then
    blame(ctx, "%d nodes are left in a token that outlives the calls", inside)
  end
  local after = core.left()
  for what, n in pairs(before) do
    if after[what] ~= n and not (what == "given_up" and p.busy > 0) then
      blame(ctx, "%d %s are left, %d were there", after[what], what, n)
    end
  end
  if p.app.core:in_flight() ~= 0 then
    blame(ctx, "%d slots are not free", p.app.core:in_flight())
  end
  local seen = {}
  for _, call in pairs(p.calls) do
    check_registrations(ctx, call.scope, seen)
  end
end

local current -- the one that runs

-- One app for all: what is left of others would be counted.
local bodies = {
  p1 = function(...) return current.bodies[1](...) end,
  p2 = function(...) return current.bodies[2](...) end,
}
local app = testing.app {
  p1 = bodies.p1,
  p2 = bodies.p2,
  manual1 = cancela.procedure { cancel = "manual", run = bodies.p1 },
  manual2 = cancela.procedure { cancel = "manual", run = bodies.p2 },
}

--- Runs it. What is returned has `problems`, and `trace` if there was tracing; `paused` if a Cancel was raised where no
--- statement computed: the machine took its time from it, in the middle of what watches it.
function programs.run(program, tracing)
  local p = new(program, tracing)
  current, p.app, p.bodies = p, app, {}
  for i, node in ipairs(program.calls) do
    p.bodies[i] = body_of(p, i, node)
  end
  p.inject = function()
    local c = p.by_count[p.awaits]
    if c then
      inject(p, c)
    end
  end
  p.before, p.cuts = core.left(), 0
  local cuts = cancela.stats().cuts
  local before = p.before
  local held = core.inside(p.token)
  cancela.group(function(g)
    local injector = g:spawn(inject_at_times, p)
    local calls = {}
    for i, node in ipairs(program.calls) do
      calls[i] = g:spawn(run_call, p, i, node)
    end
    for _, call in ipairs(calls) do
      call:await()
    end
    injector:cancel()
  end)
  for _, handle in ipairs(p.detached) do
    pcall(handle.await, handle)
  end
  while testing.tasks() + 1 > before.tasks and not p.gave_up do
    local last = cancela.now()
    cancela.sleep(GRACE)
    p.gave_up = last > p.began + 100
  end
  p.given_up = core.left().given_up > before.given_up
  p.paused = cancela.stats().cuts - cuts > p.cuts
  check_things(p)
  check_left(p, before, held)
  return p
end

return programs
