--- The statements that have to do with tokens, functions registered on them, and what tasks share.
local cancela = require "cancela"
local machine = require "machine"
local statements = require "statements"

local note, blame, await, watch, finish = machine.note, machine.blame, machine.await, machine.watch, machine.finish
local exec, run, closing = statements.exec, statements.run, statements.closing

local things = {}

function exec.leave(_, ctx)
  note(ctx, "leave")
  return true
end

function exec.collect(node, ctx)
  if not node.skip then
    note(ctx, "collect")
    collectgarbage()
  end
end

function exec.checkpoint(_, ctx)
  await(ctx, "checkpoint", cancela.checkpoint)
end

function exec.cancel(node, ctx)
  local list = ctx.p.cancellers
  if #list > 0 then
    note(ctx, "cancel %d: %s", node.which % #list + 1, tostring(list[node.which % #list + 1]()))
  end
end

-- --- Code that computes. ---

-- In the steps of a loop without an end: hold_limit, the grace of that, and what is enforced end it before.
local COMPUTE_MAX = 2

--- Computes for ever, if it has no number of steps.
local function compute(node, ctx)
  local done = 0
  for _ = 1, node.steps or 1 << 30 do
    machine.compute(ctx, node.t)
    done = done + node.t
    if done > COMPUTE_MAX then
      return blame(ctx, "it computes for more than %g s", COMPUTE_MAX)
    end
  end
end

function exec.compute(node, ctx)
  if not node.steps and statements.is_of_test(ctx) then
    return -- specs may compute for as long as they like
  end
  if node.on ~= "sort" then
    return compute(node, ctx)
  end
  local once = false
  table.sort({ 2, 1 }, function(a, b)
    if not once then
      once = true
      compute(node, ctx)
    end
    return a < b
  end)
end

-- --- Tokens. ---

--- The scope of the model whose token a statement means.
local function scope_of(kind, which, ctx)
  local p = ctx.p
  if kind == "call" and ctx.call and ctx.call.scope then
    return ctx.call.scope
  elseif kind == "loose" and #p.loose > 0 then
    return p.loose[which % #p.loose + 1]
  elseif kind == "outside" then
    return p.outside
  end
  return ctx.scope
end

function statements.token_of(node, ctx)
  return scope_of(node.of, node.which, ctx)
end

--- A token that the script made is in the model from now on, unless it is hard to tell whose it is: in a coroutine
--- that another call has resumed.
local function made(node, ctx, token, parents)
  local base = machine.base(ctx)
  if node.lost or not base or base.call ~= ctx.call then
    return
  end
  local open = {}
  for _, parent in ipairs(parents) do
    if parent.open then
      open[#open + 1] = parent
    end
    if parent.token.cancelled and not token.cancelled then
      blame(ctx, "a token under one that is cancelled was not born cancelled")
    end
  end
  local scope = machine.new_scope("loose", token, ctx.call, open)
  scope.task, scope.of_test = ctx.task, statements.is_of_test(ctx)
  table.insert(ctx.scope.loose, scope)
  table.insert(ctx.p.loose, scope)
  return scope
end

function exec.child(node, ctx)
  local parent = statements.token_of(node, ctx)
  local token, cancel = parent.token:child { timeout = node.t }
  note(ctx, "child of %s", parent.kind)
  made(node, ctx, token, { parent })
  table.insert(ctx.p.cancellers, function() return cancel "by the program" end)
  return run(node.body, ctx)
end

function exec.linked(node, ctx)
  local one, other = statements.token_of(node, ctx), scope_of(node.with, node.which, ctx)
  local scope = made(node, ctx, cancela.linked_token(one.token, other.token), { one, other })
  note(ctx, "linked to %s and %s", one.kind, other.kind)
  if scope then
    scope.linked = true
  end
  return run(node.body, ctx)
end

function exec.wait(node, ctx)
  local scope = statements.token_of(node, ctx)
  local reason = await(ctx, "wait for " .. scope.kind, scope.token.wait, scope.token)
  if reason and not scope.token.cancelled then
    blame(ctx, "wait gave %s, but its token is not cancelled", reason.kind)
  end
end

-- --- on_cancel. ---

--- All that is inside a cancelled token must be, too.
local function check_marked(ctx, scope, seen)
  for _, child in ipairs(scope.children) do
    if child.open and not seen[child] and not child:is_elsewhere() then
      seen[child] = true
      if not child.token.cancelled then
        blame(ctx, "a callback of %s runs, but the %s inside it is not cancelled", scope.kind, child.kind)
      end
      check_marked(ctx, child, seen)
    end
  end
end

local function is_due(registration)
  return registration.ran == 0 and not registration.removed and not registration.late and registration.scope.open
end

--- Those of the same token that are newer have begun, and those of tokens inside it.
local function check_order(ctx, registration)
  local scope = registration.scope
  for _, other in ipairs(scope.registrations) do
    if other.number > registration.number and is_due(other) and not registration.late then
      blame(ctx, "callback %d runs before %d, which is newer", registration.number, other.number)
    end
  end
  local function below(inner)
    for _, child in ipairs(inner.children) do
      if child.open and not child.linked and not child.strand then
        for _, other in ipairs(child.registrations) do
          if is_due(other) then
            blame(ctx, "callback %d of %s runs before %d of the %s inside it", registration.number, inner.kind,
              other.number, child.kind)
          end
        end
        below(child)
      end
    end
  end
  if not registration.late then
    below(scope)
  end
end

local function callback(ctx, registration, reason, token)
  local scope = registration.scope
  registration.ran = registration.ran + 1
  note(ctx, "callback %d of %s begins", registration.number, scope.kind)
  if registration.ran > 1 or registration.removed then
    blame(ctx, "callback %d runs again, or after it was removed", registration.number)
  end
  if token ~= scope.token or not token.cancelled or token.reason.kind ~= reason.kind then
    blame(ctx, "callback %d was given another token or reason: %s", registration.number, reason.kind)
  end
  if scope.call and not scope.strand and scope.call.ended and not scope.call.ended_cancelled
    and not registration.late and reason.at > scope.call.ended then
    blame(ctx, "callback %d runs, though its call completed", registration.number)
  end
  if registration.home and not registration.home.open and reason.at > registration.home.closed_at then
    blame(ctx, "callback %d runs, though the scope it was registered in is over", registration.number)
  end
  if not scope.open and scope.kind ~= "loose" and scope.kind ~= "group" and not registration.late
    and reason.at > scope.closed_at then
    blame(ctx, "callback %d runs, though its %s is over", registration.number, scope.kind)
  end
  check_marked(ctx, scope, {})
  check_order(ctx, registration)
end

--- Whatever was interrupted while it waited wakes after the callbacks have begun. Who had just been given a permit did
--- not wait any more.
function things.callbacks_first(ctx, await_watch, reason)
  local scope = ctx.scope
  local granted = await_watch.what:find "lock" or await_watch.what:find "acquire"
  if not reason or granted or ctx.strand ~= ctx.task.strand or not scope.token.cancelled
    or await_watch.start >= scope.token.reason.at or ctx.hide then
    return
  end
  for _, registration in ipairs(scope.registrations) do
    if is_due(registration) then
      blame(ctx, "it was woken before callback %d", registration.number)
    end
  end
end

--- Whether a token is of another call than the one that registers, or of another of its tasks.
local function is_foreign(ctx, scope)
  local base = machine.base(ctx)
  if scope == ctx.p.outside or scope.call ~= ctx.call or not base or base.call ~= scope.call then
    return true
  end
  return scope.kind == "loose" and scope.task ~= ctx.task
end

local function on_cancel(node, ctx, registration)
  local scope, task, body = registration.scope, nil, nil
  -- A coroutine's scope may be with another call by then.
  local base = { p = ctx.p, call = not scope.strand and scope.call or nil, scope = scope,
    hide = { kind = "cleanup", weak = true } }
  return scope.token:on_cancel(function(reason, token)
    task, body = statements.task_body(base, { { op = "begin_callback", fn = function(inner)
      callback(inner, registration, reason, token)
    end }, table.unpack(node.handler) }, "callback")
    base.task, base.strand = task, task.strand
    body()
  end)
end

local function register(node, ctx)
  local p, scope = ctx.p, statements.token_of(node, ctx)
  p.registered = p.registered + 1
  local registration = { number = p.registered, ran = 0, scope = scope }
  registration.late = scope.token.cancelled or is_foreign(ctx, scope) or (scope.call and scope.call.ended)
  if (scope.call ~= ctx.call or scope == p.outside) and ctx.scope.kind ~= "group" then -- which is not over yet
    registration.home = ctx.strand == ctx.task.strand and ctx.scope or nil
  end
  table.insert(scope.registrations, registration)
  local object = on_cancel(node, ctx, registration)
  note(ctx, "callback %d of %s", registration.number, scope.kind)
  return registration, object
end

function exec.begin_callback(node, ctx)
  node.fn(ctx)
end

local function remove(ctx, registration, object)
  local gone = object:remove()
  note(ctx, "remove %d: %s", registration.number, tostring(gone))
  if gone and registration.ran > 0 then
    blame(ctx, "remove() of %d is true, but it has run", registration.number)
  end
  registration.removed = gone or registration.removed
end

function exec.on_cancel(node, ctx)
  local registration, object = register(node, ctx)
  if node.until_ == "end" then
    return run(node.body, ctx)
  end
  local _ <close> = setmetatable({}, { __close = function()
    remove(ctx, registration, object)
  end })
  return run(node.body, ctx)
end

-- --- Channels. ---

local function channel_of(ctx, which)
  return ctx.p.channels[which % #ctx.p.channels + 1]
end

local function new_item(ctx, channel)
  local p = ctx.p
  p.items = p.items + 1
  local item = { number = p.items, channel = channel, state = "offered", sender = ctx.task }
  channel.offered[item.number] = item
  return item
end

--- A send has returned.
local function sent(ctx, item, ok, why)
  if ok == true then
    item.state = "sent"
  elseif why == "closed" and item.channel.shut then
    item.state = "refused"
  else
    blame(ctx, "send returned %s, %s", tostring(ok), tostring(why))
  end
end

local function received(ctx, channel, number, why)
  if number == nil then
    if why ~= "closed" or not channel.shut then
      blame(ctx, "recv returned nil, %s", tostring(why))
    end
    return
  end
  local item = channel.offered[number]
  if not item or item.received then
    return blame(ctx, "item %s was received twice, or from another channel", tostring(number))
  end
  item.received = true
  local last = channel.last[item.sender] or {}
  channel.last[item.sender] = last
  if (last[ctx.task] or 0) > number then
    blame(ctx, "item %d was received after %d of the same sender", number, last[ctx.task])
  end
  last[ctx.task] = number
end

local function withdrawn(item)
  return function()
    item.state = "withdrawn"
  end
end

function exec.send(node, ctx)
  local channel = channel_of(ctx, node.which)
  local item = new_item(ctx, channel)
  local out <close> = watch(ctx, withdrawn(item))
  sent(ctx, item, finish(out, await(ctx, "send " .. item.number, channel.object.send, channel.object, item.number)))
end

function exec.recv(node, ctx)
  local channel = channel_of(ctx, node.which)
  received(ctx, channel, await(ctx, "recv", channel.object.recv, channel.object))
end

function exec.shut(node, ctx)
  local channel = channel_of(ctx, node.which)
  note(ctx, "shuts a channel")
  channel.shut = true
  channel.object:close()
end

-- --- Semaphores, mutexes, intervals. ---

local function with_permit(ctx, body)
  local p = ctx.p
  p.held = p.held + 1
  if p.held > p.permits then
    blame(ctx, "%d tasks hold one of %d permits", p.held, p.permits)
  end
  local _ <close>, item = closing(ctx, "permit", function()
    p.held = p.held - 1
    p.semaphore:release()
  end)
  item.armed = true
  return run(body, ctx)
end

--- Cancels somebody just when what was held was given to the next.
local function cancel_next(node, ctx)
  if node.next then
    exec.cancel({ which = node.next }, ctx)
  end
end

function exec.acquire(node, ctx)
  await(ctx, "acquire", ctx.p.semaphore.acquire, ctx.p.semaphore)
  local left = with_permit(ctx, node.body)
  cancel_next(node, ctx)
  return left
end

--- A coroutine may be closed by another task, which could not unlock.
local function may_lock(ctx)
  return ctx.strand == ctx.task.strand and ctx.p.holder ~= ctx.task
end

local function with_mutex(ctx, body)
  local p = ctx.p
  if p.holder then
    blame(ctx, "it holds the mutex, as does %s", p.holder.name)
  end
  p.holder = ctx.task
  local _ <close>, item = closing(ctx, "mutex", function()
    p.holder = nil
    p.mutex:unlock()
  end)
  item.armed = true
  return run(body, ctx)
end

function exec.lock(node, ctx)
  if may_lock(ctx) then
    await(ctx, "lock", ctx.p.mutex.lock, ctx.p.mutex)
    local left = with_mutex(ctx, node.body)
    cancel_next(node, ctx)
    return left
  end
end

local function ticked(ctx, count)
  local p = ctx.p
  p.ticks = p.ticks + count
  local most = math.floor((cancela.now() - p.ticking) / p.period + 1e-6)
  if count < 1 or p.ticks > most then
    blame(ctx, "%d ticks after %d periods", p.ticks, most)
  end
end

function exec.tick(_, ctx)
  ticked(ctx, await(ctx, "tick", ctx.p.interval.tick, ctx.p.interval))
end

-- --- select. ---

--- [kind] = function(op, ctx): the operation, what to do with its results, what to do if it did not happen. The last
--- two may be nil.
local choices = {}

function choices.send(op, ctx)
  local channel = channel_of(ctx, op.which)
  local item = new_item(ctx, channel)
  return channel.object:send_op(item.number), function(_, ...) sent(ctx, item, ...) end, withdrawn(item)
end

function choices.recv(op, ctx)
  local channel = channel_of(ctx, op.which)
  return channel.object:recv_op(), function(_, ...) received(ctx, channel, ...) end
end

function choices.sleep(op)
  return cancela.sleep_op(op.t)
end

function choices.acquire(_, ctx)
  return ctx.p.semaphore:acquire_op(), function(node) return with_permit(ctx, node.body) end
end

function choices.lock(_, ctx)
  if may_lock(ctx) then
    return ctx.p.mutex:lock_op(), function(node) return with_mutex(ctx, node.body) end
  end
end

function choices.tick(_, ctx)
  return ctx.p.interval:tick_op(), function(_, count) ticked(ctx, count) end
end

function choices.wait(op, ctx)
  return scope_of("loose", op.which, ctx).token:wait_op()
end

function choices.task(op, ctx)
  local tasks = ctx.group and ctx.group.tasks or {}
  local task = tasks[op.which % math.max(#tasks, 1) + 1]
  if task and task ~= ctx.task then
    return task.handle:await_op()
  end
end

function exec.select(node, ctx)
  local ops, took, undo, kinds = {}, {}, {}, {}
  for _, op in ipairs(node.ops) do
    local object, take, lose = choices[op.kind](op, ctx)
    if object then
      local at = #ops + 1
      ops[at], took[at], undo[at], kinds[at] = object, take or false, lose or false, op.kind
    end
  end
  if #ops == 0 then
    return
  end
  local function lost(winner)
    for at = 1, #ops do
      if at ~= winner and undo[at] then
        undo[at]()
      end
    end
  end
  local out <close> = watch(ctx, function() lost(nil) end)
  local results = table.pack(finish(out, await(ctx, "select " .. table.concat(kinds, " "), cancela.select, ops)))
  local winner = results[1]
  lost(winner)
  note(ctx, "select gives %d", winner)
  if took[winner] then
    return took[winner](node, table.unpack(results, 2, results.n))
  end
end

return things
