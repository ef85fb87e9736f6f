-- Procedures that decide for themselves when to end: cancel = "manual". And code that computes, as far
-- as the virtual clock, which stands still meanwhile, can tell.
local cancela = require "cancela"
local testing = require "cancela.testing"

local GRACE = 0.5

describe("a manual procedure", function()
  local trace
  before_each(function() trace = {} end)

  local function note(text) trace[#trace + 1] = text end

  local function call(run, options)
    local procedure = cancela.procedure { cancel = "manual", run = run }
    return testing.app({ p = procedure }):call("p", {}, options)
  end

  it("answers what it returns within the grace of its deadline", function()
    local result = call(function(_, c)
      local reason = c.token:wait()
      cancela.sleep(0.4)
      return reason.kind
    end, { timeout = 1 })
    assert.equal("timeout", result)
  end)

  it("answers the error that it raises within the grace of its deadline", function()
    local _, err = call(function(_, c)
      c.token:wait()
      cancela.error { code = "failed_precondition", message = "half done" }
    end, { timeout = 1 })
    assert.equal("failed_precondition", err.code)
  end)

  it("is not raised into before grace ends, and then it is", function()
    local began, at = cancela.now(), nil
    local _, err = call(function()
      local ok, e = pcall(cancela.sleep, 60)
      at = cancela.now() - began
      assert.is_false(ok)
      error(e, 0)
    end, { timeout = 1 })
    assert.equal("deadline_exceeded", err.code)
    assert.near(1 + GRACE, at, 1e-6)
  end)

  it("may await, compute, time and group until then", function()
    local result = call(function(_, c)
      c.token:wait()
      cancela.checkpoint()
      assert.is_false((cancela.timeout(0.05, cancela.sleep, 1)))
      local sum = 0
      cancela.group(function(g)
        for i = 1, 3 do g:spawn(function() cancela.sleep(0.05) sum = sum + i end) end
      end)
      return sum
    end, { timeout = 1 })
    assert.equal(6, result)
  end)

  it("is answered at once when its client resets it, and has its grace", function()
    local began = cancela.now()
    local app = testing.app { p = cancela.procedure { cancel = "manual", run = function(_, c)
      note(c.token:wait().kind)
      cancela.sleep(0.4)
      note("ended")
      return "nobody waits for this"
    end } }
    local _, err = app:call("p", {}, { cancel_after = 1 })
    assert.equal("canceled", err.code)
    assert.near(1, cancela.now() - began, 0.5)
    assert.same({ "reset", "ended" }, trace)
  end)

  it("can throw by its token", function()
    local _, err = call(function(_, c)
      while true do
        c.token:throw_if_cancelled()
        cancela.sleep(0.1)
      end
    end, { timeout = 1 })
    assert.equal("deadline_exceeded", err.code)
  end)

  it("is aborted by call:abort, also after its deadline", function()
    local _, err = call(function(_, c)
      c:abort("enough")
      local ok = pcall(cancela.sleep, 0)
      note(tostring(ok))
      return 1
    end)
    assert.equal("aborted", err.code)
    local at
    _, err = call(function(_, c)
      c.token:wait()
      assert.is_false(c:abort("enough"))
      local ok, e = pcall(cancela.sleep, 0)
      at = c.token.reason.kind
      assert.is_false(ok)
      error(e, 0)
    end, { timeout = 1 })
    assert.equal("deadline_exceeded", err.code)
    assert.equal("timeout", at)
    assert.same({ "false" }, trace)
  end)

  it("does not begin if it is cancelled before", function()
    local app = testing.app { p = cancela.procedure { cancel = "manual", run = function() note("ran") end } }
    local _, err = app:call("p", {}, { timeout = 0 })
    assert.equal("deadline_exceeded", err.code)
    assert.same({}, trace)
  end)

  it("runs what is registered at once", function()
    local began, at = cancela.now(), nil
    call(function(_, c)
      c.token:on_cancel(function() at = cancela.now() - began end)
      c.token:wait()
      cancela.sleep(0.2)
    end, { timeout = 1 })
    assert.near(1, at, 1e-6)
  end)

  it("is declared with 'abort' or 'manual', and nothing else", function()
    assert.error_matches(function()
      cancela.procedure { cancel = "never", run = function() end }
    end, "cancel must be 'abort' or 'manual'")
    local procedure = cancela.procedure { cancel = "abort", run = function() cancela.sleep(60) end }
    local began = cancela.now()
    local _, err = testing.app({ p = procedure }):call("p", {}, { timeout = 1 })
    assert.equal("deadline_exceeded", err.code)
    assert.near(1, cancela.now() - began, 1e-6)
  end)
end)

describe("code that computes", function()
  local clock = os.clock -- a global of a spec is looked up by busted's own code, which would be named

  local function burn(seconds)
    local began = clock()
    while clock() - began < seconds do end
  end

  it("has as long as hold_limit, then it is cancelled", function()
    local reason
    local app = testing.app { p = function()
      local ok, e = pcall(burn, 60)
      reason = cancela.is_cancel(e)
      assert.is_false(ok)
      error(e, 0)
    end }
    local _, err = app:call("p", {})
    assert.equal("resource_exhausted", err.code)
    assert.equal("limit", reason.kind)
    assert.matches("manual_spec.lua:%d+: computed for more than 1%.000 s without an await", reason.message)
  end)

  it("lets others run in between if its procedure is preemptible, and not else", function()
    local function ticks(preemptible)
      local count = 0
      cancela.group(function(g)
        local app = testing.app { p = cancela.procedure { preemptible = preemptible, run = function() burn(0.1) end } }
        local done = false
        g:spawn(function() app:call("p", {}) done = true end)
        g:spawn(function()
          while not done do
            count = count + 1
            cancela.sleep(0)
          end
        end)
      end)
      return count
    end
    assert.is_true(ticks(true) > 4)
    assert.is_true(ticks(false) <= 4)
  end)

  it("may be specs themselves, for as long as they like", function()
    burn(1.2)
  end)
end)
