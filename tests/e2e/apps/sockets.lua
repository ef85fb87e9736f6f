-- WebSocket handlers, client objects, on_connect and on_disconnect. What happens shows in the log.
local cancela = require "cancela"
local log = cancela.log

local function note(what, client, fields)
    fields = fields or {}
    fields.id = client.id
    log.info(what, fields)
end

-- Logs "closed LABEL" when its scope is left, after 'seconds' of clean-up.
local function closing(label, seconds)
    return cancela.defer(function()
        if seconds then cancela.sleep(seconds) end
        log.info("closed " .. label)
    end)
end

local judgements = {
    no = function() cancela.error { code = "permission_denied", message = "not you" } end,
    who = function() cancela.error { code = "unauthenticated", message = "who are you?" } end,
    fault = function() error("secret detail") end,
    ["false"] = function() return false end,
    slow = function(client)
        local _ <close> = closing("on_connect")
        note("asked", client)
        cancela.sleep(60)
    end,
    ["wait"] = function() cancela.sleep(0.05) end,
}

local kept = {}
local lent -- a socket that another handler may read

return cancela.app {
    on_connect = function(client, request)
        local judge = judgements[request.query.as]
        client:set("as", request.query.as)
        if judge then return judge(client) end
    end,
    on_disconnect = function(client, reason)
        note("disconnected", client, {
            kind = reason.kind, code = reason.code, message = reason.message, as = client:get("as"),
            closed = client.closed, path = client.path,
        })
        if client:get("as") == "late" then
            local _ <close> = closing("on_disconnect")
            cancela.sleep(60)
        end
    end,
    procedures = {
        me = function(_, call)
            local client = call.client
            return client and {
                id = client.id, address = client.address, path = client.path, agent = client.headers["x-agent"],
                as = client:get("as"), protocol = client.protocol, closed = client.closed,
            } or cancela.json.null
        end,
        set = function(params, call) call.client:set(params.key, params.value) end,
        get = function(params, call) return call.client:get(params.key) end,
        fill = function(params, call) call.client:set("fill", ("x"):rep(params.bytes)) end,
        notify = function(params, call) return { call.client:notify(params.event, params.data) } end,
        notify_bytes = function(_, call) call.client:notify("bytes", "\xff\0") end,
        notify_bad = function(_, call) call.client:notify("bad", { f = print }) end,
        send = function(_, call) call.client:send("x") end,
        close = function(params, call)
            local _ <close> = closing("closer")
            log.info("close returned " .. tostring(call.client:close(params.code, params.reason)))
            log.info("close returned " .. tostring(call.client:close()))
            cancela.sleep(60)
        end,
        keep = function(_, call)
            kept[call.client.id] = call.client
            return call.client.id
        end,
        kept = function(params)
            local client = kept[params.id]
            local sent, why = client:notify("hello")
            return { as = client:get("as"), closed = client.closed, sent = sent, why = why }
        end,
        big = function(params) return ("x"):rep(params.bytes) end,
        flood = function(params, call)
            local data = { ("x"):rep(params.bytes) }
            for i = 1, params.count do
                call.client:notify("flood", data)
                if i % 10 == 0 then log.info("flooded " .. i) end
            end
            return params.count
        end,
        hold = function(params, call)
            call.token:on_cancel(function(reason) log.info("on_cancel hold " .. reason.kind) end)
            log.info("holding")
            cancela.sleep(params.seconds or 60)
            return "held"
        end,
    },
    sockets = {
        ["/echo"] = function(socket)
            for message, kind in socket:messages() do
                socket:send(message, kind)
            end
            note("echo ended", socket)
        end,
        ["/limited"] = { run = function(socket)
            for message in socket:messages() do socket:send(tostring(#message)) end
        end, message_bytes = "1KiB", message_fragments = 3, protocols = { "one", "two" } },
        ["/sleeper"] = function(socket)
            local _ <close> = closing("sleeper", 0.02)
            note("sleeping", socket)
            cancela.sleep(60)
        end,
        ["/slow"] = function(socket)
            for message in socket:messages() do
                cancela.sleep(0.02)
                log.info("handled " .. message)
            end
            local ok, e = pcall(cancela.sleep, 0)
            log.info("after the end: " .. tostring(ok) .. " " .. tostring(e))
        end,
        ["/stuck"] = function(socket)
            local _ <close> = closing("stuck")
            note("stuck", socket)
            cancela.sleep(60)
            for message in socket:messages() do log.info("never " .. message) end
        end,
        ["/lend"] = function(socket)
            lent = socket
            socket:send("lent")
            cancela.sleep(60)
        end,
        ["/borrow"] = function(socket)
            socket:send("borrowing")
            local message, why = lent:receive()
            socket:send(tostring(message) .. " " .. tostring(why))
        end,
        ["/once"] = function(socket) socket:send(socket:receive()) end,
        ["/fault"] = function() error("secret detail") end,
        ["/typed"] = function() cancela.error { code = "not_found", message = "no such room" } end,
        ["/misuse"] = function(socket)
            for _, f in ipairs {
                function() socket:send("\xff") end,
                function() socket:send("x", "frame") end,
                function() socket:notify("x") end,
                function() socket:close(1005) end,
                function() socket:close(1000, ("x"):rep(124)) end,
                function() socket.name = 1 end,
                function() socket:set("f", print) end,
            } do
                socket:send((select(2, pcall(f)):gsub("^.-:%d+: ", "")))
            end
        end,
        ["/events"] = {
            on_open = function(socket) socket:send("open") end,
            on_message = function(socket, message, kind)
                if message == "sleep" then
                    local _ <close> = closing("event")
                    log.info("event sleeps")
                    cancela.sleep(60)
                elseif message == "fault" then
                    error("secret detail")
                elseif message == "bye" then
                    socket:close(3001, "bye")
                end
                cancela.sleep(0)
                socket:send(kind .. " " .. message)
            end,
            on_close = function(socket, code, reason) note("on_close", socket, { code = code, kind = reason.kind }) end,
        },
        ["/sink"] = function(socket)
            socket:receive()
            cancela.sleep(60)
        end,
        ["/fast"] = function(socket)
            local _ <close> = closing("fast")
            for i = 1, math.huge do
                socket:send(("x"):rep(1 << 16))
                if i % 10 == 0 then log.info("sent " .. i) end
            end
        end,
    },
}
