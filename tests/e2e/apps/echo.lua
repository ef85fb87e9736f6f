-- Sends every WebSocket message back as it came.
local cancela = require "cancela"

return cancela.app {
    procedures = {},
    sockets = {
        ["/echo"] = {
            message_bytes = "16MiB",
            message_fragments = 1000000,
            run = function(socket)
                for message, kind in socket:messages() do socket:send(message, kind) end
            end,
        },
    },
}
