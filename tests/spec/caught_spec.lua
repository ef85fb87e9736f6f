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

describe("a Cancel that an error in clean-up has taken the place of", function()
  local function failing()
    local _ <close> = closing(function() error("in clean-up", 0) end)
    cancela.sleep(10)
  end

  --- How long body() goes on after it is cancelled, and what it noted.
  local function after_cancel(body)
    local began, noted = cancela.now(), {}
    local ok = cancela.timeout(1, body, noted)
    assert.is_false(ok)
    return cancela.now() - began - 1, noted
  end

  it("is raised again at once by the next await once a pcall has caught the error", function()
    local took, noted = after_cancel(function(noted)
      noted.ok, noted.error = pcall(failing)
      cancela.sleep(0.1)
      noted.reached = true
    end)
    assert.near(0, took, 1e-6)
    assert.same({ ok = false, error = "in clean-up" }, noted)
  end)

  it("ends a retry loop at its second turn", function()
    local turns = 0
    local ok, e = pcall(cancela.timeout, 1, function()
      while turns < 10 do
        turns = turns + 1
        pcall(failing)
      end
    end)
    assert.same({ false, "in clean-up", 2 }, { ok, e, turns })
  end)

  it("is not forgotten by errors that are raised and caught after it", function()
    local took = after_cancel(function()
      pcall(failing)
      for _ = 1, 10 do
        pcall(error, "another")
        cancela.sleep(0.01)
      end
    end)
    assert.near(0, took, 1e-6)
  end)

  it("lets outer clean-up await if the error is raised again", function()
    local began, noted = cancela.now(), {}
    local ok, e = pcall(cancela.timeout, 1, function()
      local _ <close> = closing(function()
        cancela.sleep(0.1)
        noted[#noted + 1] = "cleaned"
      end)
      local _, e = pcall(failing)
      noted[#noted + 1] = "released"
      error(e, 0)
    end)
    assert.is_false(ok)
    assert.equal("in clean-up", e)
    assert.near(1.1, cancela.now() - began, 1e-6)
    assert.same({ "released", "cleaned" }, noted)
  end)

  it("is raised again at once if coroutine.resume or close has caught the error", function()
    for _, catch in ipairs {
      function() return coroutine.resume(coroutine.create(failing)) end,
      function()
        local co = coroutine.create(function()
          local _ <close> = closing(failing)
          coroutine.yield()
        end)
        coroutine.resume(co)
        return coroutine.close(co)
      end,
    } do
      local took, noted = after_cancel(function(noted)
        noted.ok, noted.error = catch()
        cancela.sleep(0.1)
        noted.reached = true
      end)
      assert.near(0, took, 1e-6)
      assert.same({ ok = false, error = "in clean-up" }, noted)
    end
  end)
end)

describe("a Cancel that spawn raises inside a shield", function()
  it("is raised again, so that outer clean-up may await", function()
    local cleaned = false
    assert.is_false((cancela.timeout(1, function()
      local _ <close> = closing(function()
        cancela.sleep(0.1)
        cleaned = true
      end)
      cancela.group(function(g)
        pcall(cancela.sleep, 10)
        cancela.shield(1, g.spawn, g, print)
      end)
    end)))
    assert.is_true(cleaned)
  end)
end)
