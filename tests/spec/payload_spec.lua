-- Procedures that take and return text or bytes: payload = "text", "bytes".
local cancela = require "cancela"
local testing = require "cancela.testing"

local function app_of(payload, run)
  return testing.app { p = cancela.procedure { payload = payload, run = run } }
end

local function echo(data)
  return data
end

describe("a payload of text", function()
  it("is a string both ways, as it stands or as the one string in a list", function()
    for _, text in ipairs { "", "hello", "grüße\0", '["a"]' } do
      local app = app_of("text", echo)
      assert.equal(text, app:call("p", text))
      assert.equal(text, app:call("p", { text }))
    end
  end)

  it("is empty when nothing was sent", function()
    local app = app_of("text", function(text) return #text .. math.type(#text) end)
    assert.equal("0integer", app:call "p")
    assert.equal("0integer", app:call("p", {}))
    assert.equal("0integer", app:call("p", cancela.json.array {}))
  end)

  it("refuses params that are anything else, and the procedure never runs", function()
    local ran = false
    local app = app_of("text", function() ran = true end)
    local null = cancela.json.null
    for _, params in ipairs { { 1 }, { "a", "b" }, { a = "b" }, { { "a" } }, { true }, { null }, "\xff" } do
      local result, err = app:call("p", params)
      assert.is_nil(result)
      assert.equal("invalid_argument", err.code)
    end
    assert.is_false(ran)
  end)

  it("is not looked at before authorize has admitted the call", function()
    local app = testing.app(cancela.app {
      authorize = function() return false end,
      procedures = { p = cancela.procedure { payload = "text", run = echo } },
    })
    local _, err = app:call("p", "\xff")
    assert.equal("unauthenticated", err.code)
  end)

  it("of nothing is empty, and null in JSON", function()
    local app = app_of("text", function() end)
    assert.equal("", app:call("p", ""))
    assert.is_nil(app:call("p", { "" }))
  end)

  it("answers internal when the result is none", function()
    for _, result in ipairs { 7, true, {}, "\xff" } do
      for _, params in ipairs { "", { "" } } do
        local _, err = app_of("text", function() return result end):call("p", params)
        assert.equal("internal", err.code)
      end
    end
  end)

  it("may await, be cancelled, and raise typed errors", function()
    local app = app_of("text", function(text)
      cancela.sleep(1)
      cancela.error { code = "not_found", message = text }
    end)
    local _, err = app:call("p", "x")
    assert.equal("x", err.message)
    _, err = app:call("p", "x", { cancel_after = 0.5 })
    assert.equal("canceled", err.code)
  end)
end)

describe("a payload of bytes", function()
  local all = {}
  for byte = 0, 255 do
    all[#all + 1] = string.char(byte)
  end
  all = table.concat(all)

  it("is any string both ways", function()
    local app = app_of("bytes", string.reverse)
    assert.equal(all:reverse(), app:call("p", all))
    assert.equal("", app:call("p", ""))
    assert.equal("", app:call "p")
  end)

  it("is base64 in JSON", function()
    local app = app_of("bytes", function(data)
      assert.equal("hi", data)
      return "\xff\xfe"
    end)
    assert.equal("//4=", app:call("p", { "aGk=" }))
    local _, err = app:call("p", { "a" })
    assert.equal("invalid_argument", err.code)
    assert.equal("params[1] must be base64", err.message)
  end)
end)

describe("the option payload", function()
  it("is json, text or bytes", function()
    assert.same({ 1 }, app_of("json", echo):call("p", { 1 }))
    assert.error_matches(function()
      cancela.procedure { payload = "binary", run = echo }
    end, "payload must be 'json' or 'text' or 'bytes'", 1, false)
  end)

  it("decides whether app:call takes a string", function()
    assert.error_matches(function()
      app_of("json", echo):call("p", "text")
    end, "params must be a table: 'p' takes JSON")
  end)

  it("leaves unknown procedures unknown", function()
    local _, err = app_of("text", echo):call("q", "text")
    assert.equal("unimplemented", err.code)
  end)
end)
