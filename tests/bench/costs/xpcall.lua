local function ok(a) return a end
local function handler(e) return e end

return function(n)
  for i = 1, n do xpcall(ok, handler, i) end
end
