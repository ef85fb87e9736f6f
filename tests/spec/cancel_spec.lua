-- The basics of cancellation: docs/architecture.md has the model, the numbers are its cases.
local cancela = require "cancela"
local testing = require "cancela.testing"

describe("a cancelled call", function()
  local seen
  before_each(function()
    seen = {}
  end)

  local function call(run, options)
    return testing.app({ p = run }):call("p", {}, options)
  end

  it("case 1: raises Cancel(reset) in its sleep, when the reset comes", function()
    local _, err = call(function()
      local started = cancela.now()
      local ok, e = pcall(cancela.sleep, 10)
      seen = { ok = ok, reason = cancela.is_cancel(e), after = cancela.now() - started }
      error(e, 0)
    end, { cancel_after = 2 })
    assert.is_false(seen.ok)
    assert.equal("reset", seen.reason.kind)
    assert.near(2, seen.after, 1e-6)
    assert.equal("canceled", err.code)
    assert.equal(-32800, err.number)
  end)

  it("case 2: never enters Lua if it is cancelled before it starts", function()
    local entered = false
    local function enter()
      entered = true
    end
    assert.equal("canceled", select(2, call(enter, { cancel_after = 0 })).code)
    assert.equal("deadline_exceeded", select(2, call(enter, { timeout = 0 })).code)
    assert.is_false(entered)
  end)

  it("case 3, 4: keeps its first reason, whatever comes later", function()
    local _, err = call(function(_, call)
      call.token:on_cancel(function() seen[#seen + 1] = "callback" end)
      local _ <close> = setmetatable({}, { __close = function()
        cancela.sleep(0.2)
        seen[#seen + 1] = call:abort "again"
        seen[#seen + 1] = call.token.reason.kind
      end })
      cancela.sleep(10)
    end, { cancel_after = 1, timeout = 1.1 })
    assert.same({ "callback", false, "reset" }, seen)
    assert.equal("canceled", err.code)
  end)

  it("case 16: has timed out if the reset comes at its deadline or after", function()
    local _, err = call(function() cancela.sleep(10) end, { cancel_after = 1, timeout = 1 })
    assert.equal("deadline_exceeded", err.code)
  end)

  it("case 5: has a token that tells so, and raises the same Cancel every time", function()
    call(function(_, call)
      local token = call.token
      seen.before = { token.cancelled, token.reason, token:throw_if_cancelled() == token }
      seen.deadline = token.deadline
      local first
      local _, second = pcall(function()
        first = select(2, pcall(cancela.sleep, 10))
        token:throw_if_cancelled()
      end)
      seen.same = rawequal(first, second)
      seen.after = { token.cancelled, token.reason.kind, token.remaining, token.deadline == seen.deadline }
      error(first, 0)
    end, { cancel_after = 1 })
    assert.same({ false, nil, true }, seen.before)
    assert.is_true(seen.same)
    assert.same({ true, "reset", 0, true }, seen.after)
  end)

  it("case 5: has a remaining of 0 once its deadline has passed", function()
    call(function(_, call)
      seen.before = call.token.remaining
      pcall(cancela.sleep, 10)
      seen.after = call.token.remaining
    end, { timeout = 1 })
    assert.near(1, seen.before, 1e-6)
    assert.equal(0, seen.after)
  end)

  it("case 6: leaves a retry loop around pcall at its second turn", function()
    local turns = 0
    local _, err = call(function()
      while true do
        turns = turns + 1
        seen[turns] = { pcall(cancela.sleep, 10) }
      end
    end, { cancel_after = 1 })
    assert.equal("canceled", err.code)
    assert.equal(2, turns)
    assert.equal(1, #seen)
    assert.is_false(seen[1][1])
  end)

  it("case 7: runs clean-up written with pcall, and is cancelled when that re-raises", function()
    local _, err = call(function()
      local ok, e = pcall(cancela.sleep, 10)
      seen.cleaned = true
      if not ok then
        error(e, 0)
      end
    end, { cancel_after = 1 })
    assert.is_true(seen.cleaned)
    assert.equal("canceled", err.code)
  end)

  it("case 7: raises the same Cancel again if clean-up written with pcall awaits", function()
    call(function()
      local _, first = pcall(cancela.sleep, 10)
      local after <close> = setmetatable({}, { __close = function(_, e)
        seen.same = rawequal(first, e)
      end })
      cancela.sleep(0)
      seen.unreachable = after
    end, { cancel_after = 1 })
    assert.same({ same = true }, seen)
  end)

  it("case 7: lets <close> variables await once the Cancel was raised again by error or assert", function()
    for _, again in ipairs { function(_, e) error(e, 0) end, _G.assert } do
      seen = {}
      call(function()
        local _ <close> = setmetatable({}, { __close = function()
          cancela.sleep(0.1)
          seen.cleaned = true
        end })
        again(pcall(cancela.sleep, 10))
      end, { cancel_after = 1 })
      assert.is_true(seen.cleaned)
    end
  end)

  it("case 8: does not show its Cancel to the handler of xpcall", function()
    local _, err = call(function()
      local ok, e = xpcall(cancela.sleep, function()
        seen.handler = true
        while true do end
      end, 10)
      seen.ok = ok
      error(e, 0)
    end, { cancel_after = 1 })
    assert.same({ ok = false }, seen)
    assert.equal("canceled", err.code)
  end)

  it("case 9: makes of a Cancel whose timeout is over an ordinary error", function()
    assert.equal("caught", call(function()
      local saved
      cancela.timeout(1, function()
        local _, e = pcall(cancela.sleep, 10)
        saved = e
      end)
      local ok, e = pcall(error, saved)
      cancela.sleep(1)
      return not ok and rawequal(e, saved) and "caught"
    end))
  end)

  it("case 10: drops the value that is returned without an await", function()
    local value, err = call(function(_, call)
      pcall(cancela.sleep, 10)
      return call.token.cancelled and "ignored"
    end, { cancel_after = 1 })
    assert.is_nil(value)
    assert.equal("canceled", err.code)
  end)

  it("case 74: takes its deadline from the client, the procedure, or the default", function()
    local app = testing.app {
      plain = function(_, call) return call.token.remaining end,
      short = cancela.procedure { timeout = 5, run = function(_, call) return call.token.remaining end },
    }
    assert.near(30, app:call "plain", 1e-6)
    assert.near(5, app:call "short", 1e-6)
    assert.near(2, app:call("short", {}, { timeout = 2 }), 1e-6)
    assert.near(5, app:call("short", {}, { timeout = 20 }), 1e-6)
    assert.equal("deadline_exceeded", select(2, app:call("short", {}, { timeout = 0 })).code)
  end)

  it("case 87: ends as aborted when it aborts itself, at its next await", function()
    local _, err = call(function(_, call)
      seen.first = call:abort "enough"
      seen.again = call:abort "more"
      seen.reason = call.token.reason
      cancela.sleep(0)
      seen.unreachable = true
    end)
    assert.is_true(seen.first)
    assert.is_false(seen.again)
    assert.equal("user", seen.reason.kind)
    assert.equal("enough", seen.reason.message)
    assert.is_nil(seen.unreachable)
    assert.same({ "aborted", -32010, "enough" }, { err.code, err.number, err.message })
  end)

  it("case 89: cuts a reason of any length and replaces what is not UTF-8", function()
    local long = ("ä"):rep(5 * 1024 * 1024) -- not in the call: it computes for long
    call(function(_, call)
      call:abort(long)
      seen.long = call.token.reason.message
    end)
    call(function(_, call)
      call:abort "a\xffb"
      seen.bad = call.token.reason.message
    end)
    assert.equal(("ä"):rep(512), seen.long)
    assert.equal("a?b", seen.bad)
  end)

  it("case 92: answers null when it returns nothing", function()
    local value, err = call(function() end)
    assert.is_nil(value)
    assert.is_nil(err)
  end)
end)

describe("a token", function()
  it("cannot be cancelled or changed by assignment", function()
    assert.error_matches(function()
      cancela.token().cancelled = true
    end, "read%-only")
  end)

  it("has no other fields", function()
    assert.is_nil(cancela.token().canceled)
    assert.is_nil(cancela.token()[1])
  end)

  it("is the same object for as long as its scope is the innermost", function()
    local outer = cancela.token()
    assert.equal(outer, cancela.token())
    cancela.timeout(1, function()
      assert.not_equal(outer, cancela.token())
      assert.equal(cancela.token(), cancela.token())
    end)
    assert.equal(outer, cancela.token())
  end)

  it("of a task without a deadline has deadline and remaining math.huge", function()
    assert.equal(math.huge, cancela.token().deadline)
    assert.equal(math.huge, cancela.token().remaining)
  end)

  it("still answers when its call is over", function()
    local kept
    testing.app({ p = function(_, call)
      kept = call.token
      cancela.sleep(10)
    end }):call("p", {}, { cancel_after = 1 })
    collectgarbage()
    assert.is_true(kept.cancelled)
    assert.equal("reset", kept.reason.kind)
    local ok, e = pcall(kept.throw_if_cancelled, kept)
    assert.is_false(ok)
    assert.equal("reset", cancela.is_cancel(e).kind)
    assert.equal("token: reset", tostring(kept))
  end)

  it("raises without taking the Cancel from its call, in a callback and in a coroutine", function()
    for _, elsewhere in ipairs {
      function(token)
        token:on_cancel(function() pcall(token.throw_if_cancelled, token) end)
      end,
      function(token)
        token:on_cancel(function() coroutine.wrap(pcall)(token.throw_if_cancelled, token) end)
      end,
    } do
      local reached = false
      local _, err = testing.app({ p = function(_, call)
        elsewhere(call.token)
        cancela.shield(10, function()
          call:abort()
          cancela.sleep(0.1)
          coroutine.wrap(pcall)(call.token.throw_if_cancelled, call.token)
        end)
        cancela.sleep(0)
        reached = true
      end }):call "p"
      assert.equal("aborted", err.code)
      assert.is_false(reached)
    end
  end)
end)

describe("checkpoint", function()
  it("raises what an await would raise, and never suspends", function()
    local _, err = testing.app({ p = function(_, call)
      cancela.checkpoint()
      call:abort()
      cancela.checkpoint()
    end }):call "p"
    assert.equal("aborted", err.code)
  end)

  it("notices a deadline of 0", function()
    local ok, reason = cancela.timeout(0, cancela.checkpoint)
    assert.is_false(ok)
    assert.equal("timeout", reason.kind)
  end)
end)

describe("is_cancel", function()
  it("is nil for all that is no Cancel", function()
    for _, value in ipairs { 1, "timeout", {}, print, io.stdout, coroutine.create(print), cancela.token() } do
      assert.is_nil(cancela.is_cancel(value))
    end
    assert.is_nil(cancela.is_cancel(nil))
  end)

  it("gives the reason: kind and when it was decided", function()
    local reason
    local began = cancela.now()
    cancela.timeout(3, function()
      local _, e = pcall(cancela.sleep, 10)
      reason = cancela.is_cancel(e)
      assert.equal("cancelled: timeout", tostring(e))
      error(e, 0)
    end)
    assert.equal("timeout", reason.kind)
    assert.near(began + 3, reason.at, 1e-6)
    assert.is_nil(reason.message)
  end)
end)

describe("sleep", function()
  it("returns nothing, after that many seconds", function()
    local began = cancela.now()
    assert.equal(0, select("#", cancela.sleep(1.5)))
    assert.near(1.5, cancela.now() - began, 1e-6)
  end)

  it("of math.huge ends by cancellation only", function()
    local ok = cancela.timeout(3600, cancela.sleep, math.huge)
    assert.is_false(ok)
  end)

  it("refuses what is no duration, naming the argument", function()
    for _, bad in ipairs { -1, 0 / 0, "soon", {} } do
      assert.error_matches(function()
        cancela.sleep(bad)
      end, "bad argument #1 to 'sleep'")
    end
    assert.error_matches(function()
      cancela.sleep()
    end, "bad argument #1 to 'sleep'")
  end)
end)

describe("an await", function()
  it("case 61: is a clean error inside a comparator of table.sort", function()
    assert.error_matches(function()
      table.sort({ 3, 2, 1 }, function(a, b)
        cancela.sleep(0)
        return a < b
      end)
    end, "cannot await here: a C function")
  end)

  it("case 61: is a clean error inside a callback of string.gsub", function()
    assert.error_matches(function()
      return (("abc"):gsub(".", function()
        cancela.sleep(0)
      end))
    end, "cannot await here: a C function")
  end)
end)
