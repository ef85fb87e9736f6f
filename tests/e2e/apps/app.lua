-- The app that most end-to-end tests drive: small procedures, and ones that tell in the log how
-- they ended, so that a test can wait for it.
local cancela = require "cancela"
local log = cancela.log

-- Logs "closed LABEL" when its scope is left, after 'seconds' of clean-up.
local function closing(label, seconds)
    return setmetatable({}, {
        __close = function()
            if seconds then cancela.sleep(seconds) end
            log.info("closed " .. label)
        end,
    })
end

local function watch(params, call)
    local label = params.label or "it"
    call.token:on_cancel(function(reason)
        log.info("on_cancel " .. label .. " " .. reason.kind)
    end)
    log.info("started " .. label)
    return label
end

return cancela.app {
    procedures = {
        add = function(params) return params.a + params.b end,
        subtract = function(params) return params[1] - params[2] end,
        echo = function(params) return params end,

        about = function(_, call)
            return {
                procedure = call.procedure, request_id = call.request_id, protocol = call.protocol,
                peer = call.peer, agent = call.headers["user-agent"],
                notification = call.is_notification,
            }
        end,

        certificate = function(_, call) return call.certificate end,

        note = function(params, call)
            log.info("noted " .. params.label .. " " .. tostring(call.is_notification))
        end,

        fail = function() error("secret detail") end,
        fail_with_table = function() error({ secret = "detail" }) end,
        not_found = function()
            cancela.error { code = "not_found", message = "no such user", data = { user = 7 } }
        end,
        own_code = function() cancela.error { code = 42, message = "own code" } end,

        version = cancela.procedure {
            read_only = true,
            run = function(params) return { version = 1, params = params } end,
        },
        deep = {
            name = cancela.procedure { read_only = true, run = function() return "deep" end },
        },
        big = function(params) return ("x"):rep(params.bytes) end,
        uppercase = function(params) return params[1]:upper() end,

        hoard = function()
            local hoard = {}
            while true do hoard[#hoard + 1] = ("x"):rep(1 << 16) .. #hoard end
        end,

        remaining = function(_, call) return call.token.remaining end,

        slow = function(params, call)
            local label = watch(params, call)
            local _ <close> = closing(label)
            cancela.sleep(params.seconds or 60)
            return "done!"
        end,

        detached = function(params)
            local h = cancela.detach(function()
                cancela.token():on_cancel(function(reason)
                    log.info("on_cancel detached " .. reason.kind)
                end)
                local _ <close> = closing("detached", params.close_seconds)
                cancela.sleep(params.seconds)
                log.info "finished detached"
            end, { timeout = 3600 })
            return h ~= nil
        end,

        slow_to_close = function(params, call)
            local label = watch(params, call)
            local _ <close> = closing(label .. " last")
            local _ <close> = closing(label .. " first", params.close_seconds or 0.02)
            cancela.sleep(60)
        end,

        timed = cancela.procedure {
            timeout = 0.05,
            run = function(params, call)
                local label = watch(params, call)
                local _ <close> = closing(label)
                cancela.sleep(60)
            end,
        },
    },
}
