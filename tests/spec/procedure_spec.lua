-- Procedures: their options, the call object, and authorize.
local cancela = require "cancela"
local json = cancela.json
local testing = require "cancela.testing"

describe("a procedure", function()
  it("may await, return, and be called again while it does", function()
    local inside, most = 0, 0
    local app = testing.app { p = function()
      inside = inside + 1
      most = math.max(most, inside)
      cancela.sleep(1)
      inside = inside - 1
      return inside
    end }
    assert.equal(0, app:call "p")
    assert.equal(0, app:call "p")
    assert.equal(1, most)
  end)

  it("drops null members of params, or keeps them", function()
    local function count(params)
      local n = 0
      for _ in pairs(params) do
        n = n + 1
      end
      return n
    end
    local app = testing.app {
      drops = count,
      also_drops = cancela.procedure { nulls = "drop", run = count },
      keeps = cancela.procedure { nulls = "keep", run = function(params) return params.a == json.null end },
    }
    assert.equal(1, app:call("drops", { a = json.null, b = 1 }))
    assert.equal(1, app:call("also_drops", { a = json.null, b = 1 }))
    assert.is_true(app:call("keeps", { a = json.null, b = 1 }))
  end)

  it("answers an empty table as an object, or as an array if it says so", function()
    local text = {}
    for name, procedure in pairs {
      object = function() return {} end,
      array = cancela.procedure { result = { type = "array" }, run = function() return {} end },
    } do
      text[name] = json.encode((testing.app { p = procedure }:call "p"))
    end
    assert.same({ object = "{}", array = "[]" }, text)
  end)

  it("answers its first result", function()
    assert.equal(1, testing.app({ p = function() return 1, 2, 3 end }):call "p")
  end)

  it("answers internal when JSON cannot hold its result", function()
    for _, result in ipairs { print, 0 / 0, "\xff", { 1, a = 2 } } do
      local _, err = testing.app({ p = function() return result end }):call "p"
      assert.equal("internal", err.code)
    end
  end)

  it("may be a function that takes any arguments", function()
    local app = testing.app { p = function(...) return select("#", ...) end }
    assert.equal(2, app:call "p")
  end)
end)

describe("call", function()
  local function seen_by(read, ...)
    local value
    testing.app({ ["a.b"] = function(_, call) value = read(call) end }):call("a.b", ...)
    return value
  end

  it("tells what is called, by whom, and how", function()
    assert.equal("a.b", seen_by(function(call) return call.procedure end))
    assert.equal("127.0.0.1:0", seen_by(function(call) return call.peer end))
    assert.equal("testing", seen_by(function(call) return call.protocol end))
    assert.equal(1, seen_by(function(call) return call.generation end))
    assert.equal("integer", math.type(seen_by(function(call) return call.id end)))
    assert.same({}, seen_by(function(call) return call.headers end))
    assert.is_nil(seen_by(function(call) return call.identity end))
    assert.is_nil(seen_by(function(call) return call.no_such_field end))
  end)

  it("has one token, that of the call", function()
    assert.is_true(seen_by(function(call)
      return call.token == call.token and call.token == cancela.token()
        and select(2, cancela.timeout(1, function() return call.token ~= cancela.token() end))
    end))
  end)

  it("is read-only", function()
    assert.matches("a call is read%-only: cannot set x", seen_by(function(call)
      return select(2, pcall(function() call.x = 1 end))
    end))
  end)

  it("when it is over knows its id and token, names what it does not know, and aborts nothing", function()
    local call = seen_by(function(call) return call.token and call end)
    assert.equal("integer", math.type(call.id))
    assert.is_false(call.token.cancelled)
    assert.error_matches(function() return call.peer == nil end, "call.peer: the call is over")
    assert.is_false(call:abort())
  end)

  it("refuses a reason to abort that is no string", function()
    assert.matches("bad argument #1 to 'abort'", seen_by(function(call)
      return select(2, pcall(function() call:abort {} end))
    end))
  end)
end)

describe("authorize", function()
  local entered

  local function call(authorize, options)
    entered = false
    return testing.app(cancela.app {
      authorize = authorize,
      procedures = { p = function(_, call)
        entered = true
        return call.identity
      end },
    }):call("p", {}, options)
  end

  it("admits with true, without an identity", function()
    local identity, err = call(function() return true end)
    assert.is_nil(identity)
    assert.is_nil(err)
    assert.is_true(entered)
  end)

  it("admits with any other true value, which is the identity", function()
    for _, identity in ipairs { "ada", 7, { user = "ada", roles = { "x" } } } do
      assert.same(identity, (call(function() return identity end)))
    end
  end)

  it("refuses with false, nil and nothing as unauthenticated, and the body never runs", function()
    for _, refuse in ipairs { function() return false end, function() return nil end, function() end } do
      local _, err = call(refuse)
      assert.same({ "unauthenticated", -32016 }, { err.code, err.number })
      assert.is_false(entered)
    end
  end)

  it("refuses with a typed error as it is", function()
    local _, err = call(function() cancela.error { code = "permission_denied", message = "no" } end)
    assert.same({ "permission_denied", "no" }, { err.code, err.message })
    assert.is_false(entered)
  end)

  it("refuses with any other error as internal", function()
    for _, value in ipairs { "secret", { true }, true } do
      local _, err = call(function() error(value) end)
      assert.equal("internal", err.code)
      assert.is_nil(err.message:find "secret")
      assert.is_false(entered)
    end
  end)

  it("may await, and is cancelled like the body", function()
    assert.equal("ada", call(function() cancela.sleep(1) return "ada" end))
    local _, err = call(function() cancela.sleep(10) return true end, { cancel_after = 1 })
    assert.equal("canceled", err.code)
    assert.is_false(entered)
    _, err = call(function()
      pcall(cancela.sleep, 10)
      return true
    end, { timeout = 1 })
    assert.equal("deadline_exceeded", err.code)
    assert.is_false(entered)
    _, err = call(function(call) return call:abort() end)
    assert.equal("aborted", err.code)
    assert.is_false(entered)
  end)

  it("sees the call, and is not asked about procedures that are not there", function()
    local asked
    local app = testing.app(cancela.app {
      authorize = function(call)
        asked = call.procedure
        return true
      end,
      procedures = { p = function() end },
    })
    app:call "p"
    assert.equal("p", asked)
    asked = nil
    assert.equal("unimplemented", select(2, app:call "q").code)
    assert.is_nil(asked)
  end)
end)
