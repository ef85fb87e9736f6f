--- What a script declares: checked here, in full, when it loads; C only takes the outcome.
---
--- Procedures are a table of functions, `cancela.procedure` objects, and tables of the same, whose
--- names are joined with dots: `chat = {join = f}` is the procedure "chat.join".
local core = require "cancela.core"

local app = {}

---@alias cancela.Run fun(params: table, call: cancela.Call): any

---@class cancela.ProcedureSpec
---@field run cancela.Run
---@field summary? string one line for people
---@field timeout? number seconds, above 0; the client may ask for less
---@field read_only? boolean may be called with GET
---@field nulls? "drop"|"keep" keep: null members of params are cancela.json.null instead of absent
---@field result? {type: string} {type = "array"}: an empty table is sent as []

---@class cancela.Procedure: cancela.ProcedureSpec

---@class cancela.AppSpec
---@field procedures table<string, cancela.Run|cancela.Procedure|table>
---@field authorize? fun(call: cancela.Call): any true or an identity admits; nil, false or an error refuses

---@class cancela.App: cancela.AppSpec

local Procedure = { __name = "cancela.Procedure" }
local App = { __name = "cancela.App" }

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

local function is(kind)
  return function(value)
    if type(value) ~= kind then
      return ("must be a %s, not a %s"):format(kind, type(value))
    end
  end
end

local function positive_seconds(value)
  if type(value) ~= "number" or value ~= value or value <= 0 then
    return "must be a number of seconds above 0"
  end
end

local function one_of(...)
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

local function result_spec(value)
  if type(value) ~= "table" or type(value.type) ~= "string" then
    return "must be a table such as {type = 'array'}"
  end
end

local procedure_options = {
  run = is "function",
  summary = is "string",
  timeout = positive_seconds,
  read_only = is "boolean",
  nulls = one_of("drop", "keep"),
  result = result_spec,
}

local app_options = {
  procedures = is "table",
  authorize = is "function",
}


--- Raises, at the line of its caller's caller, if `spec` holds an unknown option or a bad value.
---@param what string names the function in messages
---@param spec table
---@param options table<string, fun(value: any): string?> what is wrong with a value, by option
---@param required? string an option
local function check(what, spec, options, required)
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
      error(("%s: %s %s"):format(what, name, wrong), 3)
    end
  end
  if required and spec[required] == nil then
    error(("%s: %s is missing"):format(what, required), 3)
  end
end

app.check = check

local function copy(from)
  local to = {}
  for name, value in pairs(from) do
    to[name] = value
  end
  return to
end

---@param spec cancela.ProcedureSpec
---@return cancela.Procedure
function app.procedure(spec)
  check("cancela.procedure", spec, procedure_options, "run")
  return setmetatable(copy(spec), Procedure)
end

---@param spec cancela.AppSpec
---@return cancela.App
function app.new(spec)
  check("cancela.app", spec, app_options, "procedures")
  return setmetatable(copy(spec), App)
end

local function entry(name, procedure)
  return {
    name = name,
    run = procedure.run,
    summary = procedure.summary,
    timeout = procedure.timeout or 0,
    read_only = procedure.read_only or false,
    keep_nulls = procedure.nulls == "keep",
    array_result = procedure.result ~= nil and procedure.result.type == "array",
  }
end

local collect

--- Adds what stands under `name` to `list`.
local function add(list, name, value, seen)
  if type(value) == "function" then
    list[#list + 1] = entry(name, { run = value })
  elseif getmetatable(value) == Procedure then
    list[#list + 1] = entry(name, value)
  elseif type(value) == "table" and not seen[value] then
    collect(list, name .. ".", value, seen)
  elseif type(value) == "table" then
    error(("procedure '%s': this table contains itself"):format(name), 0)
  else
    error(("procedure '%s' must be a function, a cancela.procedure or a table of them, not a %s"):format(
      name, type(value)), 0)
  end
end

function collect(list, prefix, procedures, seen)
  seen[procedures] = true
  for name, value in pairs(procedures) do
    if type(name) ~= "string" then
      error(("procedure names must be strings: '%s%s' is a %s"):format(prefix, tostring(name), type(name)), 0)
    elseif name == "" then
      error(("procedure names must not be empty: '%s'"):format(prefix), 0)
    end
    add(list, prefix .. name, value, seen)
  end
  seen[procedures] = nil
end

--- `rpc.` is JSON-RPC's own (its specification, section 4.1). A slash would never be found: `/rpc/a/b`
--- and `/rpc/a.b` both mean "a.b". Dots in keys may spell a name that tables spell too.
local function check_names(list)
  local taken = {}
  for _, procedure in ipairs(list) do
    local name = procedure.name
    if name:sub(1, 4) == "rpc." then
      error(("procedure '%s': names that begin with 'rpc.' are reserved by JSON-RPC"):format(name), 0)
    elseif name:find("[/%c]") then
      error(("procedure '%s': use dots instead of slashes, and no control characters"):format(name), 0)
    elseif taken[name] then
      error(("procedure '%s' is declared twice: by nested tables and by a key with dots"):format(name), 0)
    end
    taken[name] = true
  end
end

--- The app that C takes: `list` of procedures in the order of their names, and `authorize`. A script
--- may return just a table of procedures.
---@param value any what the script returned
function app.normalise(value)
  if type(value) ~= "table" or getmetatable(value) == Procedure then
    error(("the script must return cancela.app{…} or a table of procedures, not a %s"):format(
      type(value) == "table" and Procedure.__name or type(value)), 0)
  end
  local spec = getmetatable(value) == App and value or { procedures = value }
  local list = {}
  collect(list, "", spec.procedures, {})
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  check_names(list)
  return { list = list, authorize = spec.authorize }
end

return app
