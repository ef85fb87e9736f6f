local subject = ("lorem ipsum dolor sit amet, "):rep(3) .. "key=value"

return function(n)
  for _ = 1, n do
    subject:find("key", 1, true)
    subject:find("(%w+)=(%w+)")
    subject:match("^(%a+)")
  end
end
