local testing = require "cancela.testing"

describe("hello", function()
  local app = testing.app(require "app")

  it("adds", function()
    assert.equal(42, app:call("add", { a = 2, b = 40 }))
  end)

  it("says which number is missing", function()
    local _, err = app:call("add", { a = 2 })
    assert.equal("invalid_argument", err.code)
    assert.equal("params.b: is missing", err.message)
  end)

  it("finishes its long task, a minute later on the virtual clock", function()
    assert.equal("done!", app:call("long_running_task"))
  end)

  it("ends its long task when the client resets it", function()
    local result, err = app:call("long_running_task", {}, { cancel_after = 1 })
    assert.is_nil(result)
    assert.equal("canceled", err.code)
  end)

  it("ends its long task at the client's deadline", function()
    local _, err = app:call("long_running_task", {}, { timeout = 0.5 })
    assert.equal("deadline_exceeded", err.code)
  end)
end)
