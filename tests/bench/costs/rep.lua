return function(n)
  for i = 1, n do
    string.rep("x", i % 100)
    string.rep("ab", 8, ",")
  end
end
