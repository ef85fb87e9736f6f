-- What tests/e2e/frames.test.mjs calls.
local cancela = require "cancela"
local log = cancela.log

-- Logs when it begins, is cancelled and has cleaned up; 'body' is what it does meanwhile.
local function watched(body)
    return function(name, call)
        call.token:on_cancel(function(reason) log.info(("on_cancel %s %s"):format(name, reason.kind)) end)
        local _ <close> = setmetatable({}, { __close = function()
            cancela.sleep(0.02)
            log.info("closed " .. name)
        end })
        log.info("started " .. name)
        body(call)
    end
end

local function text(run)
    return cancela.procedure { payload = "text", run = run }
end

return cancela.app {
    on_connect = function(client, request)
        if request.query.refuse then cancela.error { code = "permission_denied", message = "not you" } end
    end,

    procedures = {
        add = function(params) return params.a + params.b end,
        echo = function(params) return params end,
        nothing = function() end,
        fail = function() cancela.error { code = "not_found", message = "no such thing", data = { id = 7 } } end,
        fail_by_number = function() cancela.error { code = 42, message = "of our own" } end,
        crash = function() error("secret") end,
        stats = cancela.stats,

        upper = text(string.upper),
        text_of_nothing = text(function() end),
        text_of_bytes = text(function() return "\xff" end),
        text_of_table = text(function() return {} end),
        big = text(function(bytes) return ("x"):rep(math.tointeger(bytes)) end),
        bytes = cancela.procedure { payload = "bytes", run = function(data) return data:reverse() end },
        brief = cancela.procedure { timeout = 0.05, run = function() cancela.sleep(60) end },
        wait = text(watched(function() cancela.sleep(60) end)),
        compute = cancela.procedure { payload = "text", preemptible = true,
            run = watched(function() while true do end end) },
        -- Decides itself, and is not in a hurry.
        manual = cancela.procedure { payload = "text", cancel = "manual", run = watched(function(call)
            while not call.token.cancelled do cancela.sleep(0.005) end
        end) },

        whoami = function(_, call)
            return { protocol = call.protocol, request_id = call.request_id, notification = call.is_notification,
                path = call.client and call.client.path, subprotocol = call.client and call.client.protocol }
        end,

        -- Notifications of all kinds of data.
        tell = function(params, call)
            local client = call.client
            client:notify("string", "plain \xff")
            client:notify("number", 7)
            client:notify("table", { a = { 1, 2 } })
            client:notify "nothing"
            client:notify("", "no name")
            client:notify(("n"):rep(255), "a long name")
            return { too_long = select(2, pcall(client.notify, client, ("n"):rep(256))),
                not_utf8 = select(2, pcall(client.notify, client, "\xff")),
                sent = select(2, pcall(client.send, client, "hi")) }
        end,
        heard = cancela.procedure { payload = "bytes", run = function(data, call)
            log.info(("heard %s %q"):format(call.is_notification, data))
            return "to nobody"
        end },
    },
}
