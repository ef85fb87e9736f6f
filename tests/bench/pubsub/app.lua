-- Publishes so many messages a second on one topic.
local cancela = require "cancela"

return {
  subscribe = function(params, call)
    return call.client:subscribe(params.topic)
  end,

  run = cancela.procedure {
    timeout = 300,
    run = function(params)
      local text, number, ticks = ("x"):rep(params.bytes), 1000000000, cancela.interval(1 / params.rate)
      local last = number + params.messages
      while number < last do
        for _ = 1, math.min(ticks:tick(), last - number) do
          number = number + 1
          cancela.publish("tick", { number, text })
        end
      end
      return cancela.stats().dropped
    end,
  },
}
