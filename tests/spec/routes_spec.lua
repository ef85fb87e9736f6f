local cancela = require "cancela"
local testing = require "cancela.testing"

local function one(key, run)
  return testing.app(cancela.app { procedures = {}, routes = { [key] = run } })
end

describe("routes", function()
  it("are asked with method, path, query, headers and body", function()
    local app = one("POST /users/:id/*", function(request)
      return { status = 201, headers = { ["X-A"] = { "1", "2" } }, body = {
        params = request.params, query = request.query, all = request:values "x", body = request:json(),
        header = request.headers["x-b"], method = request.method, protocol = request.protocol,
      } }
    end)
    local response = app:request("POST", "/users/a%20b/c/d?x=1&x=2", { headers = { ["X-B"] = "b" }, body = { n = 1 } })
    assert.equal(201, response.status)
    assert.equal("1, 2", response.headers["x-a"])
    assert.equal("application/json", response.headers["content-type"])
    assert.same({ params = { id = "a b", ["*"] = "c/d" }, query = { x = "2" }, all = { "1", "2" }, body = { n = 1 },
      header = "b", method = "POST", protocol = "http" }, response:json())
  end)

  it("return strings, nil and pieces", function()
    local plain = one("GET /", function() return "hi" end):request("GET", "/")
    assert.equal("text/plain; charset=utf-8", plain.headers["content-type"])
    assert.equal(204, one("GET /", function() end):request("GET", "/").status)
    local n = 0
    local app = one("GET /", function()
      return { body = function()
        n = n + 1
        cancela.sleep(1)
        return n <= 2 and tostring(n) or nil
      end }
    end)
    local response = app:request("GET", "/")
    assert.equal("12", response.body)
    assert.is_false(response.cut)
  end)

  it("answer HEAD without a body, and do not make its pieces", function()
    local app = one("GET /", function()
      return { body = function()
        error "not for HEAD"
      end }
    end)
    local response = app:request("HEAD", "/")
    assert.equal(200, response.status)
    assert.equal("", response.body)
  end)

  it("turn errors into statuses", function()
    local function status(run, options)
      return one("GET /", run):request("GET", "/", options).status
    end
    assert.equal(409, status(function() cancela.error { code = "aborted" } end))
    assert.equal(400, status(function(request) return request:json() end))
    assert.equal(504, status(function() cancela.sleep(99) end))
    assert.equal(504, status(function() cancela.sleep(9) end, { timeout = 1 }))
    assert.equal(499, status(function() cancela.sleep(9) end, { cancel_after = 1 }))
  end)

  it("are cut when the body fails, is late, or the client leaves", function()
    local function pieces(last)
      local n = 0
      return function()
        return { body = function()
          n = n + 1
          return n == 1 and "first" or last()
        end }
      end
    end
    local function check(last, options)
      local response = one("GET /", pieces(last)):request("GET", "/", options)
      assert.equal(200, response.status)
      assert.equal("first", response.body)
      assert.is_true(response.cut)
    end
    check(function() cancela.sleep(99) end)
    check(function() cancela.sleep(9) end, { cancel_after = 1 })
    check(function() cancela.error { code = "aborted" } end)
  end)

  it("know what is not there", function()
    local app = one("GET /a", function() end)
    assert.equal(404, app:request("GET", "/b").status)
    assert.equal(400, app:request("GET", "/a/../b").status)
    local response = app:request("POST", "/a")
    assert.equal(405, response.status)
    assert.equal("GET, HEAD, OPTIONS", response.headers.allow)
  end)

  it("have an identity, and are refused, as procedures are", function()
    local app = testing.app(cancela.app {
      procedures = {},
      authorize = function(call)
        return call.headers.authorization
      end,
      routes = { ["GET /"] = function(request) return request.identity end },
    })
    assert.equal(401, app:request("GET", "/").status)
    assert.equal("me", app:request("GET", "/", { headers = { Authorization = "me" } }).body)
  end)

  it("have nil where a procedure asks for what only requests have", function()
    local app = testing.app { look = function(_, call)
      return { call.method == nil, call.params == nil, call.query == nil, call.body == nil, (pcall(call.json, call)) }
    end }
    assert.same({ true, true, true, true, false }, app:call "look")
  end)
end)
