return function(n)
  for i = 1, n do
    local s = ""
    for k = 1, 10 do s = s .. k .. "," .. (i + k) end
  end
end
