-- A Cancel that a pcall has caught: docs/cancellation.md, "pcall". Found by tests/random.
local cancela = require "cancela"

local function closing(fn)
  return setmetatable({}, { __close = function(_, e) fn(e) end })
end

describe("a Cancel that a pcall of a subtask has caught", function()
  --- What body() does in a subtask of a group that is cancelled after a second.
  local function cancelled(body)
    return pcall(cancela.all, body, function()
      cancela.sleep(1)
      error("broken", 0)
    end)
  end

  it("is raised again at once by the next await", function()
    local began, reached = cancela.now(), false
    cancelled(function()
      pcall(cancela.sleep, 10)
      cancela.sleep(0.1)
      reached = true
    end)
    assert.is_false(reached)
    assert.near(1, cancela.now() - began, 1e-6)
  end)

  it("does not keep another subtask from cleaning up", function()
    local cleaned = false
    pcall(cancela.all, function()
      local _ <close> = closing(function()
        cancela.sleep(0.1)
        cleaned = true
      end)
      cancela.sleep(10)
    end, function()
      pcall(cancela.sleep, 10)
    end, function()
      cancela.sleep(1)
      error("broken", 0)
    end)
    assert.is_true(cleaned)
  end)

  it("lets clean-up await once it was raised again", function()
    local cleaned = false
    cancelled(function()
      local _ <close> = closing(function()
        cancela.sleep(0.1)
        cleaned = true
      end)
      local _, e = pcall(cancela.sleep, 10)
      error(e, 0)
    end)
    assert.is_true(cleaned)
  end)

  it("of a timeout around the group, too", function()
    local turns = 0
    assert.is_false((cancela.timeout(1, cancela.all, function()
      while turns < 10 do
        turns = turns + 1
        pcall(function() pcall(cancela.sleep, 10) end)
        cancela.sleep(0.01)
      end
    end)))
    assert.equal(1, turns)
  end)
end)
