-- Fails while it loads, on line 4.
local function boom() error("boom") end

boom()

return {}
