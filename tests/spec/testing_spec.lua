-- cancela.testing: calls in memory, on a virtual clock.
local cancela = require "cancela"
local json = cancela.json
local testing = require "cancela.testing"

describe("app:call", function()
  local app = testing.app {
    echo = function(params) return params end,
    type = function(params) return type(params) end,
    sleep = function(params) cancela.sleep(params.seconds) return "slept" end,
    note = function(_, call) return call.is_notification, call.request_id end,
  }

  it("passes params and results as JSON", function()
    local object = { a = 1, b = { 1.5, "x", true } }
    local back = app:call("echo", object)
    assert.same(object, back)
    assert.not_equal(object, back)
    assert.error_matches(function() app:call("echo", { print }) end, "cannot encode a function")
  end)

  it("without params gives the procedure an empty table", function()
    assert.equal("table", app:call "type")
  end)

  it("waits on the virtual clock", function()
    local began = cancela.now()
    assert.equal("slept", app:call("sleep", { seconds = 20 }))
    assert.near(20, cancela.now() - began, 1e-6)
  end)

  it("ends at the client's timeout and when the client cancels", function()
    assert.equal("deadline_exceeded", select(2, app:call("sleep", { seconds = 9 }, { timeout = 1 })).code)
    assert.equal("canceled", select(2, app:call("sleep", { seconds = 9 }, { cancel_after = 1 })).code)
    assert.equal("canceled", select(2, app:call("sleep", { seconds = 9 }, { cancel_after = 0 })).code)
    assert.equal("deadline_exceeded", select(2, app:call("sleep", { seconds = 99 })).code)
    assert.equal("slept", app:call("sleep", { seconds = 1 }, { timeout = 2, cancel_after = 3 }))
  end)

  it("forgets its cancel_after when the call is over", function()
    app:call("echo", {}, { cancel_after = 10 })
    collectgarbage()
    collectgarbage()
    cancela.sleep(20)
  end)

  it("is ended by what cancels the spec, with its clean-up; how it ended is still told", function()
    local cleaned, reason
    local slow = testing.app { p = function(_, call)
      local _ <close> = cancela.defer(function()
        reason = call.token.reason.kind
        cancela.sleep(0.1)
        cleaned = true
      end)
      cancela.sleep(10)
    end }
    local _, _, err = cancela.timeout(1, slow.call, slow, "p")
    assert.equal("canceled", err.code)
    assert.is_true(cleaned)
    assert.equal("disconnect", reason)
  end)

  it("can be nested: a procedure under test may call one", function()
    local outer = testing.app { p = function() return (app:call("echo", { n = 1 })).n end }
    assert.equal(1, outer:call "p")
  end)

  it("runs a notification, whose result nobody gets", function()
    local seen
    local notified = testing.app { p = function(_, call)
      seen = { call.is_notification, call.request_id }
      cancela.sleep(1)
      return "dropped"
    end }
    assert.is_nil((notified:call("p", {}, { notification = true })))
    assert.same({ true, nil }, seen)
    notified:call "p"
    assert.same({ false, 1 }, seen)
  end)

  it("refuses misspelt and wrong options, and wrong params, at the spec's line", function()
    for message, arguments in pairs {
      ["unknown option 'cancel_afer'; did you mean 'cancel_after'?"] = { "echo", {}, { cancel_afer = 1 } },
      ["timeout must be a number of seconds of at least 0"] = { "echo", {}, { timeout = -1 } },
      ["cancel_after must be a number of seconds of at least 0"] = { "echo", {}, { cancel_after = "1" } },
      ["notification must be a boolean"] = { "echo", {}, { notification = 1 } },
      ["params must be a table or a string, not a number"] = { "echo", 5 },
      ["takes a table of options, not a number"] = { "echo", {}, 5 },
    } do
      local _, e = pcall(function()
        app:call(table.unpack(arguments))
      end)
      assert.matches("^tests/spec/testing_spec.lua:%d+: app:call", e)
      assert.is_truthy(e:find(message, 1, true), e)
    end
    assert.error_matches(function() app:call(nil) end, "bad argument #1 to 'call'")
  end)

  it("keeps null in results and in the data of errors", function()
    assert.equal(json.null, (app:call("echo", { json.null }))[1])
  end)
end)

describe("the virtual clock", function()
  it("sleeps a minute in no time", function()
    local real = os.time()
    cancela.sleep(60)
    assert.is_true(os.time() - real < 5)
  end)

  it("wakes sleepers in the order of their times", function()
    local trace = {}
    local function at(seconds)
      return function()
        cancela.sleep(seconds)
        trace[#trace + 1] = seconds
      end
    end
    testing.app({ p = function(_, call)
      for _, seconds in ipairs { 0.3, 0.1, 0.2 } do
        call.token:on_cancel(at(seconds))
      end
      call:abort()
    end }):call "p"
    assert.same({ 0.1, 0.2, 0.3 }, trace)
  end)

  it("stands still while nothing sleeps", function()
    local began = cancela.now()
    for _ = 1, 1000 do
      cancela.checkpoint()
      cancela.sleep(0)
    end
    assert.equal(began, cancela.now())
  end)
end)

describe("assert.cancelled", function()
  it("tells a Cancel, of a kind, from an error and from none", function()
    local function timed_out()
      cancela.timeout(0.1, function()
        assert.cancelled(function() cancela.sleep(1) end, "timeout")
      end)
    end
    timed_out()
    assert.not_cancelled(function() error "e" end)
    assert.not_cancelled(function() end)
    local token
    testing.app({ p = function(_, call) token = call.token call:abort() end }):call "p"
    assert.cancelled(function() token:throw_if_cancelled() end)
    assert.cancelled(function() token:throw_if_cancelled() end, "user")
    assert.not_cancelled(function() token:throw_if_cancelled() end, "timeout")
    local _, failure = pcall(function() assert.cancelled(function() error("broken", 0) end) end)
    assert.matches("to be cancelled.*any reason.*broken", failure.message)
  end)
end)
