return function(n)
  local checkpoint = package.loaded["cancela.core"] and require "cancela".checkpoint or function() end
  for _ = 1, n do checkpoint() end
end
