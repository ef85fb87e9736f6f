--- What a program of the grammar runs in: contexts, awaits that are watched, and clean-up that is counted. Here are
--- the rules of each single await and of each thing to be closed; those of whole statements are in statements.lua,
--- those of whole programs in programs.lua.
---
--- The rules look at tokens, the clock and the order of events only. Where what has been hidden from an await cannot
--- be known for certain they are silent: in a coroutine of the script that is being closed, and in a task that has
--- raised an old Cancel as an error.
local cancela = require "cancela"
local core = require "cancela.testing.core"

local machine = {}

machine.GRACE = 0.5
local GRACE = machine.GRACE
local STEPS_MAX = 20000

-- The clock is in floating point, of times that were computed in different ways.
local SOON = 1e-6
-- Code that has computed for less is not raised into.
local COMPUTES = 0.004
local ENFORCED_AFTER = 3000 -- 1000, and again after a pause of the machine

--- How late anything may be: others may have computed meanwhile.
function machine.late(p, since)
  return SOON + p.busy - (since or 0)
end
local late = machine.late

---@class random.Context What a statement runs in. Never changed: what is inside gets one of its own.
---@field p random.Program
---@field call? table nil in detached tasks
---@field task table
---@field strand table the coroutine: the task's own, or one of the script
---@field scope table innermost
---@field hide? table what hides outer cancels from awaits: a shield, or clean-up
---@field group? table innermost

--- A context inside this one, with one thing changed.
function machine.inside(ctx, key, value)
  local inner = { p = ctx.p, call = ctx.call, task = ctx.task, strand = ctx.strand, scope = ctx.scope, hide = ctx.hide,
    group = ctx.group }
  inner[key] = value
  return inner
end
local inside = machine.inside

-- --- The trace. ---

function machine.trace(p, text)
  text = ("%8.3f %s"):format(cancela.now() - p.began, text)
  p.trace[#p.trace + 1] = text
  if p.tracing == "live" then
    io.stderr:write(text, "\n")
  end
end

--- Something happened. Also where it is checked that nothing happens in a call that is over.
function machine.note(ctx, what, ...)
  local p = ctx.p
  p.seq = p.seq + 1
  local call = ctx.call
  if call and ctx.strand == ctx.task.strand then
    if call.released then
      machine.blame(ctx, "after its call was released: %s", what)
    elseif p.app.core:in_flight() == 0 then
      machine.blame(ctx, "its slot is free, but the call goes on: %s", what)
    end
  end
  if p.tracing then
    machine.trace(p, ctx.task.name .. ctx.strand.name .. " " .. what:format(...))
  end
end
local note = machine.note

--- A rule is broken. Where clean-up computed beyond its grace it was cut off anywhere, and is known too little of: then
--- only what always holds counts.
function machine.blame(ctx, what, ...)
  local p = ctx.p
  if not ctx.always and (p.enforced or core.left().given_up > p.before.given_up) then
    return
  end
  local text = (ctx.task and ctx.task.name .. ctx.strand.name or "end") .. ": " .. what:format(...)
  p.problems[#p.problems + 1] = ("%.3f %s"):format(cancela.now() - p.began, text)
  if p.tracing then
    machine.trace(p, "!!!!!!!! " .. text)
  end
end
local blame = machine.blame

--- An error that no statement raises is one of the test itself, or of the gateway.
function machine.check_error(ctx, e)
  if type(e) == "string" and not e:find "an error$" and e ~= "too many steps" then
    blame(ctx, "unexpected: %s", e)
  end
end

function machine.step(ctx)
  local p = ctx.p
  p.steps = p.steps + 1
  if p.steps > STEPS_MAX then
    if not p.stopped then
      blame(ctx, "it does not come to an end")
    end
    p.stopped = true
    error("too many steps", 0)
  end
end

-- --- Values that see how a block is left. ---

local Watch = { __close = function(self, e)
  if not self.done then
    self.fn(self, e)
  end
end }

--- `fn(watch, e)` runs if the block of this <close> variable is left by an error, before finish().
function machine.watch(ctx, fn)
  return setmetatable({ ctx = ctx, fn = fn }, Watch)
end

--- Passes results through, and says that there are some.
function machine.finish(watch, ...)
  watch.done = true
  return ...
end
local watch_for, finish = machine.watch, machine.finish

-- --- Scopes. ---

local Model = {}
Model.__index = Model

--- Is it of a coroutine that another call has resumed?
function Model:is_elsewhere()
  local strand = self.strand
  return strand ~= nil and strand.resumer.call ~= self.call
end

--- `parents` are those that it is cancelled with.
function machine.new_scope(kind, token, call, parents)
  local scope = setmetatable({ kind = kind, token = token, call = call, open = true, parents = parents, children = {},
    loose = {}, registrations = {} }, Model)
  for _, parent in ipairs(parents) do
    parent.children[#parent.children + 1] = scope
  end
  return scope
end

local Scope = { __close = function(self, e)
  self.scope.error = e
  machine.end_scope(self.scope)
end }

function machine.end_scope(scope)
  scope.open, scope.closed_at = false, cancela.now()
  scope.was_cancelled = scope.token.cancelled
  for _, loose in ipairs(scope.loose) do
    loose.open = false
    loose.was_cancelled = loose.token.cancelled
  end
end

--- Inside a function that the gateway called in a scope of its own: its context, and a <close> variable for its end.
function machine.enter(ctx, kind)
  local scope = machine.new_scope(kind, cancela.token(), ctx.call, { ctx.scope })
  scope.strand = ctx.strand ~= ctx.task.strand and ctx.strand or nil
  return inside(ctx, "scope", scope), setmetatable({ scope = scope }, Scope)
end

function machine.hide(ctx, kind, until_)
  return inside(ctx, "hide", { kind = kind, until_ = until_, scope = ctx.scope, outer = ctx.hide })
end

-- --- Awaits. ---

--- The context of the task that runs this, behind all coroutines; nil if that is not certain.
function machine.base(ctx)
  while ctx.strand ~= ctx.task.strand do
    if ctx.strand.closing or ctx.strand.suspended then
      return nil
    end
    ctx = ctx.strand.resumer
  end
  return ctx
end

--- The task that has resumed this last can no longer be known for certain.
function machine.weaken(ctx)
  while ctx.strand ~= ctx.task.strand do
    ctx.task.weak = true
    ctx = ctx.strand.resumer
  end
  ctx.task.weak = true
end

--- Until when what is around is hidden at most; nil: it is not.
local function hidden_until(ctx, now)
  local longest
  local hide = ctx.hide
  while hide do
    if hide.kind == "cleanup" then
      return math.huge
    end
    if hide.until_ >= now - late(ctx.p) and (not longest or hide.until_ > longest) then
      longest = hide.until_
    end
    hide = hide.outer
  end
  return longest
end

--- Is something hidden from this context, or perhaps so, in the coroutines that it runs in?
function machine.is_hidden(ctx)
  while ctx do
    local strand = ctx.strand
    if ctx.hide or ctx.task.weak or strand.closing or strand.suspended then
      return true
    end
    ctx = strand ~= ctx.task.strand and strand.resumer
  end
  return false
end

--- Whether an await that begins now must raise.
local function must_raise(ctx, base, token, now)
  local call = base.call
  if call and call.token and call.token.cancelled and not call.ended then
    local at = call.token.reason.at
    if now > at + GRACE + late(ctx.p) then
      return "its grace is over"
    end
    if ctx.strand ~= ctx.task.strand then
      if machine.is_hidden(ctx) then
        return nil
      end
      return base.task.kind ~= "callback" and "its call is cancelled"
    end
  end
  if ctx.strand == ctx.task.strand and token.cancelled and not hidden_until(ctx, now) and not ctx.task.weak then
    return "its scope is cancelled"
  end
end

--- The latest time at which an await that began at `start` may end; nil if it may take as long as it likes.
local function end_by(ctx, base, token, start, now)
  local call, by = base.call, nil
  if call and call.token and call.token.cancelled and not call.ended then
    by = math.max(start, call.token.reason.at + GRACE)
  end
  if ctx.strand == ctx.task.strand and token.cancelled and not ctx.task.apart then
    local at = token.reason.at
    local hidden = hidden_until(ctx, start)
    local own = at + GRACE
    if not hidden and not ctx.task.weak then
      own = at
    elseif hidden and not ctx.task.weak then
      own = math.max(at, math.min(hidden, own))
    end
    own = math.max(start, own)
    by = by and math.min(by, own) or own
  end
  return by and now > by + late(ctx.p) and by
end

--- A Cancel was raised in a task, for the first time or not.
function machine.mark_raised(p, task, e)
  p.raised[e] = p.raised[e] or {}
  p.raised[e][task] = p.raised[e][task] or p.seq
  task.first_raised = task.first_raised or p.seq
  task.last_raised_at = p.seq
end

--- The rules for a Cancel that an await has raised.
local function check_raised(ctx, watch, e, now)
  local p, token = ctx.p, watch.token
  if not watch.base then
    return machine.weaken(ctx)
  end
  local task = watch.base.task
  machine.mark_raised(p, task, e)
  if p.thrown[e] or ctx.task.weak then
    return
  end
  if not token.cancelled then
    return blame(ctx, "%s raised a Cancel (%s), but its token is not cancelled", watch.what, tostring(e))
  end
  local hide = ctx.hide
  if ctx.task.in_callback or ctx.task.apart or ctx.strand ~= ctx.task.strand or not hide
    or hide.scope ~= ctx.scope or hide.weak or task.weak then
    return
  end
  local may = token.reason.at + GRACE
  while hide do -- behind a shield that is over there may be what a pcall has caught
    may = math.min(may, hide.until_ or may)
    hide = hide.outer
  end
  if now < may - SOON then
    blame(ctx, "%s raised %s inside %s, which hides it until %.3f", watch.what, tostring(e), ctx.hide.kind,
      may - p.began)
  end
end

local function check_end(ctx, watch, e)
  local now, base = cancela.now(), watch.base
  local reason = e ~= nil and cancela.is_cancel(e)
  if reason then
    check_raised(ctx, watch, e, now)
  end
  if watch.must and not (reason and ctx.p.seq == watch.seq and now == watch.start) then
    blame(ctx, "%s did not raise at once, though %s", watch.what, watch.must)
  end
  local by = base and not ctx.strand.closing and end_by(ctx, base, watch.token, watch.start, now)
  if by then
    blame(ctx, "%s ended %.3f s late", watch.what, now - by)
  end
  ctx.p.callbacks_first(ctx, watch, reason)
end

local function raised(watch, e)
  local ctx = watch.ctx
  check_end(ctx, watch, e)
  note(ctx, "%s raised %s", watch.what, tostring(e))
end

--- Calls a function that awaits, and checks when and how it comes back.
function machine.await(ctx, what, fn, ...)
  local p = ctx.p
  machine.step(ctx)
  p.awaits = p.awaits + 1
  p.inject(ctx)
  note(ctx, "%s …", what)
  local watch <close> = watch_for(ctx, raised)
  watch.what, watch.start, watch.seq = what, cancela.now(), p.seq
  watch.token, watch.base = cancela.token(), machine.base(ctx)
  watch.must = watch.base and must_raise(ctx, watch.base, watch.token, watch.start)
  local results = table.pack(fn(...))
  check_end(ctx, watch)
  note(ctx, "%s done", what)
  return finish(watch, table.unpack(results, 1, results.n))
end

-- --- Code that computes. ---

local function raised_into(watch, e)
  local ctx = watch.ctx
  core.computed()
  if watch.step >= COMPUTES then
    ctx.p.cuts = ctx.p.cuts + 1
  end
  if not cancela.is_cancel(e) then
    return blame(ctx, "what computes raised %s", tostring(e))
  end
  check_raised(ctx, watch, e, cancela.now())
  local token = watch.token
  local enforced = token.cancelled and cancela.now() > token.reason.at + GRACE - SOON
  if enforced then
    ctx.p.enforced, ctx.task.weak = true, true
  elseif watch.step < COMPUTES and not ctx.p.enforced then
    blame(ctx, "%s was raised into what had computed for %g s only", tostring(e), watch.step)
  end
  note(ctx, "what computes raised %s", tostring(e))
end

--- Computes for so many seconds, without an await. Its slice ends then.
function machine.compute(ctx, seconds)
  local p = ctx.p
  machine.step(ctx)
  p.awaits = p.awaits + 1
  p.inject(ctx)
  note(ctx, "computes")
  local watch <close> = watch_for(ctx, raised_into)
  watch.what, watch.step, watch.token, watch.base = "what computes", seconds, cancela.token(), machine.base(ctx)
  local seq, alone = p.seq, not (ctx.call and ctx.call.preemptible)
  p.busy = p.busy + seconds
  core.computed()
  core.compute(seconds, not alone)
  for _ = 1, ENFORCED_AFTER do -- where grace is over it is raised into a few instructions later
  end
  local base = machine.base(ctx)
  local must = seconds >= COMPUTES and base and must_raise(ctx, base, watch.token, cancela.now())
  core.computed() -- from here on it may be cancelled at the end of a slice without being raised into
  finish(watch)
  if alone and p.seq ~= seq then
    blame(ctx, "others ran while it computed")
  end
  if must then
    blame(ctx, "it computes on, though %s", must)
  end
end

-- --- Clean-up. ---

--- What is to be closed in this context: it must begin its clean-up exactly once, the newest first.
function machine.opened(ctx, what)
  local p, stack = ctx.p, ctx.strand.stack
  p.opened = p.opened + 1
  local item = { what = ("%s %d"):format(what, p.opened), place = #stack + 1, stack = stack }
  stack[item.place] = item
  p.things[p.opened] = item
  note(ctx, "opens %s", item.what)
  return item
end

--- Its clean-up begins.
function machine.closes(ctx, item, e)
  local stack = item.stack
  if ctx.strand.suspended then
    ctx.strand.closing = true
  end
  note(ctx, "closes %s (%s)", item.what, tostring(e))
  if item.closed then
    blame(ctx, "%s is closed twice", item.what)
  elseif stack[#stack] ~= item then
    blame(ctx, "%s is closed before %s", item.what, stack[#stack] and stack[#stack].what or "nothing")
  end
  item.closed = true
  stack[item.place] = nil
end

--- The context of clean-up in a plain <close> variable, which was given `e`.
function machine.in_cleanup(ctx, e)
  local reason = e ~= nil and cancela.is_cancel(e)
  if reason and not ctx.p.thrown[e] then
    return machine.hide(ctx, "cleanup")
  end
  if ctx.task.first_raised or ctx.p.thrown[e] or ctx.strand ~= ctx.task.strand then
    local inner = machine.hide(ctx, "cleanup") -- a Cancel may be unwinding behind that error
    inner.hide.weak = true
    return inner
  end
  return ctx
end

return machine
