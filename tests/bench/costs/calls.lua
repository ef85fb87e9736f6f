local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) + fib(n - 2)
end

local point = {}
point.__index = point
function point:add(x) self.x = self.x + x return self end

return function(n)
  local p = setmetatable({ x = 0 }, point)
  for i = 1, n do
    fib(8)
    p:add(i):add(-i)
  end
end
