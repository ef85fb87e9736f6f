-- Whether what is done again and again leaves memory behind.
local memory = {}

local function kib_after(fn)
  fn()
  collectgarbage()
  collectgarbage()
  return collectgarbage "count"
end

-- The KiB by which running fn once more makes the VM grow, when all that grows once has grown.
function memory.growth(fn)
  fn()
  local before = kib_after(fn)
  return kib_after(fn) - before
end

return memory
