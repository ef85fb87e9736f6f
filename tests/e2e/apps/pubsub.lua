-- Topics and what is published on them; those that begin with drop, suspend and close deal with slow
-- readers in that way.
local cancela = require "cancela"
local log = cancela.log

local worker = tostring({}):match("0x%x+")

-- Publishes `count` numbers, from `first` on, each with `bytes` of padding; a turn for each `burst` of them.
local function flood(params, call)
    local pad = ("x"):rep(params.bytes or 0)
    local first, least, most = params.first or 1, math.huge, 0
    for i = first, first + params.count - 1 do
        local reached = cancela.publish(params.topic, { i = i, from = params.from, pad = pad })
        least, most = math.min(least, reached), math.max(most, reached)
        call.client:set("published", i)
        if i % (params.burst or 1) == 0 then cancela.sleep(0) end
    end
    return { least = least, most = most }
end

return cancela.app {
    topics = {
        ["*"] = { slow = "drop", queue = "256KiB" },
        ["suspend*"] = { slow = "suspend", queue = "256KiB" },
        ["close*"] = { slow = "close", queue = "256KiB" },
    },

    on_connect = function(client, request)
        if request.query.topic then client:subscribe(request.query.topic) end
    end,

    procedures = {
        subscribe = function(params, call) return { call.client:subscribe(params.topic), worker } end,
        unsubscribe = function(params, call) return call.client:unsubscribe(params.topic) end,
        publish = function(params) return cancela.publish(params.topic, params.data) end,
        broadcast = function(params) return cancela.broadcast(params.event, params.data) end,
        raw = function() return cancela.publish("raw", "\xff\x00") end,
        flood = cancela.procedure { timeout = 60, run = flood },
        published = function(_, call) return call.client:get("published") end,
        stats = function() return cancela.stats() end,
        where = function() return worker end,
        wait = function() cancela.sleep(60) end,

        -- Waits to publish, or until the time is over: where the two stand in a select, and which was it.
        try = function(params)
            local which = cancela.select {
                cancela.publish_op(params.topic, { i = params.i }),
                cancela.sleep_op(params.seconds),
            }
            return which == 1
        end,
    },

    sockets = {
        ["/own"] = function(socket)
            local _, why = pcall(socket.subscribe, socket, "news")
            socket:send(why)
            for _ in socket:messages() do end
        end,
    },
}
