-- What happens to a call when its client goes away, resets it, or its deadline passes: the await it is
-- in raises, its <close> variables run, and they may await too.
--
-- Besides JSON-RPC it serves the binary frames of websocket.io-rpc-v0.1 at /socket, as the published
-- page of that protocol calls it. Procedures with payload = "text" or "bytes" take and return a string:
-- a frame carries it as it is; JSON has it as ["hello"].
local cancela = require "cancela"
local bank = require "bank"

-- Takes three seconds. Nothing is to be cleaned up, so nothing needs to be written for it: when the call
-- is cancelled, sleep() raises and the procedure is left.
local long_running_task = cancela.procedure {
  summary = "Takes three seconds and answers 'done!'",
  payload = "text",
  timeout = 10, -- seconds; the client may ask for less
  run = function()
    cancela.sleep(3)
    return "done!"
  end,
}

return cancela.app {
  procedures = {
    -- The address of the client, "ip:port". The call object says who calls, and what for.
    myip = cancela.procedure {
      payload = "text",
      run = function(_, call)
        return call.peer
      end,
    },

    uppercase = cancela.procedure {
      payload = "text",
      run = function(text)
        return text:upper()
      end,
    },

    long_running_task = long_running_task,
    long_runing_task = long_running_task, -- as the published page spells it

    -- Notify "ping" is answered by a notify "pong" with the same bytes.
    ping = cancela.procedure {
      payload = "bytes",
      run = function(data, call)
        if call.client then
          call.client:notify("pong", data)
        end
      end,
    },

    -- Tells everyone, on whichever worker they are. One that reads slowly holds up nobody: it misses the
    -- oldest messages, unless `topics` says otherwise.
    broadcast = cancela.procedure {
      payload = "bytes",
      run = function(data)
        cancela.broadcast("message", data)
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
