-- Clean-up ends with the grace of its call, however it was begun. Found by tests/random.
local cancela = require "cancela"
local testing = require "cancela.testing"
local calls = require "support.calls"

local abandon, closing = calls.abandon, calls.closing

describe("a function registered on a linked token", function()
  --- How long a call lives that is cancelled after a second and then runs clean_up(call).
  local function lifetime(clean_up)
    local began = cancela.now()
    testing.app({ p = function(_, call)
      local _ <close> = closing(function() clean_up(call) end)
      cancela.sleep(10)
    end }):call("p", {}, { cancel_after = 1 })
    return cancela.now() - began
  end

  it("that was born cancelled has no longer than a grace", function()
    local token, stop = cancela.token():child()
    stop()
    local began = cancela.now()
    testing.app({ p = function()
      cancela.linked_token(token):on_cancel(function() cancela.sleep(10) end)
      cancela.sleep(0.1)
    end }):call "p"
    assert.near(0.5, cancela.now() - began, 1e-6)
  end)

  it("that was born cancelled in clean-up ends with the grace of its call", function()
    assert.near(1.5, lifetime(function(call)
      cancela.sleep(0.3)
      cancela.linked_token(call.token):on_cancel(function() cancela.sleep(10) end)
    end), 1e-6)
  end)

  it("that is cancelled in clean-up ends with the grace of its call", function()
    assert.near(1.5, lifetime(function()
      local token, stop = cancela.token():child()
      cancela.linked_token(token):on_cancel(function() cancela.sleep(10) end)
      cancela.sleep(0.3)
      stop()
    end), 1e-6)
  end)

  it("of another call that is cancelled during clean-up ends with the grace of its own", function()
    local token, stop = cancela.token():child()
    assert.near(1.5, lifetime(function()
      cancela.linked_token(token):on_cancel(function() cancela.sleep(10) end)
      cancela.sleep(0.3)
      stop()
    end), 1e-6)
  end)
end)

describe("what a call leaves behind when it returns", function()
  --- Runs fn(call) as an on_cancel function of a call that returns just then. Returns for how long the call lives.
  local function lifetime(fn)
    local app = testing.app { p = function(_, call)
      local token, stop = call.token:child()
      token:on_cancel(function() fn(call) end)
      stop()
    end }
    local began = cancela.now()
    app:call "p"
    return cancela.now() - began
  end

  it("is over after a grace", function()
    assert.near(0.5, lifetime(function() abandon(function() cancela.sleep(10) end) end), 1e-6)
  end)

  it("is over no later where an on_cancel function abandons it", function()
    assert.near(0.5, lifetime(function()
      cancela.sleep(0.3)
      abandon(function() cancela.sleep(10) end)
    end), 1e-6)
  end)

  it("is over no later where its clean-up registers further functions", function()
    local token, stop = cancela.token():child()
    assert.near(0.5, lifetime(function()
      cancela.sleep(0.2)
      abandon(function()
        cancela.linked_token(token):on_cancel(function() cancela.sleep(10) end)
        cancela.sleep(0.2)
        stop()
        cancela.sleep(0.05)
      end)
    end), 1e-6)
  end)

  it("cleans up without awaiting if the grace is over before that begins", function()
    local log = {}
    assert.near(0.5, lifetime(function()
      local _ <close> = closing(function()
        abandon(function()
          local _ <close> = closing(function() log[2] = cancela.now() end)
          log[1] = cancela.now()
          cancela.sleep(10)
        end)
      end)
      cancela.sleep(10)
    end), 1e-6)
    assert.equal(2, #log)
    assert.near(log[1], log[2], 1e-6)
  end)
end)
