-- What tests/e2e/cases.test.mjs calls.
local cancela = require "cancela"
local log = cancela.log

local waiting = {} -- tokens
local seen

-- Of the calls that wait, how many are told to be cancelled when the first of them is resumed.
local function first_to_wake()
    if seen then return end
    seen = 0
    for token in pairs(waiting) do
        if token.cancelled then seen = seen + 1 end
    end
    log.info(("%d cancelled when the first was woken"):format(seen))
end

return cancela.app {
    procedures = {
        add = function(params) return params.a + params.b end,
        stats = cancela.stats,

        -- Computes for so many seconds, then tells how long a sleep took.
        compute_then_sleep = function(params)
            local stop = os.clock() + params.compute
            while os.clock() < stop do end
            local began = cancela.now()
            cancela.sleep(params.sleep)
            return cancela.now() - began
        end,

        wait = function(_, call)
            waiting[call.token] = true
            local _ <close> = setmetatable({}, {
                __close = function()
                    first_to_wake()
                    waiting[call.token] = nil
                    if next(waiting) == nil then log.info("all are gone") end
                end,
            })
            cancela.sleep(60)
        end,

        -- Computes for a while when it is cancelled, as long clean-up does.
        hold = function(params, call)
            waiting[call.token] = true
            local _ <close> = setmetatable({}, {
                __close = function()
                    local stop = cancela.now() + params.compute
                    while cancela.now() < stop do end
                    waiting[call.token] = nil
                end,
            })
            cancela.sleep(60)
        end,

        waiting = function()
            local n = 0
            for _ in pairs(waiting) do n = n + 1 end
            return n
        end,

        slow_to_close = function(params, call)
            call.token:on_cancel(function(reason) log.info("on_cancel " .. params.label .. " " .. reason.kind) end)
            local _ <close> = setmetatable({}, {
                __close = function()
                    cancela.sleep(0.1)
                    log.info("closed " .. params.label)
                end,
            })
            log.info("started " .. params.label)
            cancela.sleep(60)
        end,
    },
}
