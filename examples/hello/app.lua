-- The smallest useful app: a sum, and a task that takes its time and can be cancelled at any moment.
local cancela = require "cancela"

return cancela.app {
  procedures = {
    add = cancela.procedure {
      summary = "Adds two numbers",
      params = {
        properties = { a = { type = "number" }, b = { type = "number" } },
        required = { "a", "b" },
      },
      run = function(params)
        return params.a + params.b
      end,
    },

    long_running_task = cancela.procedure {
      summary = "Takes a minute; cancel it whenever you like",
      timeout = 120,
      run = function(_, call)
        local started = cancela.now()
        local _ <close> = cancela.defer(function(err)
          if err then
            cancela.log.info("long_running_task was cancelled", {
              after = ("%.3f s"):format(cancela.now() - started),
              reason = call.token.reason.kind,
            })
          end
        end)
        cancela.sleep(60)
        return "done!"
      end,
    },
  },
}
