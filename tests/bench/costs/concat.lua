local t = {}
for i = 1, 20 do t[i] = "item" .. i end

return function(n)
  for _ = 1, n do
    table.concat(t, ", ")
    table.unpack(t)
    table.move(t, 1, 20, 2, {})
  end
end
