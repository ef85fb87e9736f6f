-- Cases of docs/cancellation-cases.md that no other spec shows alone.
local cancela = require "cancela"
local testing = require "cancela.testing"
local binary = require "support.binary"

local function call(run, options)
  return testing.app({ p = run }):call("p", {}, options)
end

local function closing(fn)
  return setmetatable({}, { __close = function(_, e) fn(e) end })
end

describe("a call that is cancelled", function()
  it("case 5: has nothing remaining, and the deadline that it had", function()
    local before, after, remaining
    call(function(_, call)
      local token = call.token
      before = token.deadline
      local _ <close> = closing(function()
        after, remaining = token.deadline, token.remaining
      end)
      cancela.sleep(10)
    end, { cancel_after = 1, timeout = 5 })
    assert.equal(0, remaining)
    assert.equal(before, after)
  end)

  it("case 9: by an inner timeout can do all the usual with the Cancel that it kept", function()
    local saved
    cancela.timeout(1, function()
      local _ <close> = closing(function(e) saved = e end)
      cancela.sleep(2)
    end)
    for _ = 1, 3 do
      local ok, e = pcall(function()
        cancela.sleep(0.1)
        error(saved)
      end)
      assert.is_false(ok)
      assert.is_true(rawequal(saved, e))
    end
    assert.same({ false, "handled" }, { xpcall(error, function() return "handled" end, saved) })
  end)

  it("case 10: by itself, and returns without an await, has its value dropped", function()
    local value, err = call(function(_, call)
      call:abort "enough"
      return "ignored"
    end)
    assert.is_nil(value)
    assert.equal("aborted", err.code)
  end)

  it("case 45: cancels another from a callback, whose own callbacks run later and once", function()
    local trace = {}
    local function note(what) trace[#trace + 1] = what end
    local _, err = call(function(_, outer)
      outer.token:on_cancel(function(reason) note("outer: " .. reason.message) end)
      call(function(_, inner)
        inner.token:on_cancel(function()
          note "first"
          note(outer:abort "by the other")
          note(outer:abort "again")
          note "last"
        end)
        cancela.sleep(10)
      end, { cancel_after = 1 })
    end)
    assert.same({ "first", true, false, "last", "outer: by the other" }, trace)
    assert.equal("aborted", err.code)
  end)
end)

describe("the log of a cancelled call", function()
  --- What a spec that runs `body` as a call which aborts itself writes to its log.
  local function logged(body)
    local output = binary.test(([[
      local cancela, testing = require "cancela", require "cancela.testing"
      it("aborts", function()
        testing.app({ p = function(_, call) %s end }):call "p"
      end)
    ]]):format(body))
    assert.matches("1 success", output)
    return output
  end

  it("case 29: has the error of its clean-up, with a traceback", function()
    local output = logged [[
      local _ <close> = setmetatable({}, { __close = function() error "broken" end })
      call:abort()
      cancela.sleep(0)
    ]]
    assert.matches("ERROR error while cleaning up call=%d+ procedure=p: [^\n]*broken\n[^\n]*stack traceback:", output)
  end)

  it("case 41: has the error of its on_cancel function, once", function()
    local output = logged [[
      call.token:on_cancel(function() error "broken" end)
      call:abort()
      cancela.sleep(0)
    ]]
    local _, count = output:gsub("ERROR error in an on_cancel function: [^\n]*broken", "")
    assert.equal(1, count)
  end)

  it("case 89: has none of its reason's line feeds and control bytes", function()
    local output = logged [[
      call:abort "one\nERROR forged\27[31m \xff two"
      cancela.sleep(0)
    ]]
    assert.is_nil(output:find "\nERROR forged")
    assert.is_nil(output:find "\27[31m", 1, true)
    assert.is_nil(output:find "\xff", 1, true)
  end)
end)

describe("a function registered on the token of another call", function()
  --- Runs `run` in a call, with the token of one that lives on.
  local function guest(run)
    local token = cancela.token()
    return testing.app({ p = function(_, call) return run(token, call) end })
  end

  it("case 47: is gone when the call that registered it is", function()
    local held = setmetatable({}, { __mode = "k" })
    local app = guest(function(token)
      local fn = function() return held end
      held[fn] = true
      token:on_cancel(fn)
    end)
    for _ = 1, 1100 do -- more than one token takes
      local _, err = app:call "p"
      assert.is_nil(err)
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(held))
  end)

  it("case 47: is gone too when that call was cancelled, or removed it", function()
    local app = guest(function(token)
      token:on_cancel(error):remove()
      token:on_cancel(error)
      cancela.sleep(10)
    end)
    for _ = 1, 1100 do
      app:call("p", {}, { cancel_after = 1 })
    end
  end)

  it("case 47: runs once if the token is cancelled first, also in clean-up", function()
    local trace = {}
    local outer = testing.app { p = function(_, call)
      local token = call.token
      testing.app({ q = function()
        token:on_cancel(function() trace[#trace + 1] = "registered in the body" end)
        local _ <close> = closing(function()
          token:on_cancel(function() trace[#trace + 1] = "registered in clean-up" end)
        end)
        cancela.sleep(10)
      end }):call "q"
    end }
    outer:call("p", {}, { cancel_after = 1 })
    table.sort(trace)
    assert.same({ "registered in clean-up", "registered in the body" }, trace)
  end)
end)

describe("Lua", function()
  --- Leaves a loop whose body makes a closure, by break.
  local function leave(closing_value)
    for _, v in next, { 1 }, nil, closing_value do
      local _ = function() return v end
      if v == 1 then break end
    end
  end

  it("case 37: closes the closing value of a for loop at the end of the function at the latest", function()
    local closed = false
    leave(closing(function() closed = true end))
    assert.is_true(closed)
  end)

  it("case 37: closes a variable around a for loop in time", function()
    local closed = false
    do
      local _ <close> = closing(function() closed = true end)
      for _, v in next, { 1 } do
        local _ = function() return v end
        if v == 1 then break end
      end
    end
    assert.is_true(closed)
  end)
end)
