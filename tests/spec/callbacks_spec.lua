-- Functions registered with token:on_cancel.
local cancela = require "cancela"
local testing = require "cancela.testing"
local memory = require "support.memory"

describe("on_cancel", function()
  local trace
  before_each(function()
    trace = {}
  end)

  local function note(what)
    return function()
      trace[#trace + 1] = what
    end
  end

  --- Runs `run` as a call that aborts itself; `run` registers.
  local function aborted(register)
    return testing.app({ p = function(_, call)
      register(call.token, call)
      call:abort "stop"
      cancela.sleep(0)
    end }):call "p"
  end

  it("case 39: runs what was registered last first, before the call wakes", function()
    testing.app({ p = function(_, call)
      for i = 1, 3 do
        call.token:on_cancel(note(i))
      end
      local _ <close> = setmetatable({}, { __close = note "woken" })
      cancela.sleep(10)
    end }):call("p", {}, { cancel_after = 1 })
    assert.same({ 3, 2, 1, "woken" }, trace)
  end)

  it("case 39: runs before its call wakes also if clean-up of another call cancels that", function()
    local other
    cancela.all(function()
      testing.app({ p = function(_, call)
        other = call
        call.token:on_cancel(note "callback")
        local _ <close> = setmetatable({}, { __close = note "woken" })
        cancela.sleep(10)
      end }):call "p"
    end, function()
      cancela.sleep(0)
      cancela.timeout(1, function()
        local _ <close> = setmetatable({}, { __close = function() other:abort() end })
        cancela.sleep(10)
      end)
    end)
    assert.same({ "callback", "woken" }, trace)
  end)

  it("case 40: runs a timeout's before those of the call around it; all tokens tell already", function()
    testing.app({ p = function(_, call)
      call.token:on_cancel(note "call")
      cancela.timeout(5, function()
        local inner = cancela.token()
        inner:on_cancel(function()
          note "timeout" ()
          note(call.token.cancelled and inner.cancelled and cancela.token().cancelled) ()
        end)
        cancela.sleep(10)
      end)
    end }):call("p", {}, { cancel_after = 1 })
    assert.same({ "timeout", true, "call" }, trace)
  end)

  it("gets the reason and the token", function()
    local token, reason, given
    aborted(function(t)
      token = t
      t:on_cancel(function(r, g)
        reason, given = r, g
      end)
    end)
    assert.equal("user", reason.kind)
    assert.equal("stop", reason.message)
    assert.equal(token, given)
  end)

  it("case 41: isolates errors", function()
    local reason
    aborted(function(token)
      token:on_cancel(function(r)
        note "first" ()
        reason = r
      end)
      token:on_cancel(function() error "broken" end)
      token:on_cancel(note "last")
    end)
    assert.same({ "last", "first" }, trace)
    assert.equal("user", reason.kind)
  end)

  it("case 42: may await; the others proceed; the call is over when it is", function()
    local began = cancela.now()
    aborted(function(token)
      token:on_cancel(note "other")
      token:on_cancel(function()
        cancela.sleep(0.05)
        note "slow" ()
      end)
    end)
    assert.same({ "other", "slow" }, trace)
    assert.near(0.05, cancela.now() - began, 1e-6)
  end)

  it("case 42: may await no longer than the grace, whatever it tries", function()
    local began = cancela.now()
    aborted(function(token)
      token:on_cancel(function()
        local _ <close> = cancela.defer(function()
          note "defer" ()
          cancela.sleep(10)
        end)
        while true do
          pcall(cancela.sleep, 10)
        end
      end)
      token:on_cancel(function() cancela.shield(10, cancela.sleep, 9) end)
    end)
    assert.same({ "defer" }, trace)
    assert.near(0.5, cancela.now() - began, 1e-6)
  end)

  it("ends with the grace also when the timeout it belongs to is long over", function()
    local began, ended = cancela.now()
    testing.app({ p = function()
      cancela.timeout(30, function()
        cancela.timeout(1, function()
          cancela.token():on_cancel(function()
            local _ <close> = setmetatable({}, { __close = function(_, e)
              ended = cancela.now() - began
              note(cancela.is_cancel(e).kind) ()
            end })
            while true do
              pcall(cancela.sleep, 10)
            end
          end)
          cancela.sleep(10)
        end)
      end)
      collectgarbage()
      collectgarbage()
      cancela.sleep(2)
    end }):call "p"
    assert.same({ "timeout" }, trace)
    assert.near(1.5, ended, 1e-6)
    assert.near(3, cancela.now() - began, 1e-6)
  end)

  it("case 43: a function that removes a later one keeps it from running; itself it cannot", function()
    local removed, itself
    aborted(function(token)
      local later, own = token:on_cancel(note "never"), nil
      own = token:on_cancel(function()
        removed, itself = later:remove(), own:remove()
      end)
    end)
    assert.is_true(removed)
    assert.is_false(itself)
    assert.same({}, trace)
  end)

  it("case 43: remove() says each time whether the function will never run", function()
    local results = {}
    local ran
    aborted(function(token)
      local r = token:on_cancel(note "never")
      results[1], results[2] = r:remove(), r:remove()
      do
        local _ <close> = token:on_cancel(note "never: closed")
      end
      ran = token:on_cancel(note "runs")
    end)
    assert.same({ true, true }, results)
    assert.same({ "runs" }, trace)
    assert.is_false(ran:remove())
  end)

  it("case 44: on a cancelled token can be removed until it runs", function()
    aborted(function(token, call)
      call:abort "stop"
      assert(token:on_cancel(note "never"):remove())
    end)
    assert.same({}, trace)
  end)

  it("case 44: on a cancelled token is scheduled, never run inline", function()
    local inline
    aborted(function(token, call)
      call:abort "stop"
      token:on_cancel(note "late")
      inline = #trace > 0
    end)
    assert.is_false(inline)
    assert.same({ "late" }, trace)
  end)

  it("case 45: a function may register another, and cancel again for nothing", function()
    local again
    aborted(function(token, call)
      token:on_cancel(function()
        note "first" ()
        again = call:abort()
        token:on_cancel(note "second")
        cancela.token():on_cancel(note "own token")
      end)
    end)
    assert.is_false(again)
    assert.same({ "first", "second", "own token" }, trace)
  end)

  it("case 46: never runs after a normal completion", function()
    local app = testing.app { p = function(_, call)
      call.token:on_cancel(note "never")
      cancela.timeout(1, function() cancela.token():on_cancel(note "never") end)
      return "done"
    end }
    assert.equal("done", app:call("p", {}, { timeout = 5, cancel_after = 3 }))
    cancela.sleep(20)
    assert.same({}, trace)
  end)

  it("case 46: never runs after a normal completion, though clean-up goes on past the deadline", function()
    local began = cancela.now()
    local app = testing.app { p = function(_, call)
      cancela.sleep(0.01)
      local token, stop = call.token:child()
      token:on_cancel(function()
        call.token:on_cancel(note "never")
        cancela.sleep(0.4)
        note(call.token.cancelled or call:abort()) ()
      end)
      call.token:child():on_cancel(note "never")
      stop()
      return "done"
    end }
    assert.equal("done", app:call("p", {}, { timeout = 0.1 }))
    assert.near(0.41, cancela.now() - began, 1e-6)
    assert.same({ false }, trace)
  end)

  it("case 47: leaves nothing behind in many calls and scopes that register", function()
    local app = testing.app { p = function(_, call)
      call.token:on_cancel(note "never")
      cancela.timeout(1, function() cancela.token():on_cancel(note "never") end)
    end }
    local function many()
      for _ = 1, 1000 do
        app:call "p"
      end
    end
    assert.is_true(memory.growth(many) < 8)
  end)

  it("case 49: on the token of a call that is over registers nothing and keeps nothing", function()
    local kept
    testing.app({ p = function(_, call) kept = call.token end }):call "p"
    local held = setmetatable({}, { __mode = "k" })
    do
      local fn = function() return held end
      held[fn] = true
      local registration = kept:on_cancel(fn)
      assert.is_true(registration:remove())
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(held))
    assert.is_false(kept.cancelled)
  end)

  it("case 50: takes 1024 functions on one token and no more", function()
    local message
    aborted(function(token)
      local last
      for _ = 1, 1024 do
        last = token:on_cancel(note "x")
      end
      message = select(2, pcall(token.on_cancel, token, note "x"))
      last:remove()
      token:on_cancel(note "x")
    end)
    assert.matches("at most 1024 registrations", message)
    assert.equal(1024, #trace)
  end)

  it("refuses what is no function, and what is no token", function()
    local token = cancela.token()
    assert.error_matches(function() token:on_cancel(1) end, "bad argument #1 to 'on_cancel'")
    assert.error_matches(function() token.on_cancel {} end, "on_cancel")
  end)
end)
