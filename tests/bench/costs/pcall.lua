local function ok(a) return a end

return function(n)
  for i = 1, n do
    pcall(ok, i)
    pcall(ok, i)
  end
end
