local function fail(e) error(e, 0) end

return function(n)
  for _ = 1, n do pcall(fail, "no") end
end
