-- What load tests call: procedures that wait until they are cancelled, and one that tells how many
-- wait and how many were seen to be cancelled.
local cancela = require "cancela"

local active, cancels, closed = 0, 0, 0

local leaving = setmetatable({}, {
    __close = function(_, err)
        active = active - 1
        if cancela.is_cancel(err) then closed = closed + 1 end
    end,
})

local function leave(err)
    active = active - 1
    if cancela.is_cancel(err) then closed = closed + 1 end
end

local function count() cancels = cancels + 1 end

local big = ("x"):rep(1 << 16) -- made once: its reader is what is slow

return cancela.app {
    procedures = {
        add = function(params) return params.a + params.b end,
        big = function() return big end,

        wait = function(_, call)
            active = active + 1
            local _ <close> = leaving
            call.token:on_cancel(count)
            cancela.sleep(60)
        end,

        wait_deferred = function(params)
            active = active + 1
            local _ <close> = cancela.defer(function(err) leave(err) end)
            cancela.sleep(params[1])
        end,

        wait_deferred_slowly = function(params)
            active = active + 1
            local _ <close> = cancela.defer(function(err)
                cancela.sleep(0.02)
                leave(err)
            end)
            cancela.sleep(params[1])
        end,

        -- How many wait, how many had their on_cancel function run, and how many their clean-up.
        seen = function() return { active = active, cancels = cancels, closed = closed } end,
    },
}
