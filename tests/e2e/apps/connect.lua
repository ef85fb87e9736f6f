-- What tests/e2e/connect.test.mjs, connect_client.test.mjs and cors.test.mjs call.
local cancela = require "cancela"
local log = cancela.log

local CODES = {
    "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied",
    "resource_exhausted", "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable",
    "data_loss", "unauthenticated",
}

-- Waits until it is cancelled; logs how.
local function wait(params, call)
    call.token:on_cancel(function(reason) log.info(("on_cancel %s %s"):format(params.sentence, reason.kind)) end)
    local _ <close> = setmetatable({}, { __close = function() log.info("closed " .. params.sentence) end })
    log.info("started " .. params.sentence)
    cancela.sleep(60)
end

-- Items 1, 2, …; logs how it ended.
local function count(params, call)
    call.token:on_cancel(function(reason) log.info(("on_cancel %s %s"):format(params.sentence, reason.kind)) end)
    local _ <close> = setmetatable({}, { __close = function() log.info("closed " .. params.sentence) end })
    for i = 1, params.count or math.huge do
        call:send { sentence = params.sentence, count = i }
        if not params.count then cancela.sleep(0.005) end
    end
    if params.sentence == "fails" then
        cancela.error { code = "data_loss", message = "the rest is lost", data = { at = params.count } }
    end
end

return cancela.app {
    routes = {
        ["GET /status/:status"] = function(request)
            return { status = math.tointeger(request.params.status), body = "the script's own" }
        end,
    },
    procedures = {
        codes = function() return CODES end,
        -- Lines, progress and items by turns, then a result or an error.
        watch = cancela.procedure { stream = true, read_only = true, run = function(params, call)
            for i = 1, params.n do
                call:progress { done = i / params.n }
                call:send { n = i, text = "two\nlines" }
            end
            if params.fails then
                cancela.error { code = "aborted", message = "as you asked", data = { n = params.n } }
            end
            return "done!"
        end },
        header = function(params, call) return { value = call.headers[params.name] } end,
        echo = cancela.procedure { read_only = true, run = function(params) return params end },
        ["eliza.v1.ElizaService"] = {
            Say = function(params) return { sentence = "You said: " .. (params.sentence or "") } end,
            Look = cancela.procedure { read_only = true, run = function(params, call)
                return { sentence = ("%s by %s"):format(params.sentence, call.headers["content-type"] or "GET") }
            end },
            Nothing = function() end,
            Wait = wait,
            Count = cancela.procedure { stream = true, read_only = true, run = count },
            Endless = cancela.procedure { stream = true, run = count },
            Fail = function(params)
                cancela.error { code = params.sentence, message = "as you asked",
                    data = { user = 7, tags = { "a", "ü" }, ratio = 0.5, ok = true } }
            end,
        },
    },
}
