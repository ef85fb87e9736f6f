-- What tests/e2e/matrix.test.mjs calls, the same for every protocol.
local cancela = require "cancela"
local log = cancela.log

local running = {} -- calls, by label

-- Logs when it begins, is cancelled and has cleaned up; 'body' is what it does meanwhile.
local function watched(body)
    return function(params, call)
        local label, sent = params.label, { n = 0 }
        running[label] = call
        call.token:on_cancel(function(reason) log.info(("on_cancel %s %s"):format(label, reason.kind)) end)
        local _ <close> = setmetatable({}, { __close = function()
            running[label] = nil
            log.info(("closed %s sent=%d"):format(label, sent.n))
        end })
        log.info(("started %s id=%d"):format(label, call.id))
        return body(params, call, sent)
    end
end

local wait = watched(function() cancela.sleep(60) end)

return cancela.app {
    procedures = {
        add = cancela.procedure {
            params = { required = { "a", "b" }, properties = { a = { type = "number" }, b = { type = "number" } } },
            run = function(params)
                log.info(("added %s"):format(params.a))
                return params.a + params.b
            end,
        },
        fail = function() cancela.error { code = "not_found", message = "no such user", data = { user = 7 } } end,
        wait = wait,
        brief = cancela.procedure { timeout = 0.05, run = wait },
        abort = function(params) return running[params.label]:abort "told to" end,
        big = function(params) return ("x"):rep(params.bytes) end,
        note = function(params, call) log.info(("noted %s %s"):format(params.label, call.is_notification)) end,
        tell = function(params, call)
            call.client:notify(params.event, params.data)
            return true
        end,
        report = function(_, call) return { shown = call:progress { percent = 50 } } end,

        -- n items of so many bytes.
        count = cancela.procedure { stream = true, run = watched(function(params, call, sent)
            local fill = ("x"):rep(params.bytes or 0)
            for i = 1, params.n do
                call:send { n = i, fill = fill }
                sent.n = i
            end
            if params.fails then cancela.error { code = "data_loss", message = "the rest is lost" } end
        end) },
        -- An item, then nothing for long.
        stall = cancela.procedure { stream = true, run = watched(function(_, call, sent)
            call:send { n = 1 }
            sent.n = 1
            cancela.sleep(60)
        end) },
    },
}
