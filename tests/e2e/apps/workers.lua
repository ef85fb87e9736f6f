-- Tells the workers apart: each has loaded this file for itself.
local cancela = require "cancela"
local log = cancela.log

local worker = tostring({}):match("0x%x+")
local calls = 0

local function exists(path)
    local file = io.open(path)
    if file then file:close() end
    return file ~= nil
end

return cancela.app {
    procedures = {
        where = function(_, call)
            calls = calls + 1
            return { worker = worker, id = call.id, calls = calls, peer = call.peer }
        end,

        -- What all workers share.
        count = function(params)
            local sum
            for _ = 1, params.times do sum = cancela.shared.incr("count") end
            return sum
        end,

        append = function(params)
            for _ = 1, params.times do
                repeat
                    local list, version = cancela.shared.get("list")
                    list = list or {}
                    list[#list + 1] = worker
                until cancela.shared.compare_and_set("list", version, list)
            end
            return #cancela.shared.get("list")
        end,

        -- Computes, and lets nothing else run on this worker, until the file is there.
        compute = function(params)
            log.info("computing")
            while not exists(params.path) do end
            return worker
        end,

        hold = function(params, call)
            call.token:on_cancel(function(reason) log.info("cancelled " .. params.label .. " " .. reason.kind) end)
            log.info("holding " .. params.label)
            cancela.sleep(params.seconds or 60)
            return worker
        end,
    },
}
