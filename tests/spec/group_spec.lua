-- cancela.group, all and race, and the handles of subtasks.
local cancela = require "cancela"
local testing = require "cancela.testing"
local memory = require "support.memory"

--- Sleeps, then returns the rest.
local function after(seconds, ...)
  cancela.sleep(seconds)
  return ...
end

--- Appends to `trace` what ended and by what, when `body` is left.
local function noting(trace, name, body)
  return function(...)
    local _ <close> = setmetatable({}, { __close = function(_, e)
      local reason = e ~= nil and cancela.is_cancel(e)
      trace[#trace + 1] = name .. ":" .. (reason and reason.kind or e == nil and "done" or "error")
    end })
    return body(...)
  end
end

describe("group", function()
  local trace
  before_each(function()
    trace = {}
  end)

  it("returns what its body returns", function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(cancela.group(function() return 1, nil, 3 end)))
    assert.equal(0, select("#", cancela.group(function() end)))
  end)

  it("runs subtasks beside each other, with their arguments, and hands their results over", function()
    local began = cancela.now()
    local results = cancela.group(function(g)
      local one = g:spawn(after, 1, "one", nil, 3)
      local two = g:spawn(after, 2)
      local three = g:spawn(function(...) return select("#", ...) end, nil, nil)
      return { table.pack(one:await()), table.pack(two:await()), table.pack(three:await()), one:await() }
    end)
    assert.same({ { "one", nil, 3, n = 3 }, { n = 0 }, { 2, n = 1 }, "one", nil, 3 }, results)
    assert.near(2, cancela.now() - began, 1e-6)
    assert.equal(0, testing.tasks())
  end)

  it("case 52: waits for subtasks that still run when the body returns", function()
    local value = cancela.group(function(g)
      g:spawn(noting(trace, "child", function()
        cancela.sleep(1)
        g:spawn(noting(trace, "grandchild", function() cancela.sleep(1) end))
      end))
      return "body"
    end)
    assert.equal("body", value)
    assert.same({ "child:done", "grandchild:done" }, trace)
    assert.equal(0, testing.tasks())
  end)

  it("case 51: ends with the first error, when the others have cleaned up", function()
    local began = cancela.now()
    local before = cancela.stats().late_errors
    local ok, e = pcall(cancela.group, function(g)
      g:spawn(noting(trace, "slow", function()
        local _ <close> = cancela.defer(function()
          cancela.sleep(0.1)
          trace[#trace + 1] = "cleaned up"
        end)
        cancela.sleep(10)
      end))
      g:spawn(function()
        local _ <close> = setmetatable({}, { __close = function() error "further" end })
        cancela.sleep(10)
      end)
      g:spawn(function()
        cancela.sleep(1)
        error({ "first" })
      end)
      noting(trace, "body", cancela.sleep)(10)
    end)
    assert.is_false(ok)
    assert.same({ "first" }, e)
    assert.same({ "body:parent_failed", "cleaned up", "slow:parent_failed" }, trace)
    assert.near(1.1, cancela.now() - began, 1e-6)
    assert.equal(before + 1, cancela.stats().late_errors)
    assert.equal(0, testing.tasks())
  end)

  it("case 51: cancels subtasks when its body fails", function()
    local ok, e = pcall(cancela.group, function(g)
      g:spawn(noting(trace, "child", function() cancela.sleep(10) end))
      g:spawn(noting(trace, "never begun", function() end))
      cancela.sleep(0)
      error("body", 0)
    end)
    assert.is_false(ok)
    assert.equal("body", e)
    assert.same({ "never begun:done", "child:parent_failed" }, trace)
  end)

  it("raises an error that its body awaited once, and does not log it again", function()
    local before = cancela.stats().late_errors
    local ok, e = pcall(cancela.group, function(g)
      g:spawn(function() error "broken" end):await()
    end)
    assert.is_false(ok)
    assert.matches("^tests/spec/group_spec.lua:%d+: broken$", e)
    assert.equal(before, cancela.stats().late_errors)
  end)

  it("fails even if its body catches what the subtask raised", function()
    local inner
    local ok, e = pcall(cancela.group, function(g)
      local h = g:spawn(error, "broken", 0)
      inner = select(2, pcall(h.await, h))
      return "fine"
    end)
    assert.is_false(ok)
    assert.equal("broken", e)
    assert.equal("broken", inner)
  end)

  it("is cancelled with its call: body and subtasks clean up, then it ends", function()
    local began = cancela.now()
    local _, err = testing.app({ p = function()
      cancela.group(function(g)
        for i = 1, 3 do
          g:spawn(noting(trace, i, function()
            local _ <close> = cancela.defer(function() cancela.sleep(0.1 * i) end)
            cancela.sleep(10)
          end))
        end
        noting(trace, "body", cancela.sleep)(10)
      end)
      trace[#trace + 1] = "not reached"
    end }):call("p", {}, { cancel_after = 1 })
    assert.equal("canceled", err.code)
    assert.same({ "body:reset", "1:reset", "2:reset", "3:reset" }, trace)
    assert.near(1.3, cancela.now() - began, 1e-6)
  end)

  it("ends with the grace when subtasks clean up for ever", function()
    local began = cancela.now()
    testing.app({ p = function()
      cancela.group(function(g)
        g:spawn(noting(trace, "child", function()
          local _ <close> = cancela.defer(function() cancela.sleep(100) end)
          cancela.sleep(10)
        end))
      end)
    end }):call("p", {}, { cancel_after = 1 })
    assert.same({ "child:reset" }, trace)
    assert.near(1.5, cancela.now() - began, 1e-6)
  end)

  it("is ended by a timeout around it, whose reason subtasks see", function()
    local ok, reason = cancela.timeout(1, cancela.group, function(g)
      g:spawn(noting(trace, "child", cancela.sleep), 10)
    end)
    assert.is_false(ok)
    assert.equal("timeout", reason.kind)
    assert.same({ "child:timeout" }, trace)
    cancela.sleep(0)
  end)

  it("delivers its result if all was done when the cancel came", function()
    local ok, value = cancela.timeout(1, function()
      return cancela.group(function(g)
        g:spawn(cancela.shield, 5, cancela.sleep, 1.2)
        return "result"
      end)
    end)
    assert.is_true(ok)
    assert.equal("result", value)
  end)

  it("inside a shield is hidden from a cancel for as long as that lasts", function()
    local began = cancela.now()
    local ok = cancela.timeout(1, cancela.shield, 1.2, cancela.group, function(g)
      g:spawn(function()
        local _ <close> = cancela.defer(function() trace[1] = cancela.now() - began end)
        cancela.sleep(10)
      end)
    end)
    assert.is_false(ok)
    assert.near(1.2, trace[1], 1e-6)
  end)

  it("has a token of its own, in which subtasks' tokens are", function()
    local group, child
    pcall(cancela.group, function(g)
      group = cancela.token()
      g:spawn(function()
        child = cancela.token()
        cancela.sleep(10)
      end)
      cancela.sleep(0)
      error "stop"
    end)
    assert.equal("parent_failed", group.reason.kind)
    assert.equal("parent_failed", child.reason.kind)
    assert.is_false(cancela.token().cancelled)
  end)

  it("case 63: that is cancelled spawns nothing more: spawn raises", function()
    local ran, raised
    local ok, e = pcall(cancela.group, function(g)
      g:spawn(error, "first", 0)
      local _ <close> = setmetatable({}, { __close = function()
        raised = select(2, pcall(g.spawn, g, function() ran = true end))
        g:spawn(function() ran = true end)
      end })
      cancela.sleep(10)
    end)
    assert.is_false(ok)
    assert.equal("first", e)
    assert.is_nil(raised)
    assert.is_nil(ran)
  end)

  it("case 63: that was cancelled from outside spawns nothing more either", function()
    local ran
    local ok = cancela.timeout(1, cancela.group, function(g)
      local _ <close> = cancela.defer(function() g:spawn(function() ran = true end) end)
      cancela.sleep(10)
    end)
    assert.is_false(ok)
    assert.is_nil(ran)
  end)

  it("case 35: that clean-up opens runs its subtasks until the grace ends", function()
    local began = cancela.now()
    cancela.timeout(1, function()
      local _ <close> = cancela.defer(function()
        cancela.group(function(g)
          g:spawn(noting(trace, "short", cancela.sleep), 0.1)
          g:spawn(noting(trace, "long", cancela.sleep), 10)
        end)
      end)
      cancela.sleep(10)
    end)
    assert.same({ "short:done", "long:timeout" }, trace)
    assert.near(1.5, cancela.now() - began, 1e-6)
  end)

  it("that is over spawns nothing", function()
    local kept
    cancela.group(function(g) kept = g end)
    assert.error_matches(function() kept:spawn(print) end, "cannot spawn: the group is over")
  end)

  it("refuses what is no function", function()
    assert.error_matches(function() cancela.group(1) end, "bad argument #1 to 'group'")
    assert.error_matches(function()
      cancela.group(function(g) g:spawn "f" end)
    end, "bad argument #1 to 'spawn'")
  end)

  it("nests, and carries an error through", function()
    local function nest(depth)
      return cancela.group(function(g)
        if depth == 0 then
          error("bottom", 0)
        end
        return g:spawn(nest, depth - 1):await()
      end)
    end
    local ok, e = pcall(nest, 30)
    assert.is_false(ok)
    assert.equal("bottom", e)
    assert.equal(0, testing.tasks())
  end)

  it("leaves nothing behind, however many there were", function()
    local function many()
      for _ = 1, 300 do
        cancela.group(function(g)
          g:spawn(cancela.sleep, 0)
          g:spawn(cancela.sleep, 0)
        end)
        pcall(cancela.all, cancela.checkpoint, error)
      end
    end
    assert.is_true(memory.growth(many) < 8)
  end)

  it("takes ten thousand subtasks", function()
    local sum = 0
    cancela.group(function(g)
      for i = 1, 10000 do
        g:spawn(function()
          cancela.sleep(i % 7)
          sum = sum + i
        end)
      end
    end)
    assert.equal(50005000, sum)
  end)
end)

describe("a subtask", function()
  it("case 62: goes on when who awaits it is cancelled", function()
    local value
    cancela.group(function(g)
      local h = g:spawn(after, 2, "kept")
      assert.is_false((cancela.timeout(1, h.await, h)))
      value = h:await()
    end)
    assert.equal("kept", value)
  end)

  it("case 62: that was cancelled is an ordinary error to who awaits it", function()
    local e, again
    cancela.group(function(g)
      local h = g:spawn(cancela.sleep, 10)
      cancela.sleep(1)
      assert.is_true(h:cancel "enough")
      assert.is_false(h:cancel())
      local _
      _, e = pcall(h.await, h)
      _, again = pcall(h.await, h)
      cancela.sleep(1)
      assert.is_false(h:cancel())
    end)
    assert.is_nil(cancela.is_cancel(e))
    assert.equal("cancelled", e.kind)
    assert.equal("canceled", e.code)
    assert.equal("user", e.reason.kind)
    assert.equal("enough", e.reason.message)
    assert.equal("cancelled", again.kind)
  end)

  it("that is cancelled does not disturb the others of its group", function()
    local value = cancela.group(function(g)
      local h = g:spawn(cancela.sleep, 10)
      local other = g:spawn(after, 2, "other")
      h:cancel()
      return other:await()
    end)
    assert.equal("other", value)
  end)

  it("that was cancelled before it began never runs", function()
    local ran, e = false, nil
    cancela.group(function(g)
      local h = g:spawn(function() ran = true end)
      h:cancel()
      e = select(2, pcall(h.await, h))
    end)
    assert.is_false(ran)
    assert.equal("cancelled", e.kind)
  end)

  it("may be awaited by several", function()
    local seen = {}
    cancela.group(function(g)
      local h = g:spawn(after, 1, "v")
      for i = 1, 3 do
        g:spawn(function() seen[i] = h:await() end)
      end
    end)
    assert.same({ "v", "v", "v" }, seen)
  end)

  it("cannot await itself", function()
    local ok, e = pcall(cancela.group, function(g)
      local h
      h = g:spawn(function() h:await() end)
    end)
    assert.is_false(ok)
    assert.matches("cannot await itself", e)
  end)

  it("that fails in a call is told with where it was raised", function()
    local _, err = testing.app({ p = function()
      cancela.group(function(g)
        g:spawn(cancela.error, { code = "not_found", message = "no such thing" })
      end)
    end }):call "p"
    assert.equal("not_found", err.code)
    assert.equal("no such thing", err.message)
  end)
end)

describe("all", function()
  it("returns the first result of each, in order", function()
    assert.same({ "a", nil, "c", n = 3 }, table.pack(cancela.all(
      function() return after(2, "a", "dropped") end,
      function() end,
      function() return "c" end)))
    assert.equal(0, select("#", cancela.all()))
  end)

  it("raises the first error, when the others have ended", function()
    local began = cancela.now()
    local ok, e = pcall(cancela.all, function()
      local _ <close> = cancela.defer(function() cancela.sleep(0.2) end)
      cancela.sleep(10)
    end, function() error("broken", 0) end)
    assert.is_false(ok)
    assert.equal("broken", e)
    assert.near(0.2, cancela.now() - began, 1e-6)
  end)

  it("refuses what is no function before it starts any", function()
    local ran = false
    assert.error_matches(function() cancela.all(function() ran = true end, 2) end, "bad argument #2 to 'all'")
    cancela.sleep(0)
    assert.is_false(ran)
  end)
end)

describe("race", function()
  it("returns the place and the results of the first to end", function()
    assert.same({ 2, "fast", nil, 3, n = 4 }, table.pack(cancela.race(
      function() return after(2, "slow") end,
      function() return after(1, "fast", nil, 3) end)))
    assert.same({ 1, n = 1 }, table.pack(cancela.race(function() end)))
  end)

  it("case 53: returns when the loser has cleaned up", function()
    local began, reason = cancela.now(), nil
    local place, value = cancela.race(function() return after(1, "fast") end, function()
      local _ <close> = cancela.defer(function(e)
        reason = cancela.is_cancel(e)
        cancela.sleep(0.1)
      end)
      cancela.sleep(10)
    end)
    assert.equal(1, place)
    assert.equal("fast", value)
    assert.equal("lost_race", reason.kind)
    assert.near(1.1, cancela.now() - began, 1e-6)
    assert.equal(0, testing.tasks())
  end)

  it("case 53: waits for losers no longer than the grace", function()
    local began = cancela.now()
    cancela.race(function() return after(1, "fast") end, function()
      local _ <close> = cancela.defer(function() cancela.sleep(100) end)
      cancela.sleep(10)
    end)
    assert.near(1.5, cancela.now() - began, 1e-6)
  end)

  it("case 54: is not affected by errors of losers", function()
    local before = cancela.stats().late_errors
    local place, value = cancela.race(function() return after(1, "fast") end, function()
      local _ <close> = cancela.defer(function() error "in clean-up" end)
      cancela.sleep(10)
    end, function()
      cancela.sleep(1)
      error(setmetatable({}, { __tostring = function() error "worse" end }))
    end)
    assert.equal(1, place)
    assert.equal("fast", value)
    assert.equal(before + 2, cancela.stats().late_errors)
  end)

  it("case 55: gives a tie to the first argument", function()
    for _ = 1, 20 do
      assert.equal(1, (cancela.race(function() cancela.sleep(1) end, function() cancela.sleep(1) end)))
      assert.equal(1, (cancela.race(function() end, function() end)))
    end
    local channel = cancela.channel()
    assert.equal(1, (cancela.race(function() channel:recv() end, function() channel:send(1) end)))
  end)

  it("raises the error of the first to end", function()
    local ok, e = pcall(cancela.race, function() error("broken", 0) end, cancela.sleep)
    assert.is_false(ok)
    assert.equal("broken", e)
  end)

  it("is cancelled with its call", function()
    local trace = {}
    local ok = cancela.timeout(1, cancela.race, noting(trace, 1, function() cancela.sleep(10) end),
      noting(trace, 2, function() cancela.sleep(10) end))
    assert.is_false(ok)
    assert.same({ "2:timeout", "1:timeout" }, trace)
  end)

  it("of nobody is refused", function()
    assert.error_matches(function() cancela.race() end, "a race of nobody would never end")
    assert.error_matches(function() cancela.race(print, {}) end, "bad argument #2 to 'race'")
  end)
end)
