--- Streams: what a call sends before its result, and when that ends.
local cancela = require "cancela"
local testing = require "cancela.testing"

local IDLE = 60 -- stream_idle_timeout

local function stream(run, options)
  local spec = { stream = true, run = run }
  for key, value in pairs(options or {}) do
    spec[key] = value
  end
  return testing.app { it = cancela.procedure(spec) }
end

describe("call:send", function()
  it("sends items, in order, before the result", function()
    local app = stream(function(params, call)
      for i = 1, params.n do
        assert.is_true(call:send { i = i })
      end
      return "done!"
    end)
    local result, err, items = app:call("it", { n = 3 })
    assert.equal("done!", result)
    assert.is_nil(err)
    assert.same({ { i = 1 }, { i = 2 }, { i = 3 } }, items)
  end)

  it("sends what a result may be", function()
    local null = cancela.json.null
    local app = stream(function(_, call)
      call:send(1)
      call:send "text"
      call:send(nil)
      call:send {}
      call:send(cancela.json.array {})
      call:send(1.5)
    end)
    local _, _, items = app:call "it"
    assert.equal(6, #items)
    assert.same({ 1, "text", null }, { items[1], items[2], items[3] })
    assert.equal("{}", cancela.json.encode(items[4]))
    assert.equal("[]", cancela.json.encode(items[5]))
    assert.equal(1.5, items[6])
  end)

  it("has an empty list of items where none was sent", function()
    local _, _, items, progress = stream(function() end):call "it"
    assert.same({}, items)
    assert.is_nil(progress)
  end)

  it("needs a value", function()
    local app = stream(function(_, call)
      call:send()
    end)
    local _, err = app:call "it"
    assert.equal("internal", err.code)
  end)

  it("names what cannot be sent, and the call may go on", function()
    local message
    local app = stream(function(_, call)
      message = select(2, pcall(call.send, call, { f = print }))
      call:send "after"
    end)
    local _, err, items = app:call "it"
    assert.is_nil(err)
    assert.matches("call:send: value%.f", message)
    assert.same({ "after" }, items)
  end)

  it("is an error in a procedure that does not stream", function()
    local message
    local app = testing.app {
      plain = function(_, call)
        message = select(2, pcall(call.send, call, 1))
        return "done!"
      end,
    }
    assert.equal("done!", app:call "plain")
    assert.matches("call:send: 'plain' does not stream: declare it with stream = true", message, 1, true)
  end)

  it("sends strings as they are where the payload is of text or bytes", function()
    for _, payload in ipairs { "text", "bytes" } do
      local message
      local app = stream(function(text, call)
        call:send(text .. "1")
        message = select(2, pcall(call.send, call, 7))
        call:send(text .. "2")
      end, { payload = payload })
      local _, err, items = app:call("it", "a")
      assert.is_nil(err)
      assert.same({ "a1", "a2" }, items)
      assert.matches("call:send: value: must be a string", message)
    end
  end)

  it("is refused for a notification", function()
    local began = false
    local app = stream(function()
      began = true
    end)
    app:call("it", {}, { notification = true })
    assert.is_false(began)
  end)

  it("may be called by subtasks", function()
    local app = stream(function(_, call)
      cancela.all(function()
        cancela.sleep(0.2)
        call:send "second"
      end, function()
        cancela.sleep(0.1)
        call:send "first"
      end)
    end)
    local _, _, items = app:call "it"
    assert.same({ "first", "second" }, items)
  end)

  it("says closed once the call has its reply", function()
    local sent, why
    local app = stream(function(_, call)
      cancela.detach(function()
        cancela.sleep(1)
        sent, why = call:send "late"
      end, { timeout = 5 })
    end)
    local _, _, items = app:call "it"
    cancela.sleep(2)
    assert.same({}, items)
    assert.is_nil(sent)
    assert.equal("closed", why)
  end)

  it("raises when the call was cancelled, and sends nothing more", function()
    local app = stream(function(_, call)
      for i = 1, 10 do
        call:send(i)
        cancela.sleep(1)
      end
    end)
    local _, err, items = app:call("it", {}, { cancel_after = 2.5 })
    assert.equal("canceled", err.code)
    assert.same({ 1, 2, 3 }, items)
  end)

  it("raises at once in a call whose Cancel was caught", function()
    local sent
    local app = stream(function(_, call)
      pcall(cancela.sleep, 10)
      sent = "it was not"
      call:send(1)
      sent = "it was"
    end)
    local _, err, items = app:call("it", {}, { cancel_after = 1 })
    assert.equal("canceled", err.code)
    assert.equal("it was not", sent)
    assert.same({}, items)
  end)

  it("can be selected", function()
    local app = stream(function(_, call)
      local which, sent = cancela.select { cancela.sleep_op(1), call:send_op "item" }
      return { which = which, sent = sent }
    end)
    local result, _, items = app:call "it"
    assert.same({ which = 2, sent = true }, result)
    assert.same({ "item" }, items)
  end)
end)

describe("call:progress", function()
  it("tells how far any procedure is", function()
    local app = testing.app {
      work = function(_, call)
        assert.is_true(call:progress(0.5))
        assert.is_true(call:progress { done = 2 })
        return "done!"
      end,
    }
    local result, err, items, progress = app:call "work"
    assert.equal("done!", result)
    assert.is_nil(err)
    assert.is_nil(items)
    assert.same({ 0.5, { done = 2 } }, progress)
  end)

  it("is dropped where there is nobody to show it to", function()
    local told
    local app = testing.app {
      work = function(_, call)
        told = call:progress(1)
      end,
    }
    app:call("work", {}, { notification = true })
    assert.is_false(told)
  end)

  it("is dropped after the end", function()
    local told
    local app = testing.app {
      work = function(_, call)
        cancela.detach(function()
          cancela.sleep(1)
          told = call:progress(1)
        end, { timeout = 5 })
      end,
    }
    app:call "work"
    cancela.sleep(2)
    assert.is_false(told)
  end)

  it("does not await: it may be told while it cleans up, but goes nowhere", function()
    local told
    local app = testing.app {
      work = function(_, call)
        local _ <close> = cancela.defer(function()
          told = call:progress(1)
        end)
        cancela.sleep(10)
      end,
    }
    local _, err, _, progress = app:call("work", {}, { cancel_after = 1 })
    assert.equal("canceled", err.code)
    assert.is_false(told)
    assert.is_nil(progress)
  end)
end)

describe("the time between items", function()
  local function every(seconds, n)
    return stream(function(_, call)
      for i = 1, n do
        cancela.sleep(seconds)
        call:send(i)
      end
      return "done!"
    end)
  end

  it("may be anything up to stream_idle_timeout, for as long as it likes", function()
    local result, err, items = every(IDLE - 0.001, 30):call "it"
    assert.is_nil(err)
    assert.equal("done!", result)
    assert.equal(30, #items)
  end)

  it("ends the call when it is more", function()
    local began = cancela.now()
    local _, err, items = every(IDLE * 1.02, 30):call "it"
    assert.equal("deadline_exceeded", err.code)
    assert.same({}, items)
    assert.near(IDLE, cancela.now() - began, 0.001)
  end)

  it("begins anew with each item", function()
    local began
    local app = stream(function(_, call)
      for i = 1, 100 do
        call:send(i)
        cancela.sleep(1)
      end
      began = cancela.now()
      call:send "the last"
      cancela.sleep(2 * IDLE)
    end)
    local _, err, items = app:call "it"
    assert.equal("deadline_exceeded", err.code)
    assert.equal(101, #items)
    assert.near(IDLE, cancela.now() - began, IDLE / 60 + 0.01)
  end)

  it("begins anew with progress that was told", function()
    local app = stream(function(_, call)
      for i = 1, 5 do
        cancela.sleep(IDLE - 1)
        call:progress(i)
      end
      return "done!"
    end)
    assert.equal("done!", (app:call "it"))
  end)

  it("does not matter where the client gave a deadline, or the procedure did", function()
    local _, err, items = every(1, 100):call("it", {}, { timeout = 10.5 })
    assert.equal("deadline_exceeded", err.code)
    assert.equal(10, #items)
    local app = stream(function(_, call)
      cancela.sleep(1.5 * IDLE)
      call:send(1)
      cancela.sleep(10)
    end, { timeout = 1.5 * IDLE + 1 })
    _, err, items = app:call "it"
    assert.equal("deadline_exceeded", err.code)
    assert.same({ 1 }, items)
  end)

  it("is what the token says, with what is inside of it", function()
    local own, inner, scope
    local app = stream(function(_, call)
      cancela.timeout(1000, function()
        local child = call.token:child()
        cancela.sleep(30)
        call:send(1)
        own, inner, scope = call.token.remaining, child.remaining, cancela.token().remaining
      end)
    end)
    app:call "it"
    for _, remaining in ipairs { own, inner, scope } do
      assert.is_true(remaining >= IDLE and remaining <= IDLE * 1.02, tostring(remaining))
    end
  end)

  it("is a deadline of a scope inside, too", function()
    local began
    local app = stream(function(_, call)
      call:send(1)
      began = cancela.now()
      cancela.timeout(1000, cancela.sleep, 1000)
    end)
    local _, err = app:call "it"
    assert.equal("deadline_exceeded", err.code)
    assert.near(IDLE, cancela.now() - began, IDLE / 60)
  end)
end)

describe("a stream", function()
  it("must be declared with a boolean", function()
    assert.has_error(function()
      cancela.procedure { stream = "yes", run = function() end }
    end)
  end)

  it("leaves nothing behind when it is cancelled", function()
    local closed = 0
    local app = stream(function(_, call)
      local _ <close> = setmetatable({}, { __close = function()
        closed = closed + 1
      end })
      while true do
        call:send "x"
        cancela.sleep(0.01)
      end
    end)
    for i = 1, 20 do
      app:call("it", {}, { cancel_after = i / 20 })
    end
    assert.equal(20, closed)
    assert.equal(0, testing.tasks())
  end)
end)
