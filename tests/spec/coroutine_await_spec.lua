-- Awaits, scopes and cancellation inside coroutines of the script.
local cancela = require "cancela"
local calls = require "support.calls"

local closing, call = calls.closing, calls.call

describe("case 61: an await inside a coroutine of the script", function()
  it("suspends the call, not the generator", function()
    local began = cancela.now()
    local values = coroutine.wrap(function(first)
      cancela.sleep(1)
      local second = coroutine.yield(first + 1)
      cancela.sleep(1)
      return second + 1, nil
    end)
    assert.equal(2, values(1))
    assert.same({ 11, nil, n = 2 }, table.pack(values(10)))
    assert.near(2, cancela.now() - began, 1e-6)
  end)

  it("works through resume, wrap, generic for, pcall and three levels of them", function()
    local function inner()
      for i = 1, 3 do
        cancela.sleep(0.1)
        coroutine.yield(i)
      end
    end
    local function middle()
      for i in coroutine.wrap(inner) do
        cancela.sleep(0.1)
        coroutine.yield(i * 10)
      end
    end
    local outer = coroutine.create(function()
      local _, sum = pcall(function()
        local sum = 0
        for i in coroutine.wrap(middle) do
          cancela.sleep(0.1)
          sum = sum + i
        end
        return sum
      end)
      return sum
    end)
    local began = cancela.now()
    assert.same({ true, 60 }, { coroutine.resume(outer) })
    assert.near(0.9, cancela.now() - began, 1e-6)
    assert.equal("dead", coroutine.status(outer))
  end)

  it("lets other tasks run meanwhile, which see it as normal and cannot resume or close it", function()
    local co, outer
    local seen = {}
    call(function(_, c)
      c.token:on_cancel(function()
        seen.status = { coroutine.status(co), coroutine.status(outer) }
        seen.resume = table.pack(coroutine.resume(co))
        seen.close = select(2, pcall(coroutine.close, co))
        seen.trace = debug.traceback(co)
      end)
      outer = coroutine.create(function()
        co = coroutine.create(function() cancela.shield(3, cancela.sleep, 2) end)
        return select(2, coroutine.resume(co))
      end)
      return select(2, coroutine.resume(outer))
    end, 1)
    assert.same({ "normal", "normal" }, seen.status)
    assert.same({ false, "cannot resume non-suspended coroutine", n = 2 }, seen.resume)
    assert.matches("cannot close a normal coroutine", seen.close)
    assert.matches("shield", seen.trace)
  end)

  it("produces and consumes with sleeps on both sides", function()
    local function produce()
      return coroutine.create(function()
        for i = 1, 4 do
          cancela.sleep(0.01)
          coroutine.yield(i)
        end
      end)
    end
    local function filter(source)
      return coroutine.create(function()
        while true do
          local _, value = coroutine.resume(source)
          if not value then
            return nil
          end
          if value % 2 == 0 then
            cancela.sleep(0.02)
            coroutine.yield(value)
          end
        end
      end)
    end
    local source, got = filter(produce()), {}
    while true do
      local ok, value = coroutine.resume(source)
      assert.is_true(ok)
      if not value then
        break
      end
      cancela.sleep(0.03)
      got[#got + 1] = value
    end
    assert.same({ 2, 4 }, got)
  end)

  it("may be between a yield and another in one pcall", function()
    local step = coroutine.wrap(function()
      return pcall(function()
        coroutine.yield(1)
        cancela.sleep(1)
        coroutine.yield(2)
        cancela.sleep(1)
        error("late", 0)
      end)
    end)
    assert.equal(1, step())
    assert.equal(2, step())
    assert.same({ false, "late" }, { step() })
  end)

  it("is a clean error where C waits at any level: sort, gsub, a metamethod called by C", function()
    local sleeper = function() return coroutine.wrap(function() cancela.sleep(0) end)() end
    local message = "cannot await here: a C function"
    assert.error_matches(function() table.sort({ 3, 2, 1 }, sleeper) end, message)
    assert.error_matches(function() return (("abc"):gsub(".", sleeper)) end, message)
    assert.error_matches(function() return tostring(setmetatable({}, { __tostring = sleeper })) end, message)
    assert.error_matches(function()
      coroutine.wrap(function() table.sort({ 3, 2, 1 }, function() cancela.sleep(0) end) end)()
    end, message)
    cancela.sleep(0)
  end)

  it("reads the token and opens scopes as anywhere else", function()
    local token = cancela.token()
    coroutine.wrap(function()
      assert.equal(token, cancela.token())
      assert.is_true((cancela.timeout(1, function()
        assert.not_equal(token, cancela.token())
        cancela.sleep(0.5)
      end)))
      cancela.checkpoint()
    end)()
  end)
end)

describe("a Cancel inside a coroutine of the script", function()
  it("unwinds inner and outer, innermost first, and clean-up awaits in each", function()
    local log = {}
    local _, err = call(function()
      local _ <close> = closing(function(e)
        cancela.sleep(0.01)
        log[#log + 1] = { "outer", cancela.is_cancel(e).kind }
      end)
      coroutine.wrap(function()
        local _ <close> = closing(function(e)
          cancela.sleep(0.01)
          log[#log + 1] = { "middle", cancela.is_cancel(e).kind }
        end)
        assert(coroutine.resume(coroutine.create(function()
          local _ <close> = closing(function(e)
            cancela.sleep(0.01)
            log[#log + 1] = { "inner", cancela.is_cancel(e).kind }
          end)
          cancela.sleep(10)
        end)))
      end)()
    end, 1)
    assert.equal("canceled", err.code)
    assert.same({ { "inner", "reset" }, { "middle", "reset" }, { "outer", "reset" } }, log)
  end)

  it("is returned by a resume that was entered before, and raised again by the next await", function()
    local seen = {}
    local _, err = call(function()
      local ok, e = coroutine.resume(coroutine.create(function() cancela.sleep(10) end))
      seen.first = { ok, cancela.is_cancel(e).kind }
      local again, e2 = pcall(cancela.sleep, 0)
      seen.second = { again, e2 == e }
      coroutine.resume(coroutine.create(function() cancela.sleep(0) end))
      seen.third = true
    end, 1)
    assert.equal("canceled", err.code)
    assert.same({ false, "reset" }, seen.first)
    assert.is_nil(seen.second)
    assert.is_nil(seen.third)
  end)

  it("ends a loop that retries with resume", function()
    local turns = 0
    local _, err = call(function()
      while true do
        turns = turns + 1
        coroutine.resume(coroutine.create(function() cancela.sleep(10) end))
      end
    end, 1)
    assert.equal("canceled", err.code)
    assert.equal(2, turns)
  end)

  it("passes wrap as the same object, without a place before it", function()
    local caught
    call(function()
      local ok, e = pcall(coroutine.wrap(function()
        local _, e2 = pcall(cancela.sleep, 10)
        caught = e2
        error(e2, 0)
      end))
      assert.is_false(ok)
      assert.equal(caught, e)
      error(e, 0)
    end, 1)
    assert.equal("reset", cancela.is_cancel(caught).kind)
  end)

  it("is seen by a consumer after the generator's pcall has caught it and yielded", function()
    local seen = {}
    local _, err = call(function()
      local step = coroutine.wrap(function()
        local ok, e = pcall(cancela.sleep, 10)
        coroutine.yield(ok, e)
        error "not resumed"
      end)
      seen.ok, seen.e = step()
      cancela.sleep(0)
      seen.survived = true
    end, 1)
    assert.equal("canceled", err.code)
    assert.is_false(seen.ok)
    assert.is_nil(seen.survived)
  end)

  it("works with a legacy pcall-finally in both coroutines", function()
    local released = {}
    local function with(name, fn)
      local ok, e = pcall(fn)
      released[#released + 1] = name
      if not ok then
        error(e, 0)
      end
      return e
    end
    local _, err = call(function()
      return with("outer", function()
        return coroutine.wrap(function()
          return with("inner", function() cancela.sleep(10) end)
        end)()
      end)
    end, 1)
    assert.equal("canceled", err.code)
    assert.same({ "inner", "outer" }, released)
  end)

  it("of a timeout around the coroutine passes it and is caught there", function()
    local unwound
    local ok, reason = cancela.timeout(1, function()
      coroutine.wrap(function()
        local _ <close> = closing(function() unwound = true end)
        cancela.sleep(10)
      end)()
    end)
    assert.is_false(ok)
    assert.equal("timeout", reason.kind)
    assert.is_true(unwound)
    cancela.sleep(0)
  end)

  it("of a timeout inside the coroutine ends there", function()
    local step = coroutine.wrap(function()
      coroutine.yield((cancela.timeout(1, cancela.sleep, 10)))
      cancela.sleep(1)
      return "on"
    end)
    assert.is_false(step())
    assert.equal("on", step())
  end)

  it("runs a defer that awaits", function()
    local done
    call(function()
      coroutine.wrap(function()
        local _ <close> = cancela.defer(function()
          cancela.sleep(0.1)
          done = true
        end)
        cancela.sleep(10)
      end)()
    end, 1)
    assert.is_true(done)
  end)
end)

describe("case 59: scopes of a generator (PEP 789)", function()
  it("do not time out its consumer; the generator gets it when it is resumed", function()
    local log = {}
    local step = coroutine.wrap(function()
      local ok, reason = cancela.timeout(1, function()
        coroutine.yield "first"
        log[#log + 1] = "resumed"
        cancela.sleep(0)
        log[#log + 1] = "not reached"
      end)
      coroutine.yield(ok, reason.kind)
      cancela.sleep(1)
      return "on"
    end)
    assert.equal("first", step())
    cancela.sleep(5)
    cancela.checkpoint()
    assert.same({ false, "timeout" }, { step() })
    assert.same({ "resumed" }, log)
    assert.equal("on", step())
  end)

  it("give their clean-up its grace from when they were resumed", function()
    local cleaned
    local step = coroutine.wrap(function()
      cancela.timeout(1, function()
        local _ <close> = closing(function()
          cancela.sleep(0.4)
          cleaned = true
        end)
        coroutine.yield()
        cancela.sleep(10)
      end)
    end)
    step()
    cancela.sleep(10)
    step()
    assert.is_true(cleaned)
  end)

  it("are not the consumer's innermost while it is suspended", function()
    local inner
    local outer = cancela.token()
    local step = coroutine.wrap(function()
      cancela.timeout(1, function()
        inner = cancela.token()
        while true do
          coroutine.yield()
          assert.equal(inner, cancela.token())
        end
      end)
    end)
    for _ = 1, 3 do
      step()
      assert.equal(outer, cancela.token())
      assert.not_equal(inner, outer)
    end
  end)

  it("are inside those of each consumer in turn: deadlines, tokens and Cancels", function()
    local inner
    local step = coroutine.wrap(function()
      cancela.timeout(5, function()
        inner = cancela.token()
        coroutine.yield()
        coroutine.yield(inner.remaining)
        coroutine.yield(inner.remaining)
        cancela.sleep(10)
      end)
    end)
    step()
    local _, under_two = cancela.timeout(2, step)
    assert.near(2, under_two, 1e-6)
    assert.near(5, inner.remaining, 1e-6)
    local _, under_three = cancela.timeout(3, step)
    assert.near(3, under_three, 1e-6)
    local ok, reason = cancela.timeout(1, step)
    assert.is_false(ok)
    assert.equal("timeout", reason.kind)
    assert.equal("timeout", inner.reason.kind)
  end)

  it("stay as many as they are, in any order of ending", function()
    local function limited(seconds)
      return coroutine.wrap(function()
        local ok = cancela.timeout(seconds, function()
          coroutine.yield()
          cancela.sleep(1)
          coroutine.yield()
          cancela.sleep(1)
        end)
        return ok
      end)
    end
    local a, b = limited(10), limited(2.5)
    a() b() a() b()
    assert.is_true(a())
    assert.is_false(b())
  end)

  it("keep a shield of the generator out of its consumer", function()
    local survived
    local _, err = call(function()
      local step = coroutine.wrap(function()
        cancela.shield(100, function()
          coroutine.yield()
          cancela.sleep(0.1)
          coroutine.yield "shielded"
        end)
      end)
      step()
      local _ <close> = closing(function() survived = step() end)
      cancela.sleep(10)
    end, 1)
    assert.equal("canceled", err.code)
    assert.equal("shielded", survived)
  end)

  it("are marked and their functions run when the call is cancelled, suspended or not", function()
    local reason
    call(function()
      local step = coroutine.wrap(function()
        cancela.timeout(100, function()
          cancela.token():on_cancel(function(r) reason = r.kind end)
          coroutine.yield()
        end)
      end)
      step()
      cancela.sleep(10)
    end, 1)
    assert.equal("reset", reason)
  end)

  it("are marked when they are resumed inside a scope that was cancelled", function()
    local ran = 0
    local inner
    local step = coroutine.wrap(function()
      cancela.timeout(100, function()
        inner = cancela.token()
        inner:on_cancel(function() ran = ran + 1 end)
        coroutine.yield()
        coroutine.yield(inner.cancelled)
      end)
    end)
    step()
    local marked
    cancela.timeout(1, function()
      local _ <close> = closing(function() marked = step() end)
      cancela.sleep(10)
    end)
    assert.is_true(marked)
    assert.is_true(inner.cancelled)
    cancela.sleep(0)
    assert.equal(1, ran)
  end)

  it("end with the coroutine when it is closed", function()
    local inner
    local co = coroutine.create(function()
      cancela.timeout(1, function()
        inner = cancela.token()
        coroutine.yield()
      end)
    end)
    coroutine.resume(co)
    assert.is_true(coroutine.close(co))
    cancela.sleep(2)
    assert.is_false(inner.cancelled)
  end)
end)
