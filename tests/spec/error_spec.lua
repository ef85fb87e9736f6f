-- cancela.error: typed errors.
local cancela = require "cancela"
local testing = require "cancela.testing"

local numbers = {
  invalid_argument = -32602, unimplemented = -32601, internal = -32603, canceled = -32800,
  deadline_exceeded = -32004, unavailable = -32014, not_found = -32005, permission_denied = -32007,
  unauthenticated = -32016, resource_exhausted = -32008, aborted = -32010, already_exists = -32006,
  failed_precondition = -32009, out_of_range = -32011, data_loss = -32015, unknown = -32002,
}

describe("a typed error", function()
  local app = testing.app { raise = function(params) cancela.error(params) end }

  it("reaches the client with the name and the number of its code", function()
    for code in pairs(numbers) do
      local value, err = app:call("raise", { code = code, message = "m" })
      assert.is_nil(value)
      assert.equal(code, err.code)
      assert.equal("m", err.message)
    end
  end)

  it("has the numbers that the protocol guide names", function()
    for code, number in pairs(numbers) do
      local _, err = app:call("raise", { code = code })
      assert.equal(number, err.number, code)
    end
  end)

  it("has a text of its own where the script gives none", function()
    local _, err = app:call("raise", { code = "not_found" })
    assert.is_string(err.message)
    assert.is_true(#err.message > 0)
  end)

  it("may have an integer for a code", function()
    for _, code in ipairs { 1, -1, 404, -31999, -32769, 2147483647, -2147483648 } do
      local _, err = app:call("raise", { code = code, message = "m" })
      assert.equal(code, err.number)
    end
  end)

  it("carries data as JSON", function()
    local _, err = app:call("raise", { code = "not_found", data = { ids = { 1, 2 }, why = "gone" } })
    assert.same({ ids = { 1, 2 }, why = "gone" }, err.data)
    _, err = app:call("raise", { code = "not_found" })
    assert.is_nil(err.data)
  end)

  it("passes through timeout, shield and pcall as it is", function()
    local _, err = testing.app({ p = function()
      local ok, e = pcall(cancela.timeout, 1, cancela.shield, 1, cancela.error, { code = "not_found" })
      assert(not ok and e.code == "not_found")
      error(e)
    end }):call "p"
    assert.equal("not_found", err.code)
  end)

  it("reads as its code and message", function()
    local _, e = pcall(cancela.error, { code = "not_found", message = "no such user" })
    assert.equal("not_found: no such user", tostring(e))
    assert.same({ "not_found", "no such user" }, { e.code, e.message })
    _, e = pcall(cancela.error, { code = 404 })
    assert.equal("404", tostring(e))
  end)

  it("whose data JSON cannot hold goes without it", function()
    local _, err = testing.app({ p = function()
      cancela.error { code = "not_found", message = "m", data = { f = print } }
    end }):call "p"
    assert.same({ "not_found", "m" }, { err.code, err.message })
    assert.is_nil(err.data)
  end)
end)

describe("cancela.error refuses", function()
  for what, case in pairs {
    ["no code"] = { {}, "code must be a name such as 'not_found' or an integer" },
    ["a code of another type"] = { { code = true }, "code must be a name" },
    ["a float"] = { { code = 1.5 }, "code must be a name" },
    ["an unknown name"] = { { code = "not_fuond" }, "there is no code 'not_fuond'" },
    ["ok"] = { { code = "ok" }, "there is no code 'ok'" },
    ["the first reserved integer"] = { { code = -32768 }, "reserved by JSON%-RPC" },
    ["a reserved integer"] = { { code = -32603 }, "reserved by JSON%-RPC" },
    ["the last reserved integer"] = { { code = -32000 }, "reserved by JSON%-RPC" },
    ["an integer of more than 32 bits"] = { { code = 2147483648 }, "does not fit in 32 bits" },
    ["the integer 0"] = { { code = 0 }, "the code 0 stands for success" },
    ["a message that is no string"] = { { code = "internal", message = {} }, "message must be a string" },
    ["an unknown member"] = { { code = "internal", mesage = "m" }, "unknown member 'mesage'" },
  } do
    it(what .. ", at the script's line", function()
      local here = debug.getinfo(1, "l").currentline
      local _, e = pcall(function()
        cancela.error(case[1])
      end)
      assert.matches(("^tests/spec/error_spec.lua:%d: cancela.error: "):format(here + 2), e)
      assert.matches(case[2], e)
    end)
  end

  it("what is no table", function()
    assert.error_matches(function() cancela.error "not_found" end, "bad argument #1 to 'error'")
    assert.error_matches(function() cancela.error() end, "bad argument #1 to 'error'")
  end)
end)

describe("an error that is not typed", function()
  it("reaches the client as internal, without its text", function()
    for _, value in ipairs { "secret", { code = "not_found" }, 12, setmetatable({}, { __tostring = error }) } do
      local _, err = testing.app({ p = function() error(value) end }):call "p"
      assert.same({ "internal", -32603 }, { err.code, err.number })
      assert.is_nil(err.message:find "secret")
      assert.is_nil(err.data)
    end
  end)

  it("of nil is internal too", function()
    local _, err = testing.app({ p = function() error() end }):call "p"
    assert.equal("internal", err.code)
  end)
end)
