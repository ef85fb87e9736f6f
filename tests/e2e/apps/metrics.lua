-- Calls that end in every way that is counted, and more procedures than are counted one by one.
local cancela = require "cancela"

local procedures = {
  add = function(params)
    return params.a + params.b
  end,
  wait = function()
    cancela.sleep(60)
  end,
  give_up = function(_, call)
    call:abort "no use"
    cancela.sleep(60)
  end,
  fail = function()
    cancela.error { code = "not_found", message = "none" }
  end,
  brief = cancela.procedure {
    timeout = 0.05,
    run = function()
      cancela.sleep(60)
    end,
  },
  hold = function()
    while true do
    end
  end,
  spin = cancela.procedure {
    timeout = 60,
    run = function(params)
      local till = cancela.now() + params.seconds
      while cancela.now() < till do
      end
    end,
    preemptible = true,
  },
  stubborn = function()
    pcall(cancela.sleep, 60)
    return "anyway"
  end,
  stuck = function(params)
    setmetatable({}, { __gc = function()
      cancela.log.info "stuck"
      local till = os.time() + params.seconds
      while os.time() < till do
      end
    end })
    collectgarbage()
  end,
  subscribe = function(params, call)
    call.client:subscribe(params.topic)
  end,
  flood = cancela.procedure {
    timeout = 60,
    run = function(params)
      local pad = ("x"):rep(60000)
      for _ = 1, params.count do
        cancela.publish(params.topic, pad)
        cancela.sleep(0)
      end
    end,
  },
}

for i = 1, 600 do
  procedures["many.p" .. i] = function()
    return i
  end
end

return cancela.app {
  topics = {
    close = { slow = "close", queue = "64KiB" },
    drop = { slow = "drop", queue = "64KiB" },
  },
  procedures = procedures,
  routes = {
    ["GET /hello/:name"] = function(request)
      return "hello " .. request.params.name
    end,
  },
}
