-- Procedures that await, are cancelled and abandon generators inside coroutines.
local cancela = require "cancela"

local function closing(text, seconds)
  return setmetatable({}, { __close = function()
    cancela.sleep(seconds or 0)
    cancela.log.info(text)
  end })
end

return cancela.app {
  procedures = {
    nested = function(params)
      return coroutine.wrap(function()
        local _ <close> = closing("closed " .. params.label .. " outer", 0.02)
        return select(2, assert(coroutine.resume(coroutine.create(function()
          local _ <close> = closing("closed " .. params.label .. " inner", 0.02)
          cancela.log.info("started " .. params.label)
          cancela.sleep(params.seconds)
          return "slept"
        end))))
      end)()
    end,

    abandon = function(params)
      coroutine.wrap(function()
        local _ <close> = cancela.defer(function()
          cancela.sleep(0.02)
          cancela.log.info("closed " .. params.label)
        end)
        coroutine.yield()
      end)()
      collectgarbage()
      collectgarbage()
      return "answer"
    end,

    bare_defer = function()
      coroutine.wrap(function()
        cancela.defer(function() end)
        collectgarbage()
        coroutine.yield()
      end)()
      return "answer"
    end,

    collect = function()
      collectgarbage()
      collectgarbage()
    end,
  },
}
