-- Run it with: cancela test examples/cancellation
-- Time is virtual, so that a sleep of three seconds takes none.
local cancela = require "cancela"
local testing = require "cancela.testing"
local bank = require "bank"

describe("cancellation", function()
  local app = testing.app(require "app")

  it("tells clients their address", function()
    assert.matches("^127%.0%.0%.1:%d+$", app:call "myip")
  end)

  it("makes text uppercase", function()
    assert.equal("HELLO", app:call("uppercase", "hello")) -- as in a binary frame
    assert.equal("HELLO", app:call("uppercase", { "hello" })) -- as in JSON
  end)

  it("refuses to make anything else uppercase", function()
    for _, params in ipairs { { 42 }, { text = "hello" }, { "a", "b" }, "\xff" } do
      local _, err = app:call("uppercase", params)
      assert.equal("invalid_argument", err.code)
    end
  end)

  it("takes pings and broadcasts from clients that cannot be notified", function()
    assert.is_nil(app:call("ping", "hi", { notification = true }))
    assert.is_nil(app:call("broadcast", "hi", { notification = true }))
  end)

  describe("long_running_task", function()
    it("takes three seconds, in either spelling", function()
      local began = cancela.now()
      assert.equal("done!", app:call "long_running_task")
      assert.equal("done!", app:call "long_runing_task")
      assert.near(6, cancela.now() - began, 0.001)
    end)

    it("ends at once when the client resets it", function()
      local began = cancela.now()
      local _, err = app:call("long_running_task", {}, { cancel_after = 1 })
      assert.equal("canceled", err.code)
      assert.near(1, cancela.now() - began, 0.001)
    end)

    it("ends at the client's deadline", function()
      local _, err = app:call("long_running_task", {}, { timeout = 0.5 })
      assert.equal("deadline_exceeded", err.code)
    end)
  end)

  describe("transfer", function()
    local function transfer(amount, options)
      return app:call("transfer", { from = "ada", to = "grace", amount = amount }, options)
    end

    it("moves the money", function()
      assert.equal(10, transfer(10))
      assert.equal(90, bank.balance "ada")
    end)

    it("is rolled back when it is cancelled halfway", function()
      local _, err = transfer(50, { cancel_after = 1 })
      assert.equal("canceled", err.code)
      assert.equal(90, bank.balance "ada")
      assert.equal(10, bank.balance "grace")
    end)

    it("is rolled back when it fails halfway", function()
      local _, err = app:call("transfer", { from = "ada", to = "nobody", amount = 50 })
      assert.equal("not_found", err.code)
      assert.equal(90, bank.balance "ada")
    end)

    it("leaves all of the money or none where it was, whenever it is cancelled", function()
      for after = 0, 2.5, 0.01 do
        transfer(1, { cancel_after = after })
        assert.equal(100, bank.balance "ada" + bank.balance "grace")
      end
    end)
  end)
end)
