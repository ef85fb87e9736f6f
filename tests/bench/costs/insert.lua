return function(n)
  for _ = 1, n do
    local t = {}
    for i = 1, 10 do table.insert(t, i) end
    table.insert(t, 3, 0)
    for _ = 1, 10 do table.remove(t) end
  end
end
