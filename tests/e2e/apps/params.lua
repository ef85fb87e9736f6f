-- Procedures that declare what they take; each answers with its params as it got them.
local cancela = require "cancela"

local function echo(params) return params end

local function takes(params)
    return cancela.procedure { params = params, run = echo }
end

return cancela.app {
    info = { title = "Shop", version = "2.1" },
    authorize = function(call) return call.headers["x-key"] ~= "wrong" end,
    procedures = {
        order = cancela.procedure {
            summary = "Takes an order", timeout = 5, read_only = true,
            params = {
                properties = {
                    items = {
                        type = "array", minItems = 1, maxItems = 3,
                        items = {
                            type = "object",
                            properties = {
                                price = { type = "number", minimum = 0, exclusiveMaximum = 1000.5 },
                                count = { type = "integer", minimum = 1, default = 1 },
                            },
                            required = { "price" },
                            additionalProperties = false,
                        },
                    },
                    color = { enum = { "red", "green", 7, true } },
                    name = { type = "string", minLength = 2, maxLength = 4 },
                    at = { type = "string", format = "date-time" },
                },
                required = { "items" },
                additionalProperties = { type = { "integer", "string" } },
            },
            result = { type = "object" },
            run = echo,
        },
        pair = takes {
            type = "array",
            prefixItems = { { type = "integer", title = "first" }, { type = "string", maxLength = 3 } },
            items = { type = "boolean" }, minItems = 1,
        },
        formats = takes {
            properties = {
                date = { format = "date" }, time = { format = "time" }, uuid = { format = "uuid" },
                ipv4 = { format = "ipv4" }, ipv6 = { format = "ipv6" }, byte = { format = "byte" },
                duration = { format = "duration" }, hostname = { format = "hostname" }, uri = { format = "uri" },
                email = { format = "email" },
            },
        },
        open = echo,
    },
}
