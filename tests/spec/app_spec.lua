-- What cancela.app and cancela.procedure refuse, and where they say the mistake is.
local cancela = require "cancela"
local testing = require "cancela.testing"

local function f() end

describe("cancela.procedure", function()
  for what, case in pairs {
    ["an unknown option, and suggests the nearest"] =
      { { run = f, timout = 1 }, "unknown option 'timout'; did you mean 'timeout'?" },
    ["an unknown option that is near nothing"] = { { run = f, xyzzy = 1 }, "unknown option 'xyzzy'" },
    ["an option that is no name"] = { { f }, "unknown option '1'" },
    ["no function"] = { { summary = "s" }, "run is missing" },
    ["run of another type"] = { { run = 1 }, "run must be a function, not a number" },
    ["summary of another type"] = { { run = f, summary = f }, "summary must be a string, not a function" },
    ["timeout of another type"] = { { run = f, timeout = "1s" }, "timeout must be a number of seconds above 0" },
    ["timeout of 0"] = { { run = f, timeout = 0 }, "timeout must be a number of seconds above 0" },
    ["a negative timeout"] = { { run = f, timeout = -1 }, "timeout must be a number of seconds above 0" },
    ["a timeout that is no number"] = { { run = f, timeout = 0 / 0 }, "timeout must be a number of seconds" },
    ["read_only of another type"] = { { run = f, read_only = 1 }, "read_only must be a boolean, not a number" },
    ["nulls of no meaning"] = { { run = f, nulls = "yes" }, "nulls must be 'drop' or 'keep'" },
    ["result of another type"] =
      { { run = f, result = "array" }, "result must be a schema, such as {type = 'array'}, not a string" },
    ["a mistake in result"] =
      { { run = f, result = { typ = "array" } }, "result: unknown keyword 'typ'; did you mean 'type'?" },
    ["params of another type"] =
      { { run = f, params = 1 }, "params must be a schema, such as {type = 'array'}, not a number" },
    ["params that are no object or array"] =
      { { run = f, params = { type = "string" } }, "params.type: must be 'object' or 'array'" },
    ["a mistake inside params"] = {
      { run = f, params = { properties = { a = { minimun = 1 } } } },
      "params.properties.a: unknown keyword 'minimun'; did you mean 'minimum'?",
    },
    ["params that JSON cannot hold"] =
      { { run = f, params = { properties = { a = { maximum = math.huge } } } },
        "params.properties.a.maximum: cannot encode an infinite number" },
    ["what is no table"] = { f, "takes a table of options, not a function" },
  } do
    it("refuses " .. what, function()
      local here = debug.getinfo(1, "l").currentline
      local ok, e = pcall(function()
        cancela.procedure(case[1])
      end)
      assert.is_false(ok)
      local place = ("tests/spec/app_spec.lua:%d: cancela.procedure"):format(here + 2)
      assert.equal(place, e:sub(1, #place))
      assert.is_truthy(e:find(case[2], 1, true), e)
    end)
  end

  it("copies its options: later changes mean nothing", function()
    local options = { run = function() return 1 end }
    local app = testing.app { p = cancela.procedure(options) }
    options.run = nil
    assert.equal(1, app:call "p")
  end)
end)

describe("cancela.app", function()
  for what, case in pairs {
    ["watch of another type"] = { { procedures = {}, watch = "data.json" },
      "watch must be a list of files and folders, such as {'data.json', 'templates/'}, not a string" },
    ["watch with names"] = { { procedures = {}, watch = { data = "data.json" } },
      "watch must be a list of files and folders, such as {'data.json'}: it has a key 'data'" },
    ["watch with a key that is no position"] = { { procedures = {}, watch = { [0] = "data.json" } },
      "watch must be a list of files and folders, such as {'data.json'}: it has a key 0" },
    ["watch of what is no path"] = { { procedures = {}, watch = { "data.json", 1 } },
      "watch[2] must be a path, not a number" },
    ["watch of an empty path"] = { { procedures = {}, watch = { "" } },
      "watch[1] must be a path, which is not empty and holds no zero byte; '.' is the script's folder" },
    ["watch of a path with a zero byte"] = { { procedures = {}, watch = { "a\0b" } },
      "watch[1] must be a path, which is not empty" },
    ["an unknown option, and suggests the nearest"] =
      { { procedures = {}, autorize = f }, "unknown option 'autorize'; did you mean 'authorize'?" },
    ["no procedures"] = { {}, "procedures is missing" },
    ["procedures of another type"] = { { procedures = f }, "procedures must be a table, not a function" },
    ["authorize of another type"] = { { procedures = {}, authorize = true }, "authorize must be a function" },
    ["info of another type"] = { { procedures = {}, info = "x" }, "info must be a table such as {title = 'Orders'" },
    ["info of no meaning"] =
      { { procedures = {}, info = { name = "x" } }, "info holds 'name'; there are title, version and description" },
    ["a version that is no text"] =
      { { procedures = {}, info = { version = 1 } }, "info holds a version that is no text" },
    ["what is no table"] = { nil, "takes a table of options, not a nil" },
  } do
    it("refuses " .. what, function()
      local _, e = pcall(function()
        cancela.app(case[1])
      end)
      assert.matches("^tests/spec/app_spec.lua:%d+: cancela.app", e)
      assert.is_truthy(e:find(case[2], 1, true), e)
    end)
  end

  local cycle = { a = {} }
  cycle.a.b = cycle

  for what, case in pairs {
    ["a name of JSON-RPC's own"] = { { ["rpc.mine"] = f }, "procedure 'rpc.mine': names that begin with 'rpc.'" },
    ["a table called rpc"] = { { rpc = { mine = f } }, "procedure 'rpc.mine': names that begin with 'rpc.'" },
    ["a slash in a name"] = { { ["a/b"] = f }, "procedure 'a/b': use dots instead of slashes" },
    ["a control character in a name"] = { { ["a\n"] = f }, "no control characters" },
    ["a name that is no string"] = { { [1] = f }, "procedure names must be strings: '1' is a number" },
    ["a nested name that is no string"] = { { chat = { f } }, "procedure names must be strings: 'chat.1' is a number" },
    ["an empty name"] = { { [""] = f }, "procedure names must not be empty" },
    ["an empty nested name"] = { { chat = { [""] = f } }, "procedure names must not be empty: 'chat.'" },
    ["what is no procedure"] =
      { { chat = { join = 1 } }, "procedure 'chat.join' must be a function, a cancela.procedure or a table of them" },
    ["a service declared twice"] = {
        { ["eliza.v1.Eliza"] = { Say = f }, eliza = { v1 = { Eliza = { Say = f } } } },
        "procedure 'eliza.v1.Eliza.Say' is declared twice",
    },
    ["a name declared twice"] = { { ["a.b"] = f, a = { b = f } }, "procedure 'a.b' is declared twice" },
    ["a table that contains itself"] = { cycle, "procedure 'a.b': this table contains itself" },
  } do
    it("refuses, when it is served, " .. what, function()
      local ok, e = pcall(testing.app, case[1])
      assert.is_false(ok)
      assert.is_truthy(e:find(case[2], 1, true), e)
    end)
  end

  it("must be what a script returns, or a table of procedures", function()
    for _, value in ipairs { "text", 1, f, true } do
      local _, e = pcall(testing.app, value)
      local message = "the script must return cancela.app{…} or a table of procedures, not a " .. type(value)
      assert.matches(message, e, 1, true)
    end
    assert.matches("not a nil", select(2, pcall(testing.app)))
  end)

  it("cannot be a procedure alone", function()
    local _, e = pcall(testing.app, cancela.procedure { run = f, summary = "alone" })
    assert.matches("not a cancela.Procedure", e)
  end)

  it("joins the names of nested tables with dots; one table may stand in two places", function()
    local shared = { hello = function(_, call) return call.procedure end }
    local app = testing.app { chat = { room = shared }, other = shared, ["x.y"] = shared.hello }
    assert.equal("chat.room.hello", app:call "chat.room.hello")
    assert.equal("other.hello", app:call "other.hello")
    assert.equal("x.y", app:call "x.y")
  end)

  it("finds each of many procedures, and no other", function()
    local procedures = {}
    for i = 1, 500 do
      procedures["p" .. i] = function() return i end
    end
    local app = testing.app(procedures)
    for i = 1, 500 do
      assert.equal(i, app:call("p" .. i))
    end
    for _, name in ipairs { "p0", "p501", "", "p1 ", "P1", "p" } do
      local value, err = app:call(name)
      assert.is_nil(value)
      assert.same({ "unimplemented", -32601 }, { err.code, err.number })
    end
  end)
end)
