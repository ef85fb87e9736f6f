-- Groups, select, channels, and tokens of scripts inside coroutines of the script.
local cancela = require "cancela"
local testing = require "cancela.testing"

-- Calls fn as a procedure of its own, which is cancelled after so many seconds if that is given.
local function call(fn, cancel_after)
  local result, err = testing.app { p = fn }:call("p", {}, { cancel_after = cancel_after })
  assert.not_equal("internal", err and err.code, "see the log")
  return result, err
end

-- Made while the script loads: it belongs to no call.
local made = {}
local of_the_vm = coroutine.wrap(function()
  while true do
    cancela.timeout(1000, function()
      made[#made + 1] = cancela.token():child { timeout = 2 }
      made[#made + 1] = cancela.linked_token(cancela.token())
      coroutine.yield()
    end)
    made[#made + 1] = cancela.token():child()
    coroutine.yield()
  end
end)

describe("a group in a coroutine", function()
  it("waits for its subtasks, then the coroutine goes on and yields", function()
    local next_sum = coroutine.wrap(function()
      for i = 1, 3 do
        local a, b = cancela.all(function()
          cancela.sleep(1)
          return i
        end, function()
          cancela.sleep(2)
          return 10 * i
        end)
        coroutine.yield(a + b)
      end
    end)
    local began = cancela.now()
    assert.same({ 11, 22, 33 }, { next_sum(), next_sum(), next_sum() })
    assert.near(6, cancela.now() - began, 1e-6)
  end)

  it("raises the error of a subtask through coroutine and resumer", function()
    local cleaned = false
    local co = coroutine.create(function()
      cancela.group(function(g)
        g:spawn(function()
          local _ <close> = cancela.defer(function() cleaned = true end)
          cancela.sleep(100)
        end)
        g:spawn(function() error("boom", 0) end)
      end)
    end)
    assert.same({ false, "boom" }, { coroutine.resume(co) })
    assert.is_true(cleaned)
  end)

  it("cannot be yielded out of; what is yielded inside it by another coroutine can", function()
    local seen = {}
    local co = coroutine.create(function()
      return cancela.group(function(g)
        g:spawn(function() cancela.sleep(1) end)
        for i in coroutine.wrap(function()
          coroutine.yield(1)
          cancela.sleep(0.1)
          coroutine.yield(2)
        end) do
          seen[#seen + 1] = i
        end
        cancela.timeout(1, coroutine.yield, 3)
      end)
    end)
    local ok, e = coroutine.resume(co)
    assert.is_false(ok)
    assert.matches("attempt to yield inside a group", e, 1, true)
    assert.same({ 1, 2 }, seen)
    assert.equal("dead", coroutine.status(co))
  end)

  it("is cancelled with the timeout around the resume, and joined before that returns", function()
    local cleaned = 0
    local step = coroutine.wrap(function()
      coroutine.yield "ready"
      cancela.group(function(g)
        for _ = 1, 3 do
          g:spawn(function()
            local _ <close> = cancela.defer(function()
              cancela.sleep(0.1)
              cleaned = cleaned + 1
            end)
            cancela.sleep(100)
          end)
        end
      end)
    end)
    assert.equal("ready", step())
    local began = cancela.now()
    local ok, reason = cancela.timeout(1, step)
    assert.is_false(ok)
    assert.equal("timeout", reason.kind)
    assert.equal(3, cleaned)
    assert.near(1.1, cancela.now() - began, 1e-6)
  end)

  it("is cancelled with the call", function()
    local cleaned = false
    local _, err = call(function()
      for _ in coroutine.wrap(function()
        coroutine.yield(1)
        cancela.race(function()
          local _ <close> = cancela.defer(function() cleaned = true end)
          cancela.sleep(100)
        end)
      end) do
        cancela.sleep(0.1)
      end
    end, 1)
    assert.equal("canceled", err.code)
    assert.is_true(cleaned)
  end)

  it("belongs to the subtask that resumes the coroutine", function()
    local co = coroutine.create(function()
      coroutine.yield(1)
      return (cancela.all(function()
        cancela.sleep(1)
        return 2
      end))
    end)
    local got = {}
    cancela.group(function(g)
      g:spawn(function() got[1] = select(2, coroutine.resume(co)) end):await()
      g:spawn(function() got[2] = select(2, coroutine.resume(co)) end)
      cancela.sleep(0.5)
      assert.is_false((coroutine.resume(co)), "it awaits")
    end)
    assert.same({ 1, 2 }, got)
  end)
end)

describe("select in a coroutine", function()
  it("feeds a generator from channels, and its consumer awaits meanwhile", function()
    local a, b, got = cancela.channel(0), cancela.channel(0), {}
    cancela.group(function(g)
      g:spawn(function()
        for i = 1, 3 do
          cancela.sleep(1)
          a:send(i)
        end
        a:close()
      end)
      g:spawn(function()
        for i = 1, 2 do
          cancela.sleep(1.4)
          b:send(i * 10)
        end
      end)
      for v in coroutine.wrap(function()
        while true do
          local _, v, how = cancela.select { a:recv_op(), b:recv_op() }
          if how == "closed" then
            return
          end
          coroutine.yield(v)
        end
      end) do
        got[#got + 1] = v
        cancela.sleep(0.1)
      end
    end)
    assert.same({ 1, 10, 2, 20, 3 }, got)
  end)

  it("takes nothing if a timeout around the resume ends it", function()
    local ch = cancela.channel(0)
    local co = coroutine.create(function()
      while true do
        local ok, place, v = pcall(cancela.select, { ch:recv_op(), cancela.sleep_op(5) })
        if not ok then
          error(place, 0)
        end
        coroutine.yield(place, v)
      end
    end)
    assert.is_false((cancela.timeout(1, function()
      local ok, e = coroutine.resume(co)
      assert.is_false(ok)
      error(e, 0)
    end)))
    assert.equal("dead", coroutine.status(co))
    cancela.group(function(g)
      local sent = g:spawn(function() return ch:send("kept") end)
      cancela.sleep(1)
      assert.equal("kept", ch:recv())
      assert.is_true(sent:await())
    end)
  end)

  it("hears of a token, deep in coroutines, before the Cancel", function()
    local place, reason
    local _, err = call(function(_, c)
      coroutine.wrap(function()
        coroutine.wrap(function()
          place, reason = cancela.select { cancela.sleep_op(100), c.token:wait_op() }
          cancela.checkpoint()
        end)()
      end)()
    end, 1)
    assert.equal("canceled", err.code)
    assert.equal(2, place)
    assert.equal("reset", reason.kind)
  end)

  it("lets a mutex be held across a yield, by the task", function()
    local m = cancela.mutex()
    local co = coroutine.wrap(function()
      m:lock()
      coroutine.yield()
      m:unlock()
    end)
    co()
    assert.has_error(function() m:lock() end)
    cancela.group(function(g)
      g:spawn(function()
        assert.is_false((pcall(m.unlock, m)))
        m:lock()
        m:unlock()
      end)
      cancela.sleep(1)
      co()
    end)
  end)
end)

describe("tokens that a coroutine makes", function()
  it("end with the coroutine's own scope, not with the consumer's", function()
    local token, cancel, inner
    local co = coroutine.wrap(function()
      token, cancel = cancela.token():child()
      coroutine.yield()
      cancela.timeout(100, function()
        inner = cancela.token():child()
        coroutine.yield()
      end)
    end)
    cancela.timeout(1, co)
    assert.is_false(token.cancelled)
    cancela.timeout(1, co)
    cancela.sleep(2)
    assert.is_false(inner.cancelled)
    assert.is_true(cancel("still there"))
    assert.equal("still there", token.reason.message)
    co()
    assert.is_false((cancel("again")))
    assert.is_false(inner.cancelled)
  end)

  it("outlive the subtask that ran the coroutine, with timer and functions", function()
    local token, fired
    local co = coroutine.wrap(function()
      cancela.timeout(1000, function()
        token = cancela.token():child { timeout = 2 }
        token:on_cancel(function(reason) fired = reason.kind end)
        coroutine.yield()
      end)
    end)
    cancela.group(function(g)
      for _ = 1, 1100 do -- so many are kept for later that the last to end is not
        g:spawn(cancela.sleep, 0)
      end
      g:spawn(function()
        cancela.sleep(1)
        co()
      end)
    end)
    collectgarbage()
    assert.is_false(token.cancelled)
    cancela.sleep(3)
    assert.equal("timeout", token.reason.kind)
    assert.equal("timeout", fired)
    co()
  end)

  it("without a scope of its own: they end with the call at the latest", function()
    local token, cancel
    local _, err = call(function(_, c)
      local co = coroutine.wrap(function()
        token, cancel = c.token:child()
        coroutine.yield()
      end)
      cancela.group(function(g) g:spawn(co) end)
      assert.is_false(token.cancelled)
    end)
    assert.is_nil(err)
    assert.is_false(cancel())
    assert.is_false(token.cancelled)
  end)

  it("linked ones follow a coroutine that is resumed inside a cancelled scope", function()
    local linked, child, fired, waited = nil, nil, {}, nil
    local co = coroutine.create(function()
      cancela.timeout(1000, function()
        linked = cancela.linked_token(cancela.token())
        child = linked:child()
        child:on_cancel(function(reason) fired[#fired + 1] = reason.kind end)
        coroutine.yield()
        cancela.sleep(1)
      end)
    end)
    coroutine.resume(co)
    assert.near(1000, linked.remaining, 1e-6)
    cancela.group(function(g)
      g:spawn(function() waited = linked:wait() end)
      cancela.sleep(0)
      local ok = cancela.timeout(1, function()
        local _ <close> = cancela.defer(function()
          assert.is_false(linked.cancelled)
          coroutine.resume(co)
        end)
        cancela.sleep(100)
      end)
      assert.is_false(ok)
    end)
    assert.is_true(linked.cancelled)
    assert.is_true(child.cancelled)
    assert.same({ "timeout" }, fired)
    assert.equal("timeout", waited.kind)
  end)

  it("linked ones have the deadline of wherever the coroutine runs", function()
    local linked
    local step = coroutine.wrap(function()
      cancela.timeout(50, function()
        linked = cancela.linked_token(cancela.token())
        coroutine.yield(linked.remaining)
        coroutine.yield(linked.remaining)
      end)
    end)
    assert.near(50, step(), 1e-6)
    assert.near(3, select(2, cancela.timeout(3, step)), 1e-6)
    assert.near(50, linked.remaining, 1e-6)
    step()
  end)

  it("linked ones are cancelled with the call while the coroutine is suspended", function()
    local linked, kind
    call(function()
      local co = coroutine.wrap(function()
        cancela.timeout(100, function()
          linked = cancela.linked_token(cancela.token())
          linked:on_cancel(function(reason) kind = reason.kind end)
          coroutine.yield()
        end)
      end)
      co()
      cancela.sleep(100)
    end, 1)
    assert.is_true(linked.cancelled)
    assert.equal("reset", kind)
  end)

  it("in a coroutine of the VM outlive the call if they are in a scope of it", function()
    call(of_the_vm)
    collectgarbage()
    assert.is_false(made[1].cancelled)
    cancela.sleep(2)
    assert.equal("timeout", made[1].reason.kind)
    call(of_the_vm)
    assert.same({ true, false, false },
      { made[1].cancelled, made[2].cancelled, made[3].cancelled })
    call(of_the_vm)
    call(function()
      assert.is_true(cancela.timeout(0, of_the_vm))
    end)
    assert.is_false(made[5].cancelled)
  end)

  it("survive collections while a cancel goes through a coroutine's scopes", function()
    for _ = 1, 20 do
      local fired = 0
      local co = coroutine.create(function()
        cancela.timeout(1000, function()
          for _ = 1, 50 do
            local token = cancela.token():child()
            cancela.linked_token(token):on_cancel(function() fired = fired + 1 end)
          end
          coroutine.yield()
        end)
      end)
      coroutine.resume(co)
      cancela.timeout(1, function()
        local _ <close> = cancela.defer(function() coroutine.resume(co) end)
        cancela.sleep(2)
      end)
      cancela.sleep(0)
      assert.equal(50, fired)
    end
  end)
end)

describe("time limits around it all", function()
  it("end library functions that work for long, deep in coroutines", function()
    local function hostile() return table.move({}, 1, 1 << 40, 2) end
    local function nested()
      coroutine.wrap(function() coroutine.wrap(hostile)() end)()
    end
    assert.is_false((cancela.timeout(0, nested)))
    assert.is_false((cancela.timeout(0, coroutine.wrap(nested))))
    local own = coroutine.wrap(function()
      return cancela.timeout(0, function()
        coroutine.yield()
        hostile()
      end)
    end)
    own()
    local ok, reason = own()
    assert.is_false(ok)
    assert.equal("timeout", reason.kind)
  end)

  it("fail_after in a generator is the generator's", function()
    local co = coroutine.create(function()
      cancela.fail_after(2, function()
        coroutine.yield(1)
        cancela.all(function() cancela.sleep(100) end)
      end)
    end)
    assert.same({ true, 1 }, { coroutine.resume(co) })
    cancela.sleep(5)
    local ok, e = coroutine.resume(co)
    assert.is_false(ok)
    assert.equal("deadline_exceeded", e.code)
  end)

  it("reach a group whose coroutine was begun outside of them, from the innermost outwards", function()
    local log = {}
    local co = coroutine.wrap(function()
      coroutine.yield()
      local _ <close> = cancela.defer(function() log[#log + 1] = "coroutine" end)
      cancela.group(function(g)
        g:spawn(function()
          local _ <close> = cancela.defer(function() log[#log + 1] = "subtask" end)
          coroutine.wrap(function()
            local _ <close> = cancela.defer(function() log[#log + 1] = "its coroutine" end)
            cancela.sleep(100)
          end)()
        end)
      end)
    end)
    co()
    assert.is_false((cancela.timeout(1, cancela.timeout, 10, co)))
    assert.same({ "its coroutine", "subtask", "coroutine" }, log)
  end)
end)
