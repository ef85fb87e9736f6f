local testing = require "cancela.testing"
local Rooms = require "rooms"

describe("rooms", function()
  local rooms

  before_each(function()
    rooms = Rooms.new()
  end)

  it("know who is in them", function()
    assert.is_true(rooms:join("tea", 1, "bia"))
    assert.is_true(rooms:join("tea", 2, "ana"))
    assert.is_true(rooms:join("pub", 3, "ana"))
    assert.same({ "ana", "bia" }, rooms:names("tea"))
    assert.same({ "ana" }, rooms:names("pub"))
    assert.same({}, rooms:names("nowhere"))
  end)

  it("hold a name once", function()
    rooms:join("tea", 1, "ana")
    local ok, why = rooms:join("tea", 2, "ana")
    assert.is_nil(ok)
    assert.equal("'ana' is in tea already", why)
    assert.is_true(rooms:join("tea", 1, "ana"))
  end)

  it("end with their last member", function()
    rooms:join("tea", 1, "ana")
    rooms:leave("tea", 1)
    rooms:leave("tea", 1)
    assert.same({}, rooms.members)
  end)

  it("may be left while their list is walked", function()
    rooms:join("tea", 1, "ana")
    rooms:join("tea", 2, "bia")
    for _, member in ipairs(rooms:list("tea")) do
      rooms:leave("tea", member)
    end
    assert.same({}, rooms:list("tea"))
  end)
end)

describe("chat over HTTP", function()
  local app = testing.app(require "app")

  it("says who is in a room", function()
    assert.same({}, app:call("names", { room = "tea" }))
  end)

  it("says what is wrong with a room's name", function()
    for _, params in ipairs { {}, { room = "" }, { room = 7 }, { room = ("x"):rep(1001) } } do
      local _, err = app:call("names", params)
      assert.equal("invalid_argument", err.code)
    end
    assert.same({}, app:call("names", { room = ("x"):rep(1000) }))
  end)

  it("asks for a WebSocket to take part", function()
    for _, name in ipairs { "join", "say", "leave" } do
      local _, err = app:call(name, { room = "tea", text = "hello" })
      assert.equal("failed_precondition", err.code)
    end
  end)
end)
