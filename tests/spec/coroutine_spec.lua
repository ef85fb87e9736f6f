-- Coroutines of the script keep to the reference manual.
local cancela = require "cancela"
local testing = require "cancela.testing"

describe("coroutines of the script", function()
  it("generate values", function()
    local function range(n)
      return coroutine.wrap(function()
        for i = 1, n do
          coroutine.yield(i, i * i)
        end
      end)
    end
    local sum = 0
    for i, square in range(5) do
      sum = sum + i + square
    end
    assert.equal(70, sum)
  end)

  it("go on across awaits of the call around them", function()
    local next_value = coroutine.wrap(function()
      for i = 1, 3 do
        coroutine.yield(i)
      end
    end)
    local seen = {}
    for i in next_value do
      cancela.sleep(1)
      seen[i] = true
    end
    assert.equal(3, #seen)
  end)

  it("are resumed by other calls than the one that made them", function()
    local shared = coroutine.wrap(function()
      while true do
        coroutine.yield "alive"
      end
    end)
    local app = testing.app { next = function() return shared() end }
    assert.equal("alive", app:call "next")
    assert.equal("alive", app:call "next")
  end)

  it("pass values in and out, pcall and xpcall in between", function()
    local co = coroutine.create(function(a)
      local _, b = pcall(coroutine.yield, a + 1)
      local _, c = xpcall(coroutine.yield, debug.traceback, b + 1)
      return c + 1, nil
    end)
    assert.same({ true, 2 }, { coroutine.resume(co, 1) })
    assert.same({ true, 11 }, { coroutine.resume(co, 10) })
    assert.same({ true, 101, nil, n = 3 }, table.pack(coroutine.resume(co, 100)))
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
  end)

  it("report their errors: resume as values, wrap with the place", function()
    local object = {}
    assert.same({ false, object }, { coroutine.resume(coroutine.create(error), object) })
    local ok, e = pcall(coroutine.wrap(function() error "broken" end))
    assert.is_false(ok)
    assert.matches("coroutine_spec.lua:%d+: broken$", e)
    ok, e = pcall(coroutine.wrap(function() error(object) end))
    assert.is_false(ok)
    assert.equal(object, e)
  end)

  it("catch their own errors after they were resumed", function()
    local step = coroutine.wrap(function()
      return pcall(function()
        coroutine.yield "ready"
        error("late", 0)
      end)
    end)
    assert.equal("ready", step())
    assert.same({ false, "late" }, { step() })
  end)

  it("have a status", function()
    local co
    local inside
    co = coroutine.create(function()
      inside = coroutine.status(co)
      coroutine.yield()
    end)
    assert.equal("suspended", coroutine.status(co))
    coroutine.resume(co)
    assert.equal("running", inside)
    assert.equal("suspended", coroutine.status(co))
    coroutine.resume(co)
    assert.equal("dead", coroutine.status(co))
    local outer = coroutine.running()
    assert.equal("normal", coroutine.wrap(function() return coroutine.status(outer) end)())
  end)

  it("are closed with their to-be-closed variables", function()
    local closed = 0
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.is_true(coroutine.close(co))
    assert.equal(1, closed)
    assert.equal("dead", coroutine.status(co))
  end)

  it("know where they run, and whether they may yield", function()
    local here, is_main = coroutine.running()
    assert.equal("thread", type(here))
    assert.is_false(is_main)
    local there, yieldable = coroutine.wrap(function() return coroutine.running(), coroutine.isyieldable() end)()
    assert.not_equal(here, there)
    assert.is_true(yieldable)
  end)

  it("are not the call itself, which cannot yield", function()
    assert.error_matches(function() coroutine.yield() end, "attempt to yield from outside a coroutine")
    local ok, e = pcall(coroutine.yield, 1)
    assert.is_false(ok)
    assert.matches("outside a coroutine", e)
  end)

  it("have tracebacks of their own", function()
    local co = coroutine.create(function()
      local function inner() coroutine.yield() end
      inner()
    end)
    coroutine.resume(co)
    assert.matches("in local 'inner'", debug.traceback(co))
  end)

  it("may hold a closed-over defer of the call and a timeout around them", function()
    local ok = cancela.timeout(1, function()
      local each = coroutine.wrap(function()
        while true do
          coroutine.yield()
        end
      end)
      while true do
        each()
        cancela.sleep(0.4)
      end
    end)
    assert.is_false(ok)
  end)
end)

describe("the coroutine of a call", function()
  it("is resumed by its awaits only: not by another call, and it cannot be closed", function()
    local seen = {}
    local app = testing.app { p = function(_, call)
      local own = coroutine.running()
      seen.self = table.pack(coroutine.resume(own))
      call.token:on_cancel(function()
        seen.status = coroutine.status(own)
        seen.resume = table.pack(coroutine.resume(own, 1))
        seen.close = table.pack(pcall(coroutine.close, own))
      end)
      cancela.shield(5, cancela.sleep, 2)
      return "not seen"
    end }
    local _, err = app:call("p", {}, { cancel_after = 1 })
    assert.equal("canceled", err.code)
    assert.equal("suspended", seen.status)
    local message = "cannot resume the coroutine of a call: only what it awaits does"
    assert.same({ false, message, n = 2 }, seen.resume)
    assert.same({ false, message, n = 2 }, seen.self)
    assert.is_false(seen.close[1])
    assert.matches("cannot close the coroutine of a call", seen.close[2])
  end)
end)
