-- Clean-up of cancelled calls: <close> variables may await, for as long as the grace (0.5 s) lasts.
local cancela = require "cancela"
local testing = require "cancela.testing"

local GRACE = 0.5

describe("the clean-up of a cancelled call", function()
  local trace, started, ended

  local function note(what)
    trace[#trace + 1] = ("%s@%d"):format(what, math.floor((cancela.now() - started) * 1000 + 0.5))
  end

  local function closing(fn)
    return setmetatable({}, { __close = function(_, e) fn(e) end })
  end

  --- Runs `run` as a call that is reset after a second, and waits until its clean-up is over.
  local function cancelled_call(run, options)
    trace, started = {}, cancela.now()
    local value, err = testing.app({ p = run }):call("p", {}, options or { cancel_after = 1 })
    ended = cancela.now() - started
    return value, err
  end

  it("case 26: runs two <close> handlers that await, last one first, within the grace", function()
    local _, err = cancelled_call(function()
      local a <close> = closing(function() cancela.sleep(0.020) note "a" end)
      local b <close> = closing(function() cancela.sleep(0.030) note "b" end)
      cancela.sleep(10)
      return a, b
    end)
    assert.same({ "b@1030", "a@1050" }, trace)
    assert.near(1.050, ended, 1e-6)
    assert.equal("canceled", err.code)
    assert.equal(0, testing.tasks())
  end)

  it("case 27: wakes a handler at the end of grace with the same Cancel; outer handlers still run", function()
    cancelled_call(function()
      local first, second
      local _ <close> = closing(function(e)
        note(rawequal(e, second) and rawequal(first, second) and "same")
        cancela.sleep(0.1)
        note "never"
      end)
      local _ <close> = closing(function(e)
        first = e
        local _ <close> = closing(function(again) second = again end)
        cancela.sleep(10)
      end)
      cancela.sleep(10)
    end)
    assert.same({ "same@1500" }, trace)
    assert.near(1 + GRACE, ended, 1e-6)
  end)

  it("case 28: is not disturbed by its call's deadline, nor given more time", function()
    cancelled_call(function()
      local _ <close> = closing(function() cancela.sleep(10) end)
      local _ <close> = closing(function() cancela.sleep(0.3) note "done" end)
      cancela.sleep(10)
    end, { cancel_after = 1, timeout = 1.1 })
    assert.same({ "done@1300" }, trace)
    assert.near(1 + GRACE, ended, 1e-6)
  end)

  it("case 29: goes on after an error in it, which the outer handlers see", function()
    local _, err = cancelled_call(function()
      local _ <close> = closing(function(e)
        cancela.sleep(0.1)
        note(tostring(e):match "[^ ]+$")
      end)
      local _ <close> = closing(function() error "broken" end)
      cancela.sleep(10)
    end)
    assert.same({ "broken@1100" }, trace)
    assert.equal("canceled", err.code)
  end)

  it("case 30: of a normal exit is cut by a cancel if it is a plain __close", function()
    local value, err = cancelled_call(function()
      local _ <close> = closing(function()
        note "in"
        cancela.sleep(2)
        note "never"
      end)
      return 42
    end)
    assert.same({ "in@0" }, trace)
    assert.is_nil(value)
    assert.equal("canceled", err.code)
  end)

  it("case 30, 31: of a normal exit completes in a defer, and the value is dropped", function()
    local value, err = cancelled_call(function()
      local _ <close> = cancela.defer(function(e)
        assert(e == nil)
        cancela.sleep(1.2)
        note "committed"
      end)
      return 42
    end)
    assert.same({ "committed@1200" }, trace)
    assert.is_nil(value)
    assert.equal("canceled", err.code)
  end)

  it("keeps the values returned through handlers that await, if there is no cancel", function()
    local value = cancelled_call(function()
      local _ <close> = closing(function() cancela.sleep(0.1) end)
      local _ <close> = cancela.defer(function() cancela.sleep(0.1) end)
      return "kept"
    end)
    assert.equal("kept", value)
    assert.near(0.2, ended, 1e-6)
  end)

  it("case 32: waits for a shield; the token says cancelled inside; the next await raises", function()
    cancelled_call(function(_, call)
      cancela.shield(2, function()
        cancela.sleep(1.2)
        note(tostring(call.token.cancelled))
      end)
      note "after"
      cancela.sleep(0)
      note "never"
    end)
    assert.same({ "true@1200", "after@1200" }, trace)
  end)

  it("case 33: lets no shield last past the grace, nested or not", function()
    cancelled_call(function()
      local _ <close> = closing(function()
        cancela.shield(9, function()
          local _ <close> = closing(function() note "out" end)
          cancela.shield(9, cancela.sleep, 8)
        end)
        note "never"
      end)
      cancela.sleep(10)
    end)
    assert.same({ "out@1500" }, trace)
    assert.near(1 + GRACE, ended, 1e-6)
  end)

  it("case 34: goes on when the call is cancelled while a timeout is already unwinding", function()
    cancelled_call(function()
      local ok, reason = cancela.timeout(0.8, function()
        local _ <close> = closing(function() cancela.sleep(0.4) note "cleaned" end)
        cancela.sleep(10)
      end)
      note(not ok and reason.kind)
      cancela.sleep(0)
      note "never"
    end)
    assert.same({ "cleaned@1200", "timeout@1200" }, trace)
  end)

  it("case 34: of a timeout is bounded by the timeout's own grace, and then by the call's", function()
    cancelled_call(function()
      local _ <close> = closing(function() note "outer" end)
      cancela.timeout(0.8, function()
        local _ <close> = closing(function() note "inner" cancela.sleep(10) end)
        local _ <close> = closing(function() cancela.sleep(10) end)
        cancela.sleep(10)
      end)
      note "never"
    end)
    assert.same({ "inner@1300", "outer@1300" }, trace)
  end)

  it("may set itself a timeout", function()
    cancelled_call(function()
      local _ <close> = closing(function()
        local ok, reason = cancela.timeout(0.1, cancela.sleep, 10)
        note(not ok and reason.kind)
        cancela.sleep(0.1)
        note "went on"
      end)
      cancela.sleep(10)
    end)
    assert.same({ "timeout@1100", "went on@1200" }, trace)
  end)

  it("runs in order through nested functions, loops and pcall", function()
    cancelled_call(function()
      local _ <close> = closing(function() note "procedure" end)
      local function each()
        local _ <close> = closing(function() note "iterator" end)
        for i = 1, 3 do
          local _ <close> = closing(function() note("turn" .. i) end)
          cancela.sleep(0.6)
        end
      end
      local ok, e = pcall(each)
      note "caught"
      assert(ok, e)
    end)
    assert.same({ "turn1@600", "turn2@1000", "iterator@1000", "caught@1000", "procedure@1000" }, trace)
  end)
end)

describe("defer", function()
  it("gets nil on a normal exit and the error otherwise", function()
    local seen = {}
    do
      local _ <close> = cancela.defer(function(e) seen[1] = e == nil end)
    end
    pcall(function()
      local _ <close> = cancela.defer(function(e) seen[2] = e end)
      error("broken", 0)
    end)
    assert.same({ true, "broken" }, seen)
  end)

  it("passes on the error of its function", function()
    local ok, e = pcall(function()
      local _ <close> = cancela.defer(function() error("in defer", 0) end)
    end)
    assert.is_false(ok)
    assert.equal("in defer", e)
  end)

  it("works in a coroutine of the script, where there is nothing to await", function()
    local ran = false
    coroutine.wrap(function()
      local _ <close> = cancela.defer(function() ran = true end)
    end)()
    assert.is_true(ran)
  end)

  it("refuses what is no function", function()
    assert.error_matches(function() cancela.defer(1) end, "bad argument #1 to 'defer'")
    assert.error_matches(function() cancela.defer() end, "bad argument #1 to 'defer'")
  end)
end)
