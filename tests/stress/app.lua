-- Procedures for chaos.py: each way a call can wait, end and clean up. `stat` says what is still alive.
local cancela = require "cancela"

local active, callbacks = 0, 0

local function tracked(run)
  return function(params, call)
    active = active + 1
    local _ <close> = cancela.defer(function()
      active = active - 1
    end)
    return run(params, call)
  end
end

local function milliseconds(params)
  return (tonumber(params[1]) or 50) / 1000
end

return cancela.app {
  procedures = {
    echo = function(params)
      return params
    end,
    sleep = tracked(function(params)
      cancela.sleep(milliseconds(params))
      return params
    end),
    cleanup = tracked(function(_, call)
      local _ <close> = cancela.defer(function()
        cancela.sleep(0.02)
      end)
      call.token:on_cancel(function()
        callbacks = callbacks + 1
        cancela.sleep(0.01)
      end)
      call.token:on_cancel(error):remove()
      cancela.sleep(math.random() * 0.2)
      return "clean"
    end),
    timeout = tracked(function()
      return {
        cancela.timeout(math.random() * 0.05, function()
          cancela.sleep(math.random() * 0.05)
          return "in time"
        end),
      }
    end),
    shield = tracked(function()
      cancela.shield(0.03, function()
        cancela.sleep(math.random() * 0.06)
      end)
      cancela.sleep(0.05)
    end),
    swallow = tracked(function()
      for _ = 1, 3 do
        pcall(cancela.sleep, 0.05)
      end
      return true
    end),
    fail = function()
      error "as intended"
    end,
    typed = function()
      cancela.error { code = "not_found", data = { 1, 2 } }
    end,
    abort = tracked(function(_, call)
      call:abort "enough"
      cancela.sleep(1)
    end),
    headers = function(_, call)
      return { call.headers, call.peer, call.request_id, call.id }
    end,
    big = function()
      return ("y"):rep(200000)
    end,
    stat = cancela.procedure {
      read_only = true,
      run = function()
        return { active = active, callbacks = callbacks }
      end,
    },
  },
}
