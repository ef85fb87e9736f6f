-- What tests/e2e/reload*.test.mjs reload: they write it into a folder of their own, each time with another
-- VERSION, and with code in the places of BEFORE and FIELDS.
local cancela = require "cancela"
local log, shared = cancela.log, cancela.shared
local version = "VERSION"
local mine = 0 -- this generation's own

local function there(path)
    local file = path:find "^/" and io.open(path)
    return file and file:close()
end

-- Waits until somebody has called "put" with that name, or made that file.
local function wait(name)
    while not shared.get(name) and not there(name) do cancela.sleep(0.003) end
end

-- The same without awaiting.
local function block(path) -- luacheck: ignore
    while not there(path) do end
end

local function told(call)
    return { version = version, generation = call.generation }
end

local function hold(params, call)
    log.info("holds " .. params.name .. " " .. version)
    wait(params.name)
    return told(call)
end

local app = {
    procedures = {
        who = function(_, call) return told(call) end,
        hold = hold,
        put = function(params) shared.set(params.name, true) end,
        count = function()
            mine = mine + 1
            return { mine = mine, all = shared.incr "count" }
        end,
        bytes = cancela.procedure { payload = "text", run = function() return version end },
        clean = function(params)
            local _ <close> = cancela.defer(function(e)
                log.info(("unwinds %s %s %s"):format(params.name, version, cancela.is_cancel(e).kind))
                wait(params.name)
                log.info(("unwound %s %s"):format(params.name, version))
            end)
            log.info("begun " .. params.name)
            cancela.sleep(60)
        end,
        watched = function(params, call)
            call.token:on_cancel(function(reason)
                mine = mine + 1
                log.info(("on_cancel %s %s %d"):format(version, reason.kind, mine))
            end)
            mine = mine + 1
            log.info("watched " .. params.name)
            cancela.sleep(60)
        end,
        detach = function(params)
            cancela.detach(function()
                local _ <close> = cancela.defer(function(e)
                    log.info(("detached %s %s"):format(version, e and cancela.is_cancel(e).kind or "ended"))
                end)
                wait(params.name)
            end, { timeout = 60 })
        end,
        items = cancela.procedure { stream = true, run = function(params, call)
            local n = 0
            while not shared.get(params.name) do
                n = n + 1
                call:send { n = n, version = version }
                cancela.sleep(0.003)
            end
            return told(call)
        end },
        subscribe = function(params, call) call.client:subscribe(params.topic) end,
        publish = function(params) cancela.publish(params.topic, { version = version, data = params.data }) end,
        keep = function(params, call) call.client:set("kept", params.value) end,
        kept = function(_, call) return { value = call.client:get "kept", version = version } end,
    },
    routes = {
        ["GET /who"] = function(request) return { body = version .. " " .. request.generation } end,
        ["GET /hold/:name"] = function(request)
            log.info("holds " .. request.params.name .. " " .. version)
            wait(request.params.name)
            return { body = version .. " " .. request.generation }
        end,
    },
    sockets = {
        ["/events"] = {
            on_open = function(socket) socket:send("open " .. version) end,
            on_message = function(socket, message)
                if message:find "^hold" then
                    log.info("holds " .. message .. " " .. version)
                    wait(message)
                end
                socket:send(version .. " " .. message)
            end,
            on_close = function(_, code) log.info(("on_close %s %d"):format(version, code)) end,
        },
        ["/run"] = function(socket)
            local _ <close> = cancela.defer(function(e)
                log.info(("run ended %s %s"):format(version, e and cancela.is_cancel(e).kind or "normally"))
            end)
            for message in socket:messages() do socket:send(version .. " " .. message) end
        end,
    },
    on_disconnect = function(client, reason)
        log.info(("on_disconnect %s %s %s"):format(version, client.path, reason.kind))
    end,
}

log.info("loads " .. version)
-- BEFORE

for name, value in pairs { --[[ FIELDS ]] } do app[name] = value end
return cancela.app(app)
