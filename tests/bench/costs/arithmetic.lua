return function(n)
  local a, b, x = 1, 2, 0.5
  for i = 1, n do
    a = (a * 31 + b) % 65521
    b = (b ~ a) & 0xffff
    x = x * 0.5 + i
    if x > b then x = x // 3 end
  end
  return a + x
end
