-- Tokens that scripts make, waiting for tokens, detached tasks, fail_after, and stats.
local cancela = require "cancela"
local testing = require "cancela.testing"
local memory = require "support.memory"

-- Case 48 says 1e6: that takes a quarter of a minute in a release build, more than a minute in one that sanitizes.
local CALLS = tonumber(cancela.env.CASE_48_CALLS) or 20000

--- The token of a task that outlives what the test does, and the task's handle.
local function long_lived(seconds)
  local token
  local h = cancela.detach(function()
    token = cancela.token()
    cancela.sleep(math.huge)
  end, { timeout = seconds or 3600 })
  cancela.sleep(0)
  return token, h
end

--- Ends a detached task, and lets it go.
local function ended(h, reason)
  h:cancel(reason)
  pcall(h.await, h)
  cancela.sleep(0)
end

describe("token:child", function()
  it("is cancelled by its function, once, and touches nothing else", function()
    local child, cancel = cancela.token():child()
    assert.is_false(child.cancelled)
    assert.is_true(cancel "enough")
    assert.is_false(cancel "again")
    assert.is_true(child.cancelled)
    assert.equal("user", child.reason.kind)
    assert.equal("enough", child.reason.message)
    assert.is_false(cancela.token().cancelled)
    cancela.sleep(0)
  end)

  it("is cancelled with its parent, and so are its own children", function()
    local one, cancel = cancela.token():child()
    local two, cancel_two = one:child()
    local three = two:child()
    cancel "all"
    assert.same({ "all", "all", "all" }, { one.reason.message, two.reason.message, three.reason.message })
    assert.is_false(cancel_two())
  end)

  it("is cancelled with the scope that it is a child of", function()
    local child
    cancela.timeout(1, function()
      child = cancela.token():child()
      local _ <close> = cancela.defer(function() assert.equal("timeout", child.reason.kind) end)
      cancela.sleep(5)
    end)
    assert.equal("timeout", child.reason.kind)
  end)

  it("is cancelled at its time limit, of which its deadline tells", function()
    local child = cancela.token():child { timeout = 1 }
    assert.near(1, child.remaining, 1e-6)
    cancela.sleep(0.5)
    assert.is_false(child.cancelled)
    cancela.sleep(0.6)
    assert.equal("timeout", child.reason.kind)
    assert.equal(math.huge, cancela.token():child().deadline)
    cancela.timeout(2, function() assert.near(2, cancela.token():child({ timeout = 5 }).remaining, 1e-6) end)
  end)

  it("runs what was registered on it, children first, and lets that await", function()
    local trace = {}
    local parent, cancel = cancela.token():child()
    local child = parent:child()
    parent:on_cancel(function(reason)
      cancela.sleep(0.1)
      trace[#trace + 1] = "parent " .. reason.message
    end)
    child:on_cancel(function() trace[#trace + 1] = "child" end)
    cancel "stop"
    assert.same({}, trace)
    cancela.sleep(1)
    assert.same({ "child", "parent stop" }, trace)
  end)

  it("raises a Cancel, always the same, that ends no call by itself", function()
    local child, cancel = cancela.token():child()
    assert.equal(child, child:throw_if_cancelled())
    cancel "mine"
    local _, first = pcall(child.throw_if_cancelled, child)
    local ok, second = pcall(child.throw_if_cancelled, child)
    assert.is_false(ok)
    assert.equal(first, second)
    assert.equal("mine", cancela.is_cancel(first).message)
    cancela.sleep(0)
  end)

  it("raises the same Cancel, for the reason that came first, when its own time is over later", function()
    local parent, cancel = cancela.token():child()
    local child = parent:child { timeout = 1 }
    cancel "mine"
    local _, before = pcall(child.throw_if_cancelled, child)
    cancela.sleep(2)
    local _, after = pcall(child.throw_if_cancelled, child)
    assert.equal(before, after)
    assert.equal("user", cancela.is_cancel(after).kind)
    assert.equal("mine", cancela.is_cancel(after).message)
  end)

  it("raises the Cancel of the scope around that was cancelled, also when its own time is over later", function()
    cancela.timeout(1, function()
      local child = cancela.token():child { timeout = 1.1 }
      local _ <close> = cancela.defer(function()
        local _, before = pcall(child.throw_if_cancelled, child)
        cancela.sleep(0.2)
        local _, after = pcall(child.throw_if_cancelled, child)
        assert.is_not_nil(cancela.is_cancel(before))
        assert.equal(before, after)
      end)
      cancela.sleep(10)
    end)
  end)

  it("ends with the scope it was made in: after that nothing cancels it", function()
    local child, cancel
    cancela.timeout(5, function() child, cancel = cancela.token():child { timeout = 1 } end)
    assert.is_false(cancel())
    cancela.sleep(2)
    assert.is_false(child.cancelled)
    assert.is_nil(child:wait())
  end)

  it("is delivered to all, also if tokens are collected meanwhile", function()
    local ran = 0
    for _ = 1, 20 do
      local root, cancel = cancela.token():child()
      for _ = 1, 50 do
        root:child()
        local held = root:child()
        held:on_cancel(function() ran = ran + 1 end)
        for _ = 1, 3 do
          root:child()
        end
      end
      collectgarbage("setpause", 1)
      collectgarbage("setstepmul", 1000)
      cancel()
      cancela.sleep(0)
      collectgarbage("setpause", 200)
      collectgarbage("setstepmul", 100)
    end
    assert.equal(1000, ran)
  end)

  it("refuses wrong options", function()
    local token = cancela.token()
    assert.error_matches(function() token:child { timeot = 1 } end, "there is no option timeot, only timeout")
    assert.error_matches(function() token:child { timeout = -1 } end, "timeout must be a number of at least 0")
    assert.error_matches(function() token:child(5) end, "table expected")
  end)

  it("passed to subtasks ends each that heeds it", function()
    local token, cancel = cancela.token():child()
    local function worker()
      local n = 0
      while not token.cancelled do
        n = n + 1
        cancela.sleep(1)
      end
      return n
    end
    local results = cancela.group(function(g)
      local one, two = g:spawn(worker), g:spawn(worker)
      cancela.sleep(2.5)
      cancel()
      return { one:await(), two:await() }
    end)
    assert.same({ 3, 3 }, results)
  end)
end)

describe("the token of a task that has ended", function()
  -- More than the pool keeps coroutines.
  local TASKS = 1500

  it("does not keep its coroutine", function()
    local tokens, coroutines = {}, setmetatable({}, { __mode = "k" })
    cancela.group(function(group)
      for i = 1, TASKS do
        group:spawn(function()
          tokens[i] = cancela.token()
          coroutines[coroutine.running()] = true
          cancela.sleep(1)
        end)
      end
    end)
    cancela.sleep(0)
    collectgarbage()
    collectgarbage()
    local left = 0
    for _ in pairs(coroutines) do
      left = left + 1
    end
    assert.equal(TASKS, #tokens)
    assert.is_true(left <= 1024 + 2, left .. " coroutines are left")
  end)
end)

describe("linked_token", function()
  it("is cancelled with any of its sources, which say so at the same time", function()
    for i = 1, 3 do
      local sources, cancels = {}, {}
      for k = 1, 3 do
        sources[k], cancels[k] = cancela.token():child()
      end
      local linked = cancela.linked_token(table.unpack(sources))
      local child = linked:child()
      assert.is_false(linked.cancelled)
      cancels[i]("by " .. i)
      assert.equal("by " .. i, linked.reason.message)
      assert.equal("by " .. i, child.reason.message)
      cancels[i % 3 + 1]("too late")
      assert.equal("by " .. i, linked.reason.message)
    end
  end)

  it("runs its functions before those of its source", function()
    local trace = {}
    local source, cancel = cancela.token():child()
    local linked = cancela.linked_token(cancela.linked_token(source))
    source:on_cancel(function() trace[#trace + 1] = "source" end)
    linked:on_cancel(function(reason, token)
      trace[#trace + 1] = "linked " .. reason.message
      assert.equal(linked, token)
      cancela.sleep(0.1)
    end)
    cancel "stop"
    cancela.sleep(1)
    assert.same({ "linked stop", "source" }, trace)
  end)

  it("raises what its source was cancelled with", function()
    local source, cancel = cancela.token():child()
    local linked = cancela.linked_token(source)
    cancel "why"
    local _, e = pcall(linked.throw_if_cancelled, linked)
    assert.equal("why", cancela.is_cancel(e).message)
  end)

  it("case 48: is born cancelled if a source is", function()
    local source, cancel = cancela.token():child()
    cancel "before"
    assert.equal("before", cancela.linked_token(cancela.token(), source).reason.message)
    local over
    cancela.timeout(0.1, function()
      over = cancela.token()
      cancela.sleep(1)
    end)
    assert.equal("timeout", cancela.linked_token(over).reason.kind)
    assert.is_false(cancela.linked_token(cancela.token()).cancelled)
  end)

  it("case 48: leaves no link behind in a long-lived token, however many calls made one", function()
    local server, h = long_lived()
    local app = testing.app { p = function(_, call)
      local linked = cancela.linked_token(call.token, server)
      linked:on_cancel(print)
      server:on_cancel(print)
      server:child()
    end }
    local function many(n)
      for _ = 1, n do
        app:call "p"
      end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    many(1500) -- more than a token takes registrations
    local before = many(1000)
    assert.is_true(many(CALLS) - before < 8)
    ended(h)
  end)

  it("is collected in a scope that goes on for long, when nobody holds it", function()
    local token = cancela.token()
    local function many()
      for _ = 1, 3000 do
        cancela.linked_token(token, (token:child()))
      end
    end
    assert.is_true(memory.growth(many) < 8)
  end)

  it("that nobody holds but its function runs it all the same", function()
    local ran
    local source, cancel = cancela.token():child()
    cancela.linked_token(source):child():on_cancel(function() ran = true end)
    collectgarbage()
    collectgarbage()
    cancel()
    cancela.sleep(0)
    assert.is_true(ran)
  end)

  it("has the least deadline of its sources", function()
    local one, two = cancela.token():child { timeout = 5 }, cancela.token():child { timeout = 3 }
    assert.near(3, cancela.linked_token(one, two).remaining, 1e-6)
  end)

  it("takes 1 to 100 tokens", function()
    local tokens = {}
    for i = 1, 100 do
      tokens[i] = cancela.token()
    end
    assert(cancela.linked_token(table.unpack(tokens)))
    tokens[101] = tokens[1]
    assert.error_matches(function() cancela.linked_token(table.unpack(tokens)) end, "1 to 100 tokens expected, got 101")
    assert.error_matches(function() cancela.linked_token() end, "1 to 100 tokens expected, got 0")
    assert.error_matches(function() cancela.linked_token(1) end, "bad argument #1 to 'linked_token'")
  end)
end)

describe("token:wait", function()
  it("returns the reason when the token is cancelled, and at once if it is", function()
    local token, cancel = cancela.token():child()
    cancela.group(function(g)
      local h = g:spawn(token.wait, token)
      cancela.sleep(1)
      cancel "now"
      assert.equal("now", h:await().message)
    end)
    assert.equal("now", token:wait().message)
  end)

  it("tells a subtask of its call's own end; what it awaits next raises", function()
    local kind, ok
    testing.app({ p = function(_, call)
      cancela.group(function(g)
        g:spawn(function()
          kind = call.token:wait().kind
          ok = pcall(cancela.sleep, 0)
        end)
      end)
    end }):call("p", {}, { cancel_after = 1 })
    assert.equal("reset", kind)
    assert.is_false(ok)
  end)

  it("returns nil when the token's scope ends without a cancel", function()
    local kept, results
    cancela.group(function(g)
      g:spawn(cancela.timeout, 5, function()
        kept = cancela.token()
        cancela.sleep(1)
      end)
      cancela.sleep(0)
      results = table.pack(kept:wait())
    end)
    assert.same({ n = 1 }, results)
  end)

  it("is an operation for select, and leaves nothing behind", function()
    local token, cancel = cancela.token():child()
    assert.equal(2, (cancela.select { token:wait_op(), cancela.sleep_op(1) }))
    assert.is_false((cancela.timeout(1, token.wait, token)))
    cancel "x"
    local place, reason = cancela.select { cancela.sleep_op(1), token:wait_op() }
    assert.equal(2, place)
    assert.equal("x", reason.message)
  end)

  it("tells those who wait in the order in which they came, each once", function()
    local token, cancel = cancela.token():child()
    local other = cancela.linked_token(token)
    local told = {}
    cancela.group(function(g)
      local function waiter(name, ...)
        local operations = { ... }
        g:spawn(function()
          local place = cancela.select(operations)
          told[#told + 1] = name .. place
        end)
      end
      waiter("a", token:wait_op())
      waiter("b", other:wait_op(), token:wait_op())
      waiter("c", cancela.sleep_op(9), token:wait_op(), token:wait_op())
      waiter("d", token:wait_op())
      cancela.sleep(1)
      token:child()
      cancel()
    end)
    assert.same({ "b1", "a1", "c2", "d1" }, told) -- what is linked is marked, and told, first
  end)
end)

describe("fail_after", function()
  it("returns what the function returns", function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(cancela.fail_after(1, function(...)
      cancela.sleep(0.5)
      return ...
    end, 1, nil, 3)))
    assert.equal(0, select("#", cancela.fail_after(1, function() end)))
  end)

  it("raises an ordinary error when the time is over, which pcall catches for good", function()
    local began = cancela.now()
    local ok, e = pcall(cancela.fail_after, 1, cancela.sleep, 5)
    assert.is_false(ok)
    assert.is_nil(cancela.is_cancel(e))
    assert.equal("deadline_exceeded", e.code)
    assert.near(1, cancela.now() - began, 1e-6)
    cancela.sleep(1)
  end)

  it("reaches the client as deadline_exceeded if nobody catches it", function()
    local _, err = testing.app({ p = function() cancela.fail_after(1, cancela.sleep, 5) end }):call "p"
    assert.equal("deadline_exceeded", err.code)
  end)

  it("lets other errors and outer cancels pass", function()
    local ok, e = pcall(cancela.fail_after, 1, error, "broken", 0)
    assert.is_false(ok)
    assert.equal("broken", e)
    local inside, reason = cancela.timeout(1, cancela.fail_after, 5, cancela.sleep, 9)
    assert.is_false(inside)
    assert.equal("timeout", reason.kind)
  end)
end)

describe("detach", function()
  it("case 64: without a time limit is refused", function()
    for _, options in ipairs { {}, false, 5, { timeout = false } } do
      assert.is_false(pcall(cancela.detach, print, options or nil))
    end
    assert.error_matches(function() cancela.detach(print) end, "needs a time limit")
    assert.error_matches(function() cancela.detach(print, { timeout = 0 }) end, "above 0 and at most 86400")
    assert.error_matches(function() cancela.detach(print, { timeout = 86401 }) end, "above 0 and at most 86400")
    assert.error_matches(function() cancela.detach(print, { timeout = 1, name = 1 }) end, "no option name")
    assert.error_matches(function() cancela.detach(1, { timeout = 1 }) end, "bad argument #1 to 'detach'")
    cancela.detach(function() end, { timeout = 86400 }):await()
    cancela.sleep(0)
  end)

  it("case 64: survives the reset of its call, and dies at its time limit", function()
    local began, trace, h = cancela.now(), {}, nil
    local _, err = testing.app({ p = function()
      h = cancela.detach(function()
        local _ <close> = cancela.defer(function(e)
          trace[#trace + 1] = cancela.is_cancel(e).kind
          trace[#trace + 1] = cancela.now() - began
        end)
        cancela.sleep(2)
        trace[#trace + 1] = "alive"
        cancela.sleep(100)
      end, { timeout = 3 })
      cancela.sleep(10)
    end }):call("p", {}, { cancel_after = 1 })
    assert.equal("canceled", err.code)
    local _, e = pcall(h.await, h)
    assert.equal("cancelled", e.kind)
    assert.equal("timeout", e.reason.kind)
    assert.equal("alive", trace[1])
    assert.equal("timeout", trace[2])
    assert.near(3, trace[3], 1e-6)
    cancela.sleep(0)
  end)

  it("hands its result, or error, to who awaits it, and can be cancelled", function()
    assert.equal(7, cancela.detach(function() return 7 end, { timeout = 1 }):await())
    local failing = cancela.detach(function() error("broken", 0) end, { timeout = 1 })
    assert.same({ false, "broken" }, { pcall(failing.await, failing) })
    local _, h = long_lived()
    assert.is_true(h:cancel "stop")
    local _, e = pcall(h.await, h)
    assert.equal("stop", e.reason.message)
    cancela.sleep(0)
  end)

  it("takes max_detached tasks at a time, and no more", function()
    local handles = {}
    for i = 1, 1000 do
      handles[i] = cancela.detach(cancela.checkpoint, { timeout = 1 })
    end
    local ok, e = pcall(cancela.detach, print, { timeout = 1 })
    assert.is_false(ok)
    assert.equal("resource_exhausted", e.code)
    assert.matches("max_detached", e.message)
    for _, h in ipairs(handles) do
      h:await()
    end
    cancela.sleep(0)
    cancela.detach(function() end, { timeout = 1 }):await()
    cancela.sleep(0)
  end)
end)

describe("stats", function()
  it("counts tasks, cancels by kind, and what ended them", function()
    local before = cancela.stats()
    cancela.timeout(0.1, cancela.sleep, 1)
    cancela.group(function(g)
      local during = cancela.stats().tasks
      g:spawn(cancela.sleep, 1)
      assert.equal(during + 1, cancela.stats().tasks)
    end)
    local after = cancela.stats()
    assert.equal(before.cancelled.timeout + 1, after.cancelled.timeout)
    assert.equal(before.cancelled_waits + 1, after.cancelled_waits)
    assert.equal(before.started + 1, after.started)
    assert.is_true(after.memory_bytes > 0)
    assert.is_nil(after.cancelled.none)
  end)
end)

describe("the token of a timeout that was marked while another task ran its coroutine", function()
  --- Returns the token, and the coroutine, which is suspended: to resume it throws the token inside. Its time is over
  --- a second later.
  local function marked()
    local token
    local co = coroutine.create(function()
      return cancela.timeout(1, function()
        token = cancela.token()
        coroutine.yield()
        coroutine.yield()
        token:throw_if_cancelled()
      end)
    end)
    coroutine.resume(co)
    cancela.group(function(g)
      local task = g:spawn(function()
        local _ <close> = cancela.defer(function() coroutine.resume(co) end)
        cancela.sleep(10)
      end)
      cancela.sleep(0.1)
      task:cancel "mine"
    end)
    return token, co
  end

  local function thrown(token)
    return select(2, pcall(token.throw_if_cancelled, token))
  end

  it("is thrown for the reason of that", function()
    local token = marked()
    local reason = cancela.is_cancel(thrown(token))
    assert.same({ "user", "mine" }, { reason.kind, reason.message })
  end)

  it("is thrown inside for that, too", function()
    local _, co = marked()
    local ok, in_time, reason = coroutine.resume(co)
    assert.same({ true, false, "user" }, { ok, in_time, reason.kind })
  end)

  it("has its own reason when its time is over, though another task has thrown it before", function()
    local token = marked()
    local e
    cancela.group(function(g) g:spawn(function() e = thrown(token) end) end)
    assert.equal("user", cancela.is_cancel(e).kind)
    cancela.sleep(2)
    assert.equal("timeout", cancela.is_cancel(e).kind)
  end)
end)
