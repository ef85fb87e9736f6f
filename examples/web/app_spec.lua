local testing = require "cancela.testing"

describe("the notes", function()
  local app

  before_each(function()
    package.loaded.app = nil
    app = testing.app(require "app")
  end)

  it("are listed, added, read and removed", function()
    assert.same({ { id = 1, text = "buy bread" } }, app:request("GET", "/notes"):json())
    local added = app:request("POST", "/notes", { body = { text = "sell bread" } })
    assert.equal(201, added.status)
    assert.equal("/notes/2", added.headers.location)
    assert.equal("sell bread", app:request("GET", added.headers.location):json().text)
    assert.equal(204, app:request("DELETE", "/notes/2").status)
    assert.equal(404, app:request("GET", "/notes/2").status)
  end)

  it("are refused without a text", function()
    assert.equal(400, app:request("POST", "/notes", { body = "{}" }).status)
    assert.equal(400, app:request("POST", "/notes", { body = "no JSON" }).status)
  end)
end)

describe("the countdown", function()
  local app = testing.app(require "app")

  it("is sent line by line", function()
    assert.equal("2\n1\nlift-off\n", app:request("GET", "/countdown?from=2").body)
  end)

  it("ends with the client", function()
    local response = app:request("GET", "/countdown?from=9", { cancel_after = 2.5 })
    assert.equal("9\n8\n", response.body)
    assert.is_true(response.cut)
    assert.equal(0, testing.tasks())
  end)
end)
