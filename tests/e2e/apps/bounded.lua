-- Calls that stay inside one function of Lua's library for from minutes to centuries.
local cancela = require "cancela"

local function lying(length)
    return setmetatable({}, {
        __len = function() return length end,
        __index = rawlen,
        __newindex = rawequal,
    })
end

local subject, pattern = ("a"):rep(40), ("a-"):rep(30) .. "b"

local procedures = {
    find = function() return subject:find(pattern) end,
    match = function() return subject:match(pattern) end,
    gmatch = function() return subject:gmatch(pattern)() end,
    gsub = function() return (subject:gsub(pattern, "")) end,
    gsub_nested = function()
        return coroutine.wrap(function() return (subject:gsub(pattern, "")) end)()
    end,
    find_plain = function() return (("a"):rep(1e6) .. "c"):find(("a"):rep(1e5) .. "b", 1, true) end,
    find_run = function() return ("("):rep(1e6):find("%b()") end,
    move = function() return #table.move({}, 1, 1 << 40, 2) end,
    insert = function() table.insert(lying(1 << 40), 1, "x") end,
    remove = function() return table.remove(lying(1 << 40), 1) end,
    concat_lying = function() return #table.concat(lying(1 << 40)) end,
    unpack = function()
        while true do select("#", table.unpack(lying(900000))) end
    end,
    sort = function() table.sort(lying(1 << 30)) end,
    sort_with = function() table.sort(lying(1 << 30), rawequal) end,
    rep = function() return ("").rep("", 1 << 62) end,
    cleanup = function()
        local _ <close> = setmetatable({}, { __close = function() subject:find(pattern) end })
        cancela.sleep(10)
    end,
    add = function(params) return params.a + params.b end,
}

-- How many seconds after its time limit the procedure 'name' was cut.
function procedures.overrun(params)
    local due = cancela.now() + params.seconds
    assert(not cancela.timeout(params.seconds, procedures[params.name]))
    return cancela.now() - due
end

return cancela.app { procedures = procedures }
