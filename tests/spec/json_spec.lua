-- The module cancela.json; the codec itself has unit tests.
local json = require "cancela".json

local function round(text, options)
  return json.encode((assert(json.decode(text, options))))
end

describe("json", function()
  it("keeps integers of 64 bits integers", function()
    for _, text in ipairs { "0", "-1", "9223372036854775807", "-9223372036854775808" } do
      assert.equal("integer", math.type((json.decode(text))))
      assert.equal(text, round(text))
    end
  end)

  it("keeps floats floats, to the last digit", function()
    for _, value in ipairs { 0.1, 3.0, -0.0, 1e300, 5e-324, 1 / 3, math.pi } do
      local back = json.decode(json.encode(value))
      assert.equal("float", math.type(back))
      assert.equal(string.pack("d", value), string.pack("d", back))
    end
    assert.equal("float", math.type((json.decode "9223372036854775808")))
    assert.equal("3.0", json.encode(3.0))
  end)

  it("drops null members unless asked to keep them, and always keeps null elements", function()
    assert.same({ b = 1 }, (json.decode '{"a":null,"b":1}'))
    assert.same({ a = json.null, b = 1 }, (json.decode('{"a":null,"b":1}', { nulls = "keep" })))
    assert.same({ 1, json.null, 3 }, (json.decode "[1,null,3]"))
    assert.equal("[1,null,3]", round "[1,null,3]")
    assert.equal(json.null, (json.decode "null"))
    assert.equal('{"a":null}', json.encode { a = json.null })
  end)

  it("tells arrays from objects, also empty ones", function()
    assert.equal("{}", json.encode {})
    assert.equal("[]", json.encode(json.array {}))
    assert.equal("[]", json.encode(json.array()))
    assert.equal("{}", json.encode(json.object {}))
    assert.equal("[]", round "[]")
    assert.equal("{}", round "{}")
    assert.equal("[1,2]", json.encode { 1, 2 })
    assert.equal('{"a":[]}', round '{"a":[]}')
  end)

  it("returns nil and what is wrong with a text, and at which byte", function()
    for text, at in pairs { [""] = 1, ["[1,]"] = 4, ["{'a':1}"] = 2, ["[1"] = 3, ["01"] = 1, ["\"\xff\""] = 2 } do
      local value, message = json.decode(text)
      assert.is_nil(value)
      assert.matches(" at byte " .. at .. "$", message)
    end
  end)

  it("raises, naming the path, what JSON cannot hold", function()
    local cycle = {}
    cycle.self = cycle
    for path, value in pairs {
      ["value.a%[2%]: cannot encode a function"] = { a = { 1, print } },
      ["value.x"] = { x = 0 / 0 },
      ["value.y"] = { y = math.huge },
      ["value%.self"] = cycle,
      ["value%.s"] = { s = "\xff" },
      ["value"] = { 1, a = 2 },
      ["value: cannot encode a thread"] = coroutine.create(print),
    } do
      assert.error_matches(function() json.encode(value) end, path)
    end
    assert.equal("[1]", json.encode { 1 })
  end)

  it("runs no metamethods", function()
    local proxy = setmetatable({ a = 1 }, { __index = error, __pairs = error, __len = error })
    assert.equal('{"a":1}', json.encode(proxy))
  end)

  it("refuses wrong arguments", function()
    assert.error_matches(function() json.decode() end, "bad argument #1 to 'decode'")
    assert.error_matches(function() json.decode(12) end, "bad argument #1 to 'decode'")
    assert.error_matches(function() json.decode("1", 2) end, "bad argument #2 to 'decode'")
    assert.error_matches(function() json.decode("1", { nulls = "drop it" }) end, "bad argument #2 to 'decode'")
    assert.error_matches(function() json.encode() end, "bad argument #1 to 'encode'")
    assert.error_matches(function() json.array(1) end, "bad argument #1 to 'array'")
    assert.error_matches(function() json.object "x" end, "bad argument #1 to 'object'")
  end)
end)
