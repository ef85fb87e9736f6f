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

  it("refuse what Lua refuses, in its words", function()
    local resume, close, wrap = coroutine.resume, coroutine.close, coroutine.wrap
    for _, bad in ipairs { resume, close, coroutine.status } do
      assert.error_matches(function() bad(1) end, "bad argument #1 .*thread expected")
    end
    assert.error_matches(function() coroutine.create(1) end,
      "bad argument #1 to 'create' %(function expected, got number%)")
    assert.error_matches(function() wrap(nil) end, "bad argument #1 to 'wrap' %(function expected, got nil%)")
    local dead = wrap(function() end)
    dead()
    assert.error_matches(dead, "cannot resume dead coroutine")
    local self
    self = wrap(function() self() end)
    assert.error_matches(self, "cannot resume non%-suspended coroutine")
    local running = coroutine.create(function() return resume((coroutine.running())) end)
    assert.same({ true, false, "cannot resume non-suspended coroutine" }, { resume(running) })
    assert.error_matches(wrap(function() table.sort({ 1, 2, 3 }, coroutine.yield) end),
      "attempt to yield across a C%-call boundary")
  end)

  it("prefix errors that are strings at each wrap they pass, and nothing else", function()
    local function raise(e, level)
      return select(2, pcall(coroutine.wrap(function()
        coroutine.wrap(function() error(e, level) end)()
      end)))
    end
    assert.matches("^[^\n]-spec.lua:%d+: [^\n]-spec.lua:%d+: broken$", raise("broken", 1))
    assert.matches("^[^\n]-spec.lua:%d+: broken$", raise("broken", 0))
    local object = setmetatable({}, { __tostring = function() return "object" end })
    assert.equal(object, raise(object))
    assert.equal(100, raise(100))
    assert.is_nil((raise(nil)))
  end)

  it("stop with a stack overflow, and go on after it", function()
    local function deep() return coroutine.wrap(deep)() end
    assert.error_matches(deep, "C stack overflow")
    -- With large frames it is not deep: setting a hook walks all of them.
    local function endless(...) return 1 + endless(...) end
    local co = coroutine.create(endless)
    assert.matches("stack overflow", select(2, coroutine.resume(co, table.unpack({}, 1, 200))))
    local function other() return "other" end
    local function deeper() -- what fails at the edge works further out
      local ok, e = coroutine.resume(coroutine.create(deeper))
      return ok and e == "other" and e or select(2, coroutine.resume(coroutine.create(other)))
    end
    assert.equal("other", deeper())
  end)

  it("pass many values, and refuse too many", function()
    local co = coroutine.create(function(...) return select("#", ...), coroutine.yield(...) end)
    local many = table.move({ 1 }, 1, 1, 10000, {})
    assert.equal(10001, select("#", coroutine.resume(co, table.unpack(many, 1, 10000))))
    assert.same({ true, 10000, 7 }, { coroutine.resume(co, 7) })
    local function deep(...)
      local _ = ...
      return coroutine.resume(coroutine.create(function() return table.unpack({}, 1, 600000) end))
    end
    assert.same({ false, "too many results to resume" }, { select(2, pcall(function(...)
      local ok, e = deep(...)
      return ok, e
    end, table.unpack({}, 1, 300000))) })
  end)

  it("keep the traceback of the error that ended them", function()
    local co = coroutine.create(function()
      local function culprit() error "broken" end
      local function caller() culprit() end
      caller()
    end)
    local ok, e = coroutine.resume(co)
    assert.is_false(ok)
    local trace = debug.traceback(co, e)
    assert.matches("^[^\n]+: broken\nstack traceback:\n\t%[C%]: in function 'error'\n", trace)
    assert.matches("in upvalue 'culprit'.+in local 'caller'", trace)
    assert.matches("^stack traceback:", debug.traceback(co))
    assert.equal(co, debug.traceback(co, co))
    assert.matches("^m\nstack traceback:", debug.traceback "m")
  end)

  it("close their variables when an error ends them", function()
    local closed
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function(_, e) closed = e end })
      error("broken", 0)
    end)
    assert.same({ false, "broken" }, { coroutine.resume(co) })
    assert.equal("broken", closed)
    assert.equal("dead", coroutine.status(co))
  end)

  it("permute, as in the book", function()
    local function permgen(a, n)
      if n <= 1 then
        coroutine.yield(a)
      end
      for i = 1, n do
        a[n], a[i] = a[i], a[n]
        permgen(a, n - 1)
        a[n], a[i] = a[i], a[n]
      end
    end
    local seen = {}
    for p in coroutine.wrap(function() permgen({ "a", "b", "c" }, 3) end) do
      seen[table.concat(p)] = true
    end
    assert.same({ abc = true, acb = true, bac = true, bca = true, cab = true, cba = true }, seen)
  end)

  it("run in metamethods, iterators and tail calls that yield", function()
    local t = setmetatable({}, {
      __index = function(_, k) return coroutine.yield(k) end,
      __add = function(_, b) return coroutine.yield(b) end,
      __eq = function() return coroutine.yield "eq" end,
      __call = function(_, x) return coroutine.yield(x) end,
    })
    local co = coroutine.wrap(function()
      local a = t.key
      local b = t + 1
      local c = t == setmetatable({}, getmetatable(t))
      local last
      for v in function() return coroutine.yield "for" end do
        last = v
      end
      return a, b, c, last, t "call"
    end)
    assert.equal("key", co())
    assert.equal(1, co "A")
    assert.equal("eq", co "B")
    assert.equal("for", co(true))
    assert.equal("for", co "V")
    assert.equal("call", co(nil))
    assert.same({ "A", "B", true, "V", "C" }, { co "C" })
  end)
end)

describe("coroutines made while the script loads", function()
  local shared = coroutine.wrap(function()
    for i = 1, math.huge do
      cancela.sleep(0.1)
      coroutine.yield(i)
    end
  end)

  it("belong to the VM: any call resumes them, and none ends them", function()
    local app = testing.app { next = function() return shared() end }
    for i = 1, 3 do
      assert.equal(i, app:call "next")
    end
  end)

  it("end with the Cancel of the call that runs them", function()
    local app = testing.app { next = function() return shared() end }
    assert.equal("canceled", select(2, app:call("next", {}, { cancel_after = 0.05 })).code)
    assert.error_matches(shared, "cannot resume dead coroutine")
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
