-- Calls that an operator looks at: they wait, compute, clean up, and hold the VM.
local cancela = require "cancela"

return {
  wait = function()
    cancela.sleep(60)
  end,
  spin = cancela.procedure {
    timeout = 60,
    run = function()
      while true do
      end
    end,
    preemptible = true,
  },
  hold = function()
    while true do
    end
  end,
  clean = function()
    local _ <close> = cancela.defer(function()
      cancela.log.info "cleans up"
      cancela.sleep(60)
    end)
    cancela.sleep(60)
  end,
  stuck = function(params)
    local seen = os.clock() + 0.05 -- for more than a slice: it is seen here
    while os.clock() < seen do
    end
    setmetatable({}, { __gc = function()
      cancela.log.info "stuck"
      local till = os.time() + params.seconds
      while os.time() < till do
      end
    end })
    collectgarbage()
  end,
  add = function(params)
    return params.a + params.b
  end,
}
