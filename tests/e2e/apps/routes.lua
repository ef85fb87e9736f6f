-- Routes of every kind, and the files of the folder that ROUTES_STATIC names.
local cancela = require "cancela"

local function counting(count, at_end)
  local n = 0
  return function()
    n = n + 1
    if n <= count then
      return ("piece %d\n"):format(n)
    end
    return at_end and at_end()
  end
end

return cancela.app {
  static = os.getenv "ROUTES_STATIC",
  authorize = function(call)
    return call.headers["x-refuse"] == nil
  end,
  procedures = {},
  routes = {
    ["GET /users/:id"] = function(request)
      return { body = {
        id = request.params.id, query = request.query, all = request:values "x", method = request.method,
        path = request.path, protocol = request.protocol, procedure = request.procedure, body = request.body,
      } }
    end,
    ["GET /users/me"] = function()
      return "me"
    end,
    ["POST /users"] = function(request)
      return {
        status = 201,
        headers = { Location = "/users/9", ["Set-Cookie"] = { "a=1", "b=2" }, ["X-N"] = 7 },
        body = { got = request:json() },
      }
    end,
    ["DELETE /users/:id"] = function() end,
    ["PUT /echo"] = function(request)
      return { headers = { ["Content-Type"] = "application/octet-stream" }, body = request.body }
    end,
    ["GET /rest/*"] = function(request)
      return request.params["*"]
    end,
    ["POST /n.txt"] = function()
      return "posted"
    end,
    ["GET /status/:n"] = function(request)
      return { status = math.tointeger(tonumber(request.params.n)), body = "text" }
    end,
    ["GET /header/:name"] = function(request)
      return { headers = { [request.params.name] = request.query.v } }
    end,
    ["GET /result/:kind"] = function(request)
      return ({ number = 7, stray = { stauts = 200 }, body = { body = true }, piece = { body = counting(1, function()
        return 7
      end) } })[request.params.kind]
    end,
    ["GET /typed"] = function()
      cancela.error { code = "not_found", message = "no such thing", data = { id = 7 } }
    end,
    ["GET /raises"] = function()
      error "a secret"
    end,
    ["GET /slow"] = cancela.route { timeout = 0.2, run = function()
      cancela.sleep(60)
    end },
    ["GET /wait"] = function(request)
      request.token:on_cancel(function(reason)
        cancela.log.info("wait is gone: " .. reason.kind)
      end)
      cancela.log.info "wait has begun"
      cancela.sleep(20)
    end,
    ["GET /stream"] = function()
      local piece = counting(3)
      return { headers = { ["Content-Type"] = "text/plain" }, body = function()
        cancela.sleep(0.01)
        return piece()
      end }
    end,
    ["GET /breaks"] = function()
      return { body = counting(2, function()
        error "broken"
      end) }
    end,
    ["GET /late"] = cancela.route { timeout = 0.2, run = function()
      return { body = counting(2, function()
        cancela.sleep(60)
      end) }
    end },
    ["GET /flood"] = function()
      local piece = ("x"):rep(65536)
      return { body = function()
        return piece
      end }
    end,
  },
}
