-- Declared parameters: checked before the body runs, filled in, and told by rpc.discover.
local cancela = require "cancela"
local json = cancela.json
local testing = require "cancela.testing"

local function app(params, options)
  local spec = { params = params, run = function(p) return p end }
  for name, value in pairs(options or {}) do
    spec[name] = value
  end
  return testing.app { p = cancela.procedure(spec) }
end

local order = {
  properties = {
    items = {
      type = "array",
      minItems = 1,
      items = {
        type = "object",
        properties = { price = { type = "number", minimum = 0 }, count = { type = "integer", default = 1 } },
        required = { "price" },
        additionalProperties = false,
      },
    },
    at = { type = "string", format = "date-time" },
  },
  required = { "items" },
}

describe("declared params", function()
  for what, case in pairs {
    ["a missing member"] = { {}, "params.items", "required", "params.items: is missing" },
    ["absent params that lack a member"] = { nil, "params.items", "required", "params.items: is missing" },
    ["params of the other structure"] =
      { json.array { 1 }, "params", "type", "params: must be of type object, is an array" },
    ["a value out of range"] = {
      { items = { { price = 1 }, { price = -1 } } },
      "params.items[1].price", "minimum", "params.items[1].price: must be at least 0, is -1",
    },
    ["an unknown member"] = {
      { items = { { prise = 1 } } },
      "params.items[0].prise", "additionalProperties",
      "params.items[0].prise: there is no such member; did you mean 'price'?",
    },
    ["a string of another format"] = {
      { items = { { price = 1 } }, at = "noon" },
      "params.at", "format", "params.at: must be in the format date-time, such as 2026-11-22T13:35:07Z",
    },
  } do
    it("refuse " .. what .. ", and the body does not run", function()
      local ran = false
      local a = app(order, { run = function() ran = true end })
      local result, err = a:call("p", case[1])
      assert.is_nil(result)
      assert.equal("invalid_argument", err.code)
      assert.equal(case[4], err.message)
      assert.same({ code = "invalid_argument", path = case[2], rule = case[3] },
        { code = "invalid_argument", path = err.data.path, rule = err.data.rule })
      assert.is_false(ran)
    end)
  end

  it("pass what fits, with defaults filled in and integers as integers", function()
    local a = app(order, { run = function(p)
      return { p.items[1].count, math.type(p.items[2].count), #p.items }
    end })
    assert.same({ 1, "integer", 2 }, a:call("p", { items = { { price = 1 }, { price = 2, count = 3.0 } } }))
  end)

  it("may be positional", function()
    local integer = { type = "integer" }
    local a = app { type = "array", prefixItems = { integer, integer }, minItems = 2, items = false }
    assert.same({ 1, 2 }, a:call("p", json.array { 1, 2 }))
    for _, wrong in ipairs { json.array { 1 }, json.array { 1, 2, 3 }, json.array { 1, "2" }, json.object {} } do
      assert.equal("invalid_argument", select(2, a:call("p", wrong)).code)
    end
    assert.equal("params: must have at least 2 elements, has 0", select(2, a:call "p").message)
  end)

  it("are empty where the client sent none", function()
    assert.same({ a = 1 }, app { properties = { a = { default = 1 } } }:call "p")
    assert.equal("[]", json.encode((app { type = "array" }:call "p")))
  end)

  it("take a null member as absent, unless its type takes null or nulls are kept", function()
    local schema = { properties = { a = { type = "integer", default = 1 }, b = { type = { "integer", "null" } } },
      required = { "b" } }
    local function members(p)
      return { p.a, p.b == nil and "absent" or p.b == json.null and "null" }
    end
    assert.same({ 1, "absent" }, app(schema, { run = members }):call("p", { a = json.null, b = json.null }))
    assert.same({ 2, "null" }, app(schema, { run = members, nulls = "keep" }):call("p", { a = 2, b = json.null }))
    local _, err = app(schema, { nulls = "keep" }):call("p", { a = json.null, b = 1 })
    assert.equal("params.a: must be of type integer, is null", err.message)
  end)

  it("are not looked at before authorize has admitted the call", function()
    local admits, seen = false, 0
    local a = testing.app(cancela.app {
      authorize = function()
        seen = seen + 1
        return admits
      end,
      procedures = { p = cancela.procedure { params = order, run = function() end } },
    })
    assert.equal("unauthenticated", select(2, a:call("p", { items = 1 })).code)
    admits = true
    local _, err = a:call("p", { items = 1 })
    assert.equal("params.items: must be of type array, is a number", err.message)
    assert.equal(2, seen)
  end)

  it("hide no schema that was changed since it was declared", function()
    local schema = { properties = {} }
    local procedure = cancela.procedure { params = schema, run = function() end }
    schema.properties = 1
    assert.error_matches(function()
      testing.app { p = procedure }
    end, "procedure 'p': params%.properties: must be a table of names and schemas %(changed since it was declared%)")
  end)

  it("may have defaults that are tables", function()
    local a = app { properties = { deep = { default = { { { 1 } } } } } }
    assert.same({ { { 1 } } }, a:call("p", {}).deep)
  end)

  it("leave nothing behind, however many calls are refused", function()
    local a, before = app(order), cancela.stats().tasks
    for _ = 1, 1000 do
      assert.equal("invalid_argument", select(2, a:call("p", {})).code)
    end
    assert.equal(before, cancela.stats().tasks)
  end)
end)

describe("rpc.discover", function()
  it("lists procedures with what they declare", function()
    local a = testing.app(cancela.app {
      info = { title = "Orders", version = "1.2", description = "of a shop" },
      procedures = {
        b = cancela.procedure {
          summary = "Buys", timeout = 5, read_only = true, preemptible = true, cancel = "manual",
          params = { properties = { z = { type = "integer", default = 1 }, a = { description = "the a" } },
            required = { "a" } },
          result = { type = "string" },
          run = function() end,
        },
        a = function() end,
      },
    })
    local document = a:call "rpc.discover"
    assert.equal("1.3.2", document.openrpc)
    assert.same({ title = "Orders", version = "1.2", description = "of a shop" }, document.info)
    assert.equal("a", document.methods[1].name)
    assert.same({}, document.methods[1].params)
    assert.is_nil(document.methods[1]["x-params"])
    assert.same({ timeout_ms = 30000 }, document.methods[1]["x-cancela"])
    local b = document.methods[2]
    assert.equal("Buys", b.summary)
    assert.equal("by-name", b.paramStructure)
    assert.same({
      { name = "a", description = "the a", required = true, schema = { description = "the a" } },
      { name = "z", required = false, schema = { type = "integer", default = 1 } },
    }, b.params)
    assert.same({ name = "result", schema = { type = "string" } }, b.result)
    assert.same({ timeout_ms = 5000, read_only = true, preemptible = true, cancel = "manual" }, b["x-cancela"])
    assert.equal("object", b["x-params"].type)
    assert.equal(-32602, b.errors[1].code)
  end)

  it("names positions that have no title", function()
    local a = app { type = "array", prefixItems = { { title = "first" }, {} }, minItems = 1 }
    local method = a:call("rpc.discover").methods[1]
    assert.equal("by-position", method.paramStructure)
    assert.same({ { "first", true }, { "param2", false } },
      { { method.params[1].name, method.params[1].required }, { method.params[2].name, method.params[2].required } })
  end)

  it("asks authorize, as a call of that name", function()
    local asked
    local a = testing.app(cancela.app {
      authorize = function(call)
        asked = call.procedure
        return false
      end,
      procedures = { p = function() end },
    })
    assert.equal("unauthenticated", select(2, a:call "rpc.discover").code)
    assert.equal("rpc.discover", asked)
  end)
end)

describe("declared params of a procedure of text or bytes", function()
  it("are refused, for what it takes is a string", function()
    for _, payload in ipairs { "text", "bytes" } do
      assert.error_matches(function() app({ type = "object" }, { payload = payload }) end,
        "params declares a table, but payload = '" .. payload .. "' is a string")
    end
    app({ type = "object" }, { payload = "json" })
  end)
end)
