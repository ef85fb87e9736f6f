return function(n)
  local next_number = coroutine.wrap(function()
    for i = 1, math.huge do coroutine.yield(i) end
  end)
  for _ = 1, n do next_number() end
end
