-- Runs the snippets of standard_cases.lua; gives what each showed, as text. Runs in plain Lua too.
local function describe(value)
  local kind = type(value)
  if kind == "string" then
    return ("%q"):format((value:gsub("\n\t%[C%]: in %?", ""))) -- frames of the runtime's own
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  return kind
end

local function describe_all(...)
  local words = {}
  for i = 1, select("#", ...) do
    words[i] = describe((select(i, ...)))
  end
  return table.concat(words, " ")
end

local function run(source)
  local lines = {}
  local function show(...)
    lines[#lines + 1] = describe_all(...)
  end
  local env = setmetatable({ show = show }, { __index = _G })
  local co = coroutine.create(assert(load(source, "=snippet", "t", env)))
  local turns = 0
  repeat
    show("resumed", coroutine.resume(co, turns))
    turns = turns + 1
  until coroutine.status(co) == "dead" or turns == 50
  return table.concat(lines, "\n")
end

return function(cases)
  local outputs = {}
  for name, source in pairs(cases) do
    outputs[name] = run(source)
  end
  return outputs
end
