-- Who may call: the header x-user decides.
local cancela = require "cancela"

return cancela.app {
    authorize = function(call)
        local user = call.headers["x-user"]
        if user == "ana" then return { name = "Ana" } end
        if user == "root" then return true end
        if user == "slow" then cancela.sleep(0.01) return { name = "Slow" } end
        if user == "mallory" then
            cancela.error { code = "permission_denied", message = "not you" }
        end
        if user == "broken" then error("secret detail") end
        if user == "false" then return false end
        return nil
    end,
    procedures = {
        whoami = function(_, call)
            cancela.log.info("the body ran")
            return call.identity and call.identity.name or "nobody"
        end,
    },
}
