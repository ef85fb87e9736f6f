local subject = ("lorem ipsum dolor sit amet, "):rep(3)

return function(n)
  for _ = 1, n do
    subject:gsub("%w+", "%0!")
    for _ in subject:gmatch("%a+") do end
  end
end
