--- Checks of options: a rule returns what is wrong with a value, in words that go behind its name, or nil.
local core = require "cancela.core"

local checks = {}

--- The known name that `name` was probably meant to be, as a hint for an error message.
local function hint(name, known)
  local names = {}
  for candidate in pairs(known) do
    names[#names + 1] = candidate
  end
  table.sort(names)
  local nearest = core.suggest(name, names)
  return nearest and ("; did you mean '%s'?"):format(nearest) or ""
end

function checks.is(kind)
  return function(value)
    if type(value) ~= kind then
      return ("must be a %s, not a %s"):format(kind, type(value))
    end
  end
end

function checks.positive_seconds(value)
  if type(value) ~= "number" or value ~= value or value <= 0 then
    return "must be a number of seconds above 0"
  end
end

function checks.one_of(...)
  local choices = { ... }
  return function(value)
    for _, choice in ipairs(choices) do
      if value == choice then
        return nil
      end
    end
    return "must be '" .. table.concat(choices, "' or '") .. "'"
  end
end

--- Raises, at the line of its caller's caller, if `spec` holds an unknown option or a bad value.
---@param what string names the function in messages
---@param spec table
---@param options table<string, fun(value: any): string?> what is wrong with a value, by option
---@param required? string an option
function checks.options(what, spec, options, required)
  if type(spec) ~= "table" then
    error(("%s takes a table of options, not a %s"):format(what, type(spec)), 3)
  end
  for name, value in pairs(spec) do
    local rule = options[name]
    if not rule then
      error(("%s: unknown option '%s'%s"):format(what, tostring(name), hint(tostring(name), options)), 3)
    end
    local wrong = rule(value)
    if wrong then
      local glue = wrong:find("^[.:[ ]") and "" or " " -- it goes on with a path
      error(("%s: %s%s%s"):format(what, name, glue, wrong), 3)
    end
  end
  if required and spec[required] == nil then
    error(("%s: %s is missing"):format(what, required), 3)
  end
end

return checks
