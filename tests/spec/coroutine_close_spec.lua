-- The end of coroutines of the script: closed, abandoned, collected.
local cancela = require "cancela"
local testing = require "cancela.testing"
local calls = require "support.calls"

local abandon, closing, call = calls.abandon, calls.closing, calls.call

describe("coroutine.close", function()
  it("lets to-be-closed variables await, newest first, with nil for the error", function()
    local log = {}
    local co = coroutine.create(function()
      local _ <close> = closing(function(e)
        cancela.sleep(1)
        log[#log + 1] = { "a", e }
      end)
      local ok = pcall(function()
        local _ <close> = closing(function(e)
          cancela.sleep(1)
          log[#log + 1] = { "b", e }
        end)
        coroutine.yield()
      end)
      log[#log + 1] = { "not reached", ok }
    end)
    coroutine.resume(co)
    local began = cancela.now()
    assert.same({ true, n = 1 }, table.pack(coroutine.close(co)))
    assert.near(2, cancela.now() - began, 1e-6)
    assert.same({ { "b" }, { "a" } }, log)
    assert.equal("dead", coroutine.status(co))
    assert.is_true(coroutine.close(co))
  end)

  it("returns the error of a to-be-closed variable, once, past pcall and xpcall", function()
    local handled
    local co = coroutine.create(function()
      pcall(function()
        xpcall(function()
          local _ <close> = closing(function() error("broken", 0) end)
          coroutine.yield()
        end, function(e)
          handled = handled or e
          return e
        end)
      end)
    end)
    coroutine.resume(co)
    assert.same({ false, "broken", n = 2 }, table.pack(coroutine.close(co)))
    assert.same({ true, n = 1 }, table.pack(coroutine.close(co)))
  end)

  it("returns the error that ended the coroutine, once", function()
    local co = coroutine.create(error)
    assert.same({ false, 100 }, { coroutine.resume(co, 100) })
    assert.same({ false, 100 }, { coroutine.close(co) })
    assert.same({ true }, { coroutine.close(co) })
  end)

  it("closes what was not begun, and refuses what runs", function()
    local co = coroutine.create(print)
    assert.is_true(coroutine.close(co))
    assert.equal("dead", coroutine.status(co))
    assert.error_matches(function() coroutine.wrap(function() coroutine.close(coroutine.running()) end)() end,
      "cannot close a running coroutine")
    local outer
    outer = coroutine.create(function()
      coroutine.wrap(function() coroutine.close(outer) end)()
    end)
    assert.matches("cannot close a normal coroutine", select(2, coroutine.resume(outer)))
  end)

  it("makes yields in to-be-closed variables an error", function()
    local co = coroutine.create(function()
      local _ <close> = closing(function() coroutine.yield() end)
      coroutine.yield()
    end)
    coroutine.resume(co)
    local ok, e = coroutine.close(co)
    assert.is_false(ok)
    assert.matches("attempt to yield from a coroutine that is being closed", e)
  end)

  it("in clean-up of a cancelled call awaits within the grace", function()
    local done
    call(function()
      local co = coroutine.create(function()
        local _ <close> = closing(function()
          cancela.sleep(0.1)
          done = true
        end)
        coroutine.yield()
      end)
      coroutine.resume(co)
      local _ <close> = closing(function() assert(coroutine.close(co)) end)
      cancela.sleep(10)
    end, 1)
    assert.is_true(done)
  end)

  it("case 38: is an error, not a crash, when 50 000 are nested", function()
    local co, failed
    for _ = 1, 50000 do
      local previous = co
      co = coroutine.create(function()
        local _ <close> = closing(function()
          if previous then
            local _, closed, e = pcall(coroutine.close, previous)
            failed = failed or e or closed ~= true and closed
          end
        end)
        coroutine.yield()
      end)
      coroutine.resume(co)
    end
    coroutine.close(co)
    assert.matches("C stack overflow", failed)
  end)
end)

describe("case 60: a coroutine that a call abandons", function()
  it("is closed when the call has ended, and its clean-up may await", function()
    local log = {}
    local app = testing.app { p = function()
      for i = 1, 3 do
        abandon(function(e)
          cancela.sleep(0.1)
          log[#log + 1] = { i, e }
        end)
      end
      return "answer"
    end }
    assert.equal("answer", app:call "p")
    cancela.sleep(1)
    assert.same({ { 3 }, { 2 }, { 1 } }, log)
  end)

  it("is closed when the call was cancelled or failed", function()
    local closed = 0
    local function one() closed = closed + 1 end
    call(function()
      abandon(one)
      cancela.sleep(10)
    end, 1)
    cancela.sleep(0)
    assert.equal(1, closed)
    testing.app { p = function()
      abandon(one)
      error "failed"
    end }:call "p"
    cancela.sleep(0)
    assert.equal(2, closed)
  end)

  it("has no more than the grace for its clean-up", function()
    local began, ended = nil, nil
    call(function()
      abandon(function()
        began = cancela.now()
        local _ <close> = closing(function() ended = cancela.now() end)
        cancela.sleep(100)
      end)
    end)
    cancela.sleep(10)
    assert.near(0.5, ended - began, 1e-6)
  end)

  it("is closed in a task that can no longer await if the grace is over by then", function()
    local seen = {}
    call(function()
      local co = coroutine.create(function()
        local _ <close> = closing(function()
          seen.cancelled = cancela.token().cancelled
          local _ <close> = closing(function(e) seen.error = e end)
          cancela.sleep(0)
        end)
        coroutine.yield()
      end)
      coroutine.resume(co)
      local _ <close> = closing(function() cancela.sleep(10) end)
      cancela.sleep(10)
    end, 1)
    assert.is_true(seen.cancelled)
    assert.equal("reset", (cancela.is_cancel(seen.error) or {}).kind)
  end)

  it("is closed even if something still refers to it, and its error does not stop the next", function()
    local kept
    local closed
    call(function()
      abandon(function() closed = true end)
      kept = coroutine.create(function()
        local _ <close> = closing(function() error "broken" end)
        coroutine.yield()
      end)
      coroutine.resume(kept)
    end)
    cancela.sleep(0)
    assert.is_true(closed)
    assert.equal("dead", coroutine.status(kept))
  end)

  it("is closed when it is collected, while its call goes on", function()
    local closed = 0
    call(function()
      for _ = 1, 100 do
        abandon(function()
          cancela.sleep(0.001)
          closed = closed + 1
        end)
      end
      collectgarbage()
      collectgarbage()
      cancela.sleep(1)
      assert.is_true(closed >= 99)
    end)
    cancela.sleep(1)
    assert.equal(100, closed)
  end)

  it("is closed after those that were collected before it, and with what the call has left", function()
    local closed = {}
    call(function()
      local left = coroutine.create(function()
        local _ <close> = closing(function() closed[#closed + 1] = "left" end)
        coroutine.yield()
      end)
      coroutine.resume(left)
      for _, name in ipairs { "first", "second" } do
        abandon(function()
          cancela.sleep(0.2)
          closed[#closed + 1] = name
        end)
        collectgarbage()
        collectgarbage()
        cancela.sleep(0.05)
      end
      assert.same({}, closed)
      assert.equal("suspended", coroutine.status(left))
    end)
    cancela.sleep(5)
    assert.same({ "first", "second", "left" }, closed)
  end)

  it("is cut short by the end of grace, and so are those that are closed after it", function()
    local closed = {}
    call(function()
      for _ = 1, 3 do
        abandon(function(e)
          local _ <close> = closing(function() closed[#closed + 1] = tostring(e) end)
          cancela.sleep(100)
        end)
      end
      collectgarbage()
      collectgarbage()
      cancela.sleep(1)
    end)
    cancela.sleep(5)
    assert.same({ "nil", "nil", "nil" }, closed)
  end)

  it("in numbers leaves no memory behind while its call goes on", function()
    call(function()
      local function step(n)
        for _ = 1, n do
          coroutine.wrap(function() coroutine.yield(1) end)()
        end
        collectgarbage()
        cancela.sleep(0)
        collectgarbage()
        collectgarbage()
        return collectgarbage "count"
      end
      local before = step(2000)
      local after = step(20000)
      assert.is_true(after < before + 500, ("%.0f KiB, then %.0f KiB"):format(before, after))
    end)
  end)

  it("is left alone if it had not begun, and then belongs to the call that begins it", function()
    local closed
    local shared
    call(function()
      shared = coroutine.create(function()
        local _ <close> = closing(function() closed = true end)
        coroutine.yield(1)
      end)
    end)
    assert.equal("suspended", coroutine.status(shared))
    assert.equal(1, call(function() return select(2, coroutine.resume(shared)) end))
    cancela.sleep(0)
    assert.is_true(closed)
    assert.equal("dead", coroutine.status(shared))
  end)

  it("is not closed while another call runs it: it then belongs to that one", function()
    local shared
    local log = {}
    local maker = testing.app { p = function()
      shared = coroutine.create(function()
        local _ <close> = closing(function() log[#log + 1] = "closed" end)
        coroutine.yield()
        cancela.sleep(0.3)
        log[#log + 1] = "slept"
        coroutine.yield()
      end)
      coroutine.resume(shared)
      local _ <close> = closing(function() log[#log + 1] = "maker ended" end)
      cancela.sleep(10)
    end }
    call(function(_, c)
      c.token:on_cancel(function() coroutine.resume(shared) end)
      maker:call "p"
    end, 1)
    cancela.sleep(1)
    assert.same({ "maker ended", "slept", "closed" }, log)
  end)
end)
