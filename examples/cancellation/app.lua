-- What happens to a call when its client goes away, resets it, or its deadline passes: the await it is
-- in raises, its <close> variables run, and they may await too.
local cancela = require "cancela"
local bank = require "bank"

return cancela.app {
  procedures = {
    -- The address of the client. The call object says who calls, and what for.
    myip = function(_, call)
      return (call.peer:gsub(":%d+$", ""))
    end,

    -- Params are a table: {"text": "hello"} or ["hello"].
    uppercase = function(params)
      local text = params.text or params[1]
      if type(text) ~= "string" then
        cancela.error { code = "invalid_argument", message = "text must be a string" }
      end
      return text:upper()
    end,

    -- Takes three seconds. Nothing is to be cleaned up, so nothing needs to be written for it: when the
    -- call is cancelled, sleep() raises and the procedure is left.
    long_running_task = cancela.procedure {
      summary = "Takes three seconds and answers 'done!'",
      timeout = 10, -- seconds; the client may ask for less
      run = function()
        cancela.sleep(3)
        return "done!"
      end,
    },

    -- Moves money in two steps with a wait in between. However the function is left before commit(), by
    -- an error or by a cancel, `tx` is closed: it rolls back, and awaits the bank's answer to that.
    transfer = cancela.procedure {
      summary = "Moves {amount} between the accounts {from} and {to}",
      run = function(params, call)
        call.token:on_cancel(function(reason)
          cancela.log.info("transfer cancelled", { reason = reason.kind, amount = params.amount })
        end)

        local tx <close> = bank.begin()
        tx:add(params.from, -params.amount)
        cancela.sleep(2) -- asking the other bank
        tx:add(params.to, params.amount)
        tx:commit()
        return bank.balance(params.to)
      end,
    },
  },
}
