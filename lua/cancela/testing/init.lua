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
  local ok, items, progress, value, code, message, number = self.core:call(name, text, options.timeout,
    options.cancel_after, options.notification, is_string)
  if not ok then
    return nil, { code = code, number = number, message = message, data = value }, items, progress
  elseif items or progress then
    return value, nil, items, progress
  end
  return value
end

---@class cancela.testing.RequestOptions
---@field headers? table<string, string>
---@field body? string|table a table is sent as JSON
---@field timeout? number seconds, as a client would ask for
---@field cancel_after? number seconds until the client leaves; 0: before the handler begins

---@class cancela.testing.Response
---@field status integer
---@field headers table<string, string> by lower-case name; of repeated ones a list joined by ", "
---@field body string all pieces together
---@field cut boolean the body was sent in pieces, and not to its end
---@field json fun(self: cancela.testing.Response): any the body, decoded

local request_options = {
  timeout = seconds,
  cancel_after = seconds,
  headers = function(value)
    return type(value) ~= "table" and "must be a table" or nil
  end,
  body = function(value)
    return type(value) ~= "table" and type(value) ~= "string" and "must be a string or a table" or nil
  end,
}

local Response = {}
Response.__index = Response

function Response:json()
  return cancela.json.decode(self.body)
end

---Asks a route as an HTTP client does. Awaits the end of the handler and of its clean-up. Files of
---`static` are not served here.
---@param method string "GET"
---@param target string path and query, as in "/users/7?all=1"
---@param options? cancela.testing.RequestOptions
---@return cancela.testing.Response
function App:request(method, target, options)
  options = options or {}
  app.check("app:request", options, request_options)
  local path, query = target:match "^([^?]*)%??(.*)$"
  local body = options.body or ""
  local head = { ("%s %s HTTP/1.1"):format(method, target) }
  for name, value in pairs(options.headers or {}) do
    head[#head + 1] = name .. ": " .. value
  end
  if type(body) == "table" then
    body = cancela.json.encode(body)
    head[#head + 1] = "Content-Type: application/json"
  end
  head[#head + 1] = "\r\n"
  local status, content_type, lines, text, cut = self.core:request(method, path, query,
    table.concat(head, "\r\n"), body, options.timeout, options.cancel_after)
  local headers = { ["content-type"] = content_type }
  for name, value in (lines or ""):gmatch "([^:\r\n]+): ([^\r\n]*)" do
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return setmetatable({ status = status, headers = headers, body = text or "", cut = cut or false }, Response)
end

---Starts the background tasks of the app, those with `once` too, as a worker does when it begins. The clock
---being virtual, nothing of them runs before the spec awaits. What was started has to be ended with `unload`.
function App:start_background()
  self.core:start_background()
end

---Ends the app, as when another takes its place (kind "reload", which is the default) or the server stops
---("shutdown"): cancels its background tasks, awaits their end, then runs `on_unload` to its end.
---@param kind? "reload"|"shutdown"
function App:unload(kind)
  if kind ~= nil and kind ~= "reload" and kind ~= "shutdown" then
    error(("app:unload: kind must be 'reload' or 'shutdown', not '%s'"):format(tostring(kind)), 2)
  end
  self.core:unload(kind)
end

---Makes an app callable, without a network. Takes what a script returns. Its `on_load` is called, with nil, and
---its error raised here.
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
