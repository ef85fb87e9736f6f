-- What tests/e2e/streams*.test.mjs call. What happens shows in the log.
local cancela = require "cancela"
local log = cancela.log

local function stream(run, options)
    local procedure = { stream = true, run = run }
    for name, value in pairs(options or {}) do procedure[name] = value end
    return cancela.procedure(procedure)
end

-- 'run' with a log of its start, its cancellation, and its clean-up, which awaits.
local function watched(run)
    return function(params, call)
        local label = type(params) == "table" and params.label or "text"
        call.token:on_cancel(function(reason) log.info(("on_cancel %s %s"):format(label, reason.kind)) end)
        local _ <close> = cancela.defer(function()
            cancela.sleep(0.02)
            log.info("closed " .. label)
        end)
        log.info("started " .. label)
        return run(params, call, label)
    end
end

local padding = ("x"):rep(1 << 16)

local function count(params, call)
    for n = 1, params.n do
        if params.progress then call:progress { done = n - 1 } end
        call:send { n = n }
        if params.every then cancela.sleep(params.every) end
    end
    if params.fail then cancela.error { code = "not_found", message = "no more", data = { after = params.n } } end
    return params.result
end

-- As call:send; logs when there has been no room for a while, and waits on.
local function send_noting(call, item, label)
    local place, sent, why = cancela.select { call:send_op(item), cancela.sleep_op(0.05) }
    if place == 1 then return sent, why end
    log.info("full " .. label)
    return call:send(item)
end

-- Sends until it cannot; tells how its send ended.
local function endless(params, call, label)
    local send, sent = params.note and send_noting or call.send, 0
    local ok, err = pcall(function()
        while true do
            assert(send(call, { n = sent + 1, padding = params.padding and padding }, label))
            sent = sent + 1
            if params.every then cancela.sleep(params.every) end
        end
    end)
    log.info(("%s sent %s, then %s"):format(label, sent, cancela.is_cancel(err) and "cancelled" or err))
    if not ok then error(err, 0) end
end

return cancela.app {
    procedures = {
        count = stream(count),
        watched_count = stream(watched(count)),
        read = stream(count, { read_only = true }),
        text = stream(function(text, call)
            for word in text:gmatch "%S+" do call:send(word) end
            return #text
        end, { payload = "text" }),
        words = stream(function(text, call)
            for word in text:gmatch "%S+" do call:send(word) end
            return text:upper()
        end, { payload = "text" }),
        bytes = stream(function(data, call)
            for at = 1, #data, 2 do call:send(data:sub(at, at + 1)) end
            return data:reverse()
        end, { payload = "bytes" }),
        declared = stream(function(params, call) call:send(params.size) end,
            { params = { properties = { size = { type = "integer" } } } }),
        nothing = stream(function() end),
        values = stream(function(_, call)
            for _, value in ipairs { 1, "two\n\u{2028}", true, { 3 }, { four = 4 } } do call:send(value) end
            call:send(nil)
        end),
        crash = stream(function(_, call)
            call:send(1)
            error "secret"
        end),
        bad_item = stream(function(_, call) call:send { f = print } end),
        endless = stream(watched(endless)),
        -- The end, if it comes, is by its own deadline.
        timed = stream(watched(endless), { timeout = 0.15 }),
        stall = stream(watched(function(_, call)
            call:send "one"
            cancela.sleep(60)
        end)),
        -- Decides by itself, and sends an item after its cancellation.
        manual = stream(function(params, call)
            log.info("started " .. params.label)
            call:send "before"
            call.token:wait()
            local sent, why = call:send "after"
            log.info(("%s after: %s %s"):format(params.label, sent, why))
            return "decided"
        end, { cancel = "manual" }),
        -- A task of nobody's waits for room when the call is reset: it is told at once.
        outlived = stream(watched(function(_, call, label)
            cancela.detach(function()
                local sent, why = true, nil
                while sent do sent, why = send_noting(call, padding, label) end
                log.info(("%s detached: %s %s"):format(label, sent, why))
            end, { timeout = 10 })
            cancela.sleep(60)
        end)),
        clean_up = stream(function(params, call)
            local _ <close> = cancela.defer(function()
                local sent, why = call:send "from the clean-up"
                log.info(("%s clean-up: %s %s"):format(params.label, sent, why))
            end)
            call:send "before"
            log.info("started " .. params.label)
            cancela.sleep(60)
        end),
        abort = stream(watched(function(_, call, label)
            call:send "one"
            call:abort "enough"
            local ok, err = pcall(call.send, call, "two")
            log.info(("%s send after abort: %s %s"):format(label, ok, cancela.is_cancel(err) and "cancelled"))
            error(err, 0)
        end)),
        subtasks = stream(function(params, call)
            cancela.group(function(g)
                for at = 1, params.tasks do
                    g:spawn(function()
                        for n = 1, params.n do call:send { at = at, n = n, padding = params.padding and padding } end
                    end)
                end
            end)
            return "done"
        end),
        detached = stream(function(params, call)
            local over = cancela.channel()
            cancela.detach(function()
                over:recv()
                cancela.sleep(0.05)
                local sent, why = call:send "late"
                local _, op_sent, op_why = cancela.select { call:send_op "late" }
                local told = call:progress(1)
                log.info(("%s late: %s %s, %s %s, %s"):format(params.label, sent, why, op_sent, op_why, told))
            end, { timeout = 10 })
            call:send "in time"
            over:send(true)
        end),
        unary = function(_, call) return { call:send "an item" } end,
        unary_progress = function(params, call)
            local sent = {}
            for n = 1, params.n do sent[n] = call:progress { done = n } end
            return sent
        end,
        offer = stream(function(_, call)
            local news = cancela.channel()
            cancela.group(function(g)
                g:spawn(function()
                    for n = 1, 3 do news:send(n) end
                    news:close()
                end)
                for n = 1, 4 do
                    local place, value = cancela.select { news:recv_op(), cancela.sleep_op(5) }
                    assert(place == 1)
                    local took = cancela.select { call:send_op { n = n, value = value }, cancela.sleep_op(5) }
                    assert(took == 1)
                end
            end)
            local twice = call:send_op "again"
            return { (cancela.select { twice }), (cancela.select { twice }) }
        end),
        -- Offers items to a client that reads little, gives up five times, and tells which it sent.
        impatient = stream(function(params, call)
            local sent, given_up = {}, 0
            for n = 1, 10000 do
                if cancela.select { call:send_op { n = n, padding = padding }, cancela.sleep_op(0.01) } == 1 then
                    sent[#sent + 1] = n
                else
                    given_up = given_up + 1
                    if given_up == 5 then break end
                end
            end
            log.info(("%s offered %s"):format(params.label, table.concat(sent, ",")))
            return { sent = sent }
        end),
        -- As much as is asked for, in items of 64 KiB.
        flood = stream(watched(function(params, call)
            for n = 1, params.items do call:send { n = n, padding = padding } end
            return "all"
        end)),
        -- One subtask waits for room, while the other has given up.
        waiting = stream(watched(function(_, call, label)
            cancela.group(function(g)
                g:spawn(function()
                    for n = 1, 10000 do call:send { n = n, padding = padding } end
                end)
                g:spawn(function()
                    while cancela.select { call:send_op "other", cancela.sleep_op(0.05) } == 1 do
                        cancela.sleep(0.001)
                    end
                    log.info("full " .. label)
                    cancela.sleep(60)
                end)
            end)
        end)),
        add = function(params) return params.a + params.b end,
        stats = cancela.stats,
    },
}
