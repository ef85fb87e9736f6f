local numbers = {}
for i = 1, 100 do numbers[i] = (i * 7919) % 104729 end

return function(n)
  for i = 1, n do
    local t = table.move(numbers, 1, 100, 1, {})
    if i % 2 == 0 then
      table.sort(t)
    else
      table.sort(t, function(a, b) return a > b end)
    end
  end
end
