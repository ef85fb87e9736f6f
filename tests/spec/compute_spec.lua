-- Code that computes, as far as the virtual clock and the core can pretend it: no time has to be waited for.
local cancela = require "cancela"
local core = require "cancela.testing.core"
local testing = require "cancela.testing"

local GRACE = 0.5

local function closing(fn)
  return setmetatable({}, { __close = fn })
end

local function compute_for_ever()
  while true do
    core.compute(0.01)
  end
end

describe("code that computes", function()
  it("for longer than the grace of another call does not keep its on_cancel functions from running", function()
    local ran
    local app = testing.app {
      cancelled = function(_, call)
        call.token:on_cancel(function() ran = true end)
        cancela.sleep(10)
      end,
      computes = function()
        for _ = 1, 55 do
          core.compute(0.01)
        end
      end,
    }
    cancela.all(function() app:call("cancelled", {}, { cancel_after = 1 }) end, function()
      cancela.sleep(0.99)
      app:call "computes"
    end)
    assert.is_true(ran)
  end)

  it("for longer than another call has for its end does not have that given up", function()
    local steps = 0
    local app = testing.app {
      cancelled = function()
        local _ <close> = closing(function()
          for _ = 1, 5000 do
            steps = steps + 1
          end
        end)
        cancela.sleep(10)
      end,
      computes = function()
        for _ = 1, 80 do
          core.compute(0.01)
        end
      end,
    }
    local before = core.left().given_up
    cancela.all(function() app:call("cancelled", {}, { cancel_after = 1 }) end, function()
      cancela.sleep(0.99)
      app:call "computes"
    end)
    assert.equal(before, core.left().given_up)
    assert.equal(5000, steps)
  end)

  it("in clean-up ends with the grace, and what is left of the clean-up runs", function()
    local began, outer = cancela.now(), 0
    local _, err = testing.app({ p = function()
      local _ <close> = closing(function() outer = outer + 1 end)
      local _ <close> = closing(compute_for_ever)
      cancela.sleep(10)
    end }):call("p", {}, { cancel_after = 1 })
    assert.equal("canceled", err.code)
    assert.equal(1, outer)
    assert.near(1 + GRACE, cancela.now() - began, 0.011)
  end)

  it("that had to be ended after its grace leaves nothing behind to the call that runs in its coroutine", function()
    local ran
    local app = testing.app {
      endless = function()
        local _ <close> = closing(compute_for_ever)
        cancela.sleep(10)
      end,
      short = function(_, call)
        call:abort "no await follows"
        local n = 0
        for _ = 1, 5000 do
          n = n + 1
        end
        ran = n
      end,
    }
    app:call("endless", {}, { cancel_after = 1 })
    app:call "short"
    assert.equal(5000, ran)
  end)
end)
