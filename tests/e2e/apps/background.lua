-- Background tasks, on_load and on_unload. The environment chooses: FAIL_ON_LOAD, SECONDS (of clean-up).
local cancela = require "cancela"
local log = cancela.log

local worker = tostring({}):match "0x%x+"
local questions = cancela.channel()
local seconds = tonumber(cancela.env.SECONDS) or 0.05

local function begun(what)
    log.info(what)
    log.info("begun " .. cancela.shared.incr "begun")
end

local function ask(n)
    local answer = cancela.channel(1)
    questions:send { n = n, answer = answer }
    return (answer:recv())
end

return cancela.app {
    procedures = {
        square = function(params) return ask(params.n) end,

        -- Asks only after a while.
        late = function(params)
            log.info "started late"
            cancela.sleep(params.seconds)
            return ask(params.n)
        end,

        -- Asks after its call.
        audit = function(params)
            cancela.detach(function()
                cancela.sleep(params.seconds)
                log.info("audited " .. ask(params.n))
            end, { timeout = 10 })
        end,

        subscribe = function(_, call)
            call.client:subscribe "ticks"
            return { worker = worker }
        end,
    },

    on_load = function(previous)
        if cancela.env.FAIL_ON_LOAD then error "no database" end
        log.info("on_load previous=" .. tostring(previous))
    end,

    on_unload = function()
        log.info "on_unload begins"
        local _ <close> = cancela.defer(function(e)
            log.info("on_unload ends " .. tostring(e and cancela.is_cancel(e).kind))
        end)
        cancela.sleep(seconds)
    end,

    background = {
        function()
            begun "each"
            local _ <close> = cancela.defer(function(e)
                cancela.sleep(seconds)
                log.info("cleaned up " .. cancela.is_cancel(e).kind)
            end)
            for question in questions.recv, questions do
                question.answer:send(question.n * question.n)
            end
        end,

        { name = "ticker", once = true, run = function()
            begun "once"
            local every = cancela.interval(0.01)
            while true do
                every:tick()
                cancela.publish("ticks", { at = cancela.now() })
            end
        end },
    },
}
