-- cancela.timeout and cancela.shield; cleanup_spec.lua has both of them in clean-up.
local cancela = require "cancela"
local testing = require "cancela.testing"

describe("timeout", function()
  it("returns true and what the function returns", function()
    local function echo(...)
      cancela.sleep(0.1)
      return ...
    end
    assert.same({ true, 1, nil, 3, n = 4 }, table.pack(cancela.timeout(1, echo, 1, nil, 3)))
    assert.same({ true, n = 1 }, table.pack(cancela.timeout(1, echo)))
  end)

  it("returns false and the reason when it ended the function", function()
    local began = cancela.now()
    local ok, reason, more = cancela.timeout(0.25, cancela.sleep, 10)
    assert.is_false(ok)
    assert.equal("timeout", reason.kind)
    assert.is_nil(more)
    assert.near(0.25, cancela.now() - began, 1e-6)
  end)

  it("passes errors through as they are, with where they were raised", function()
    local ok, e = pcall(cancela.timeout, 1, function() error { 1 } end)
    assert.is_false(ok)
    assert.same({ 1 }, e)
    ok, e = pcall(cancela.timeout, 1, function()
      cancela.sleep(0.1)
      error "broken"
    end)
    assert.is_false(ok)
    assert.matches("^tests/spec/scopes_spec.lua:%d+: broken$", e)
  end)

  it("case 57: has the reason of the one that ended first, inner or outer", function()
    local trace = {}
    local ok = cancela.timeout(0.020, function()
      trace[1] = cancela.timeout(0.050, cancela.sleep, 1)
      trace[2] = "not reached"
    end)
    assert.is_false(ok)
    assert.same({}, trace)

    ok = cancela.timeout(0.050, function()
      trace[1] = cancela.timeout(0.020, cancela.sleep, 1)
      trace[2] = "reached"
    end)
    assert.is_true(ok)
    assert.same({ false, "reached" }, trace)
  end)

  it("case 57: gives way to the outer one if both end at once", function()
    local reached = false
    local ok = cancela.timeout(1, function()
      cancela.timeout(1, cancela.sleep, 2)
      reached = true
      cancela.sleep(0)
      reached = "past an await"
    end)
    assert.is_false(ok)
    assert.not_equal("past an await", reached)
  end)

  it("case 58: of 0 lets a function through that does not await, and no other", function()
    assert.same({ true, 7 }, { cancela.timeout(0, function() return 7 end) })
    assert.is_false((cancela.timeout(0, cancela.sleep, 0)))
    assert.is_false((cancela.timeout(0, cancela.sleep, 1)))
  end)

  it("of math.huge never ends the function", function()
    assert.is_true((cancela.timeout(math.huge, cancela.sleep, 3600)))
  end)

  it("has its own token, whose deadline is the least of those around it", function()
    local outer, inner, wide
    cancela.timeout(2, function()
      outer = cancela.token().remaining
      cancela.timeout(1, function() inner = cancela.token().remaining end)
      cancela.timeout(9, function() wide = cancela.token().remaining end)
    end)
    assert.near(2, outer, 1e-6)
    assert.near(1, inner, 1e-6)
    assert.near(2, wide, 1e-6)
  end)

  it("does not touch the token around it", function()
    local outer = cancela.token()
    cancela.timeout(0.1, function()
      local inner = cancela.token()
      pcall(cancela.sleep, 1)
      assert.is_true(inner.cancelled)
      assert.is_false(outer.cancelled)
    end)
    assert.is_false(outer.cancelled)
  end)

  it("is over when the function is: what comes after may sleep longer", function()
    for _ = 1, 100 do
      cancela.timeout(1, cancela.sleep, 0.5)
    end
    cancela.sleep(5)
  end)

  it("ends a function that swallowed its Cancel with true, and no await inside works", function()
    local trace = {}
    local ok, value = cancela.timeout(1, function()
      trace[1] = pcall(cancela.sleep, 2)
      return "kept"
    end)
    assert.same({ false }, trace)
    assert.is_true(ok)
    assert.equal("kept", value)
    cancela.sleep(0)
  end)

  it("lets an outer cancel pass", function()
    local _, err = testing.app({ p = function()
      cancela.timeout(5, cancela.sleep, 4)
      return "not reached"
    end }):call("p", {}, { cancel_after = 1 })
    assert.equal("canceled", err.code)
  end)

  it("nests deeply", function()
    local function nest(depth)
      if depth == 0 then
        cancela.sleep(0.001)
        return "bottom"
      end
      return select(2, cancela.timeout(10, nest, depth - 1))
    end
    assert.equal("bottom", nest(100))
  end)

  it("nested without end is an error, not a crash", function()
    local function nest()
      return cancela.timeout(10, nest)
    end
    local ok, e = pcall(nest)
    assert.is_false(ok)
    assert.matches("overflow", tostring(e))
    cancela.sleep(0)
  end)

  it("refuses wrong arguments, naming them", function()
    for _, bad in ipairs { -1, 0 / 0, "soon", {} } do
      assert.error_matches(function() cancela.timeout(bad, print) end, "bad argument #1 to 'timeout'")
      assert.error_matches(function() cancela.shield(bad, print) end, "bad argument #1 to 'shield'")
    end
    assert.error_matches(function() cancela.timeout(1, "f") end, "bad argument #2 to 'timeout'")
    assert.error_matches(function() cancela.shield(1) end, "bad argument #2 to 'shield'")
  end)
end)

describe("shield", function()
  it("returns what the function returns", function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(cancela.shield(1, function(...) return ... end, 1, nil, 3)))
    assert.equal(0, select("#", cancela.shield(1, function() end)))
  end)

  it("passes errors through", function()
    local ok, e = pcall(cancela.shield, 1, error, "broken", 0)
    assert.is_false(ok)
    assert.equal("broken", e)
  end)

  it("hides a cancel for no longer than it was asked to", function()
    local began, after = cancela.now()
    testing.app({ p = function()
      local _ <close> = cancela.defer(function() after = cancela.now() - began end)
      cancela.shield(1.2, cancela.sleep, 10)
    end }):call("p", {}, { cancel_after = 1 })
    assert.near(1.2, after, 1e-6)
  end)

  it("that has ended hides nothing, and the cancel that came meanwhile is raised then", function()
    local ok, reason = cancela.timeout(1, function()
      cancela.shield(0.5, cancela.sleep, 0.2)
      cancela.sleep(5)
    end)
    assert.is_false(ok)
    assert.equal("timeout", reason.kind)
  end)

  it("does not hide a timeout inside it", function()
    assert.is_false((cancela.shield(5, cancela.timeout, 0.1, cancela.sleep, 1)))
  end)
end)
