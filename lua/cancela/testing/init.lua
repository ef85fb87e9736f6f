--- Testing scripts: what `require "cancela.testing"` gives, under `cancela test`.
---
--- Time is virtual: when every task waits, the clock jumps to the next timer.
local core = require "cancela.testing.core"
local app = require "cancela.app"
local cancela = require "cancela"

---@class cancela.testing
local testing = {}

---@class cancela.testing.Options
---@field timeout? number seconds, as a client would ask for
---@field cancel_after? number seconds until the client resets the call; 0: before it begins
---@field notification? boolean call without waiting for a result

---@class cancela.testing.Error
---@field code string "deadline_exceeded", …
---@field number integer the JSON-RPC code
---@field message string
---@field data any

---@class cancela.testing.App
local App = {}
App.__index = App

local function seconds(value)
  if type(value) ~= "number" or value ~= value or value < 0 then
    return "must be a number of seconds of at least 0"
  end
end

local call_options = {
  timeout = seconds,
  cancel_after = seconds,
  notification = function(value)
    return type(value) ~= "boolean" and "must be a boolean" or nil
  end,
}

---Calls a procedure as a client does: params and result go through JSON, but for the string that a
---procedure with payload = "text" or "bytes" takes. Awaits the end of the call and of its clean-up.
---Returns the result, or nil and the error that the client would see. Behind the error, also if there
---is none, stand what the call has sent: the list of items of a procedure with stream = true, else
---nil, then the list of its progress, if it told of any.
---@param name string dotted
---@param params? table|string
---@param options? cancela.testing.Options
---@return any result
---@return cancela.testing.Error? error
---@return any[]? items
---@return any[]? progress
function App:call(name, params, options)
  options = options or {}
  app.check("app:call", options, call_options)
  local is_string = type(params) == "string"
  if params ~= nil and not is_string and type(params) ~= "table" then
    error(("app:call: params must be a table or a string, not a %s"):format(type(params)), 2)
  end
  local text = is_string and params or params and cancela.json.encode(params) or ""
  local ok, items, progress, value, code, message, number = self.core:call(name, text, options.timeout, options.cancel_after,
    options.notification, is_string)
  if not ok then
    return nil, { code = code, number = number, message = message, data = value }, items, progress
  elseif items or progress then
    return value, nil, items, progress
  end
  return value
end

---Makes an app callable, without a network. Takes what a script returns.
---@param spec cancela.App|table
---@return cancela.testing.App
function testing.app(spec)
  return setmetatable({ core = core.app(app.normalise(spec)) }, App)
end

---How many tasks live besides the spec's own: 0 when nothing was left behind.
---@return integer
function testing.tasks()
  return core.tasks()
end

return testing
