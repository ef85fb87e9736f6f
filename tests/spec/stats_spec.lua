-- What cancela.stats() counts of cancels, and how long they took.
local cancela = require "cancela"
local testing = require "cancela.testing"

--- Runs `run` as a call, and returns what the counters were before and after.
local function counted(run, options)
  local app = testing.app { p = run }
  local before = cancela.stats()
  app:call("p", {}, options)
  return before, cancela.stats()
end

local function awaiting_cleanup(seconds)
  return function()
    local _ <close> = cancela.defer(function()
      cancela.sleep(seconds)
    end)
    cancela.sleep(10)
  end
end

describe("counters of cancels", function()
  it("case 4: show the first kind as cancelled, and a deadline that passed meanwhile as late", function()
    local before, after = counted(awaiting_cleanup(0.2), { cancel_after = 1, timeout = 1.1 })
    assert.equal(before.cancelled.reset + 1, after.cancelled.reset)
    assert.equal(before.cancelled.timeout, after.cancelled.timeout)
    assert.equal(before.late_cancels.timeout + 1, after.late_cancels.timeout)
    assert.equal(before.late_cancels.reset, after.late_cancels.reset)
  end)

  it("case 4: show a reset that comes after the deadline as late", function()
    local before, after = counted(awaiting_cleanup(0.2), { cancel_after = 1.1, timeout = 1 })
    assert.equal(before.cancelled.timeout + 1, after.cancelled.timeout)
    assert.equal(before.cancelled.reset, after.cancelled.reset)
    assert.equal(before.late_cancels.reset + 1, after.late_cancels.reset)
    assert.equal(before.late_cancels.timeout, after.late_cancels.timeout)
  end)

  it("show nothing late if the deadline is later than the end of clean-up", function()
    local before, after = counted(awaiting_cleanup(0.2), { cancel_after = 1, timeout = 1.3 })
    assert.same(before.late_cancels, after.late_cancels)
  end)

  it("case 10: show a value that was returned after the cancel", function()
    local before, after = counted(function(_, call)
      call:abort()
      return "ignored"
    end)
    assert.equal(before.ignored_cancels + 1, after.ignored_cancels)
    before, after = counted(function() cancela.sleep(10) end, { cancel_after = 1 })
    assert.equal(before.ignored_cancels, after.ignored_cancels)
  end)

  it("case 27: show clean-up that took longer than the grace", function()
    local before, after = counted(awaiting_cleanup(1), { cancel_after = 1 })
    assert.equal(before.grace_exceeded + 1, after.grace_exceeded)
  end)

  it("case 29: show clean-up that raised", function()
    local before, after = counted(function()
      local _ <close> = cancela.defer(function() error "broken" end)
      cancela.sleep(10)
    end, { cancel_after = 1 })
    assert.equal(before.cleanup_errors + 1, after.cleanup_errors)
  end)

  it("case 41: show an on_cancel function that raised, among those that ran", function()
    local before, after = counted(function(_, call)
      call.token:on_cancel(function() end)
      call.token:on_cancel(function() error "broken" end)
      call.token:on_cancel(function() end)
      cancela.sleep(10)
    end, { cancel_after = 1 })
    assert.equal(before.callbacks + 3, after.callbacks)
    assert.equal(before.callback_errors + 1, after.callback_errors)
  end)

  it("show calls that were cancelled before they began", function()
    local before, after = counted(function() end, { cancel_after = 0 })
    assert.equal(before.skipped + 1, after.skipped)
    assert.equal(before.started, after.started)
  end)
end)

describe("the histogram of cancel latency", function()
  it("has cumulative buckets, each twice as wide as the one before", function()
    local buckets = cancela.stats().cancel_latency.buckets
    assert.equal(21, #buckets)
    assert.equal(16e-6, buckets[1].le)
    for i = 2, 21 do
      assert.near(2 * buckets[i - 1].le, buckets[i].le, 1e-12)
      assert.is_true(buckets[i].count >= buckets[i - 1].count)
    end
  end)

  it("can be the result of a call", function()
    local _, after = counted(awaiting_cleanup(0.25), { cancel_after = 1 })
    local app = testing.app { stats = function()
      return cancela.stats()
    end }
    assert.same(after.cancel_latency.buckets, app:call "stats".cancel_latency.buckets)
  end)

  it("takes a call from its cancel to the end of its clean-up", function()
    local before, after = counted(awaiting_cleanup(0.25), { cancel_after = 1 })
    before, after = before.cancel_latency, after.cancel_latency
    assert.equal(before.count + 1, after.count)
    assert.near(before.sum + 0.25, after.sum, 1e-6)
    for i, bucket in ipairs(after.buckets) do
      assert.equal(before.buckets[i].count + (bucket.le >= 0.25 and 1 or 0), bucket.count)
    end
  end)

  it("takes subtasks and on_cancel functions for part of the call", function()
    local before, after = counted(function(_, call)
      call.token:on_cancel(function() cancela.sleep(0.3) end)
      cancela.group(function(g) g:spawn(awaiting_cleanup(0.2)) end)
    end, { cancel_after = 1 })
    assert.equal(before.cancel_latency.count + 1, after.cancel_latency.count)
    assert.near(before.cancel_latency.sum + 0.3, after.cancel_latency.sum, 1e-6)
  end)

  it("does not take calls that were not cancelled, nor timeouts inside a call", function()
    local before, after = counted(function()
      cancela.timeout(0.1, cancela.sleep, 1)
    end)
    assert.same(before.cancel_latency, after.cancel_latency)
  end)
end)

describe("a call that never asks for its token", function()
  --- Bytes that a call allocates on its own account, pools warm.
  local function bytes(run)
    local app = testing.app { p = run }
    for _ = 1, 10 do app:call "p" end
    collectgarbage()
    collectgarbage "stop"
    local before = cancela.stats().memory_bytes
    for _ = 1, 100 do app:call "p" end
    local after = cancela.stats().memory_bytes
    collectgarbage "restart"
    return (after - before) / 100
  end

  it("pays nothing for it, nor for a call object that it does not take", function()
    local neither = bytes(function() end)
    local call_object = bytes(function(_, _) end)
    local token = bytes(function(_, call) return call.token == nil end)
    assert.is_true(neither + 16 <= call_object, neither .. " " .. call_object)
    assert.is_true(call_object + 100 <= token, call_object .. " " .. token)
  end)
end)
