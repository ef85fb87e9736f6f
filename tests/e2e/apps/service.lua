-- A service of a service manager: what its programs inherit, and ways to be busy.
local cancela = require "cancela"

local function spin()
  cancela.log.info "computes"
  while true do
  end
end

return {
  add = function(params)
    return params.a + params.b
  end,
  wait = function(params)
    cancela.log.info "waits"
    cancela.sleep(params.seconds)
    return "waited"
  end,
  environment = function()
    local pipe <close> = assert(io.popen "env; ls /proc/self/fd")
    return pipe:read "a"
  end,
  getenv = function(params)
    return os.getenv(params.name) or "none"
  end,
  spin = cancela.procedure {
    preemptible = true,
    run = spin,
  },
  hold = spin,
  stuck = function(params)
    setmetatable({}, { __gc = function()
      cancela.log.info "stuck"
      local till = os.time() + params.seconds
      while os.time() < till do
      end
      cancela.log.info "free"
    end })
    collectgarbage()
    return "freed"
  end,
}
