--- What a script declares: checked here, in full, when it loads; C only takes the outcome.
---
--- Procedures are a table of functions, `cancela.procedure` objects, and tables of the same, whose
--- names are joined with dots: `chat = {join = f}` is the procedure "chat.join".
local checks = require "cancela.checks"
local core = require "cancela.core"

local is, one_of, positive_seconds, check = checks.is, checks.one_of, checks.positive_seconds, checks.options

local app = {}

---@alias cancela.Run fun(params: table|string, call: cancela.Call): any

--- A subset of JSON Schema (draft 2020-12). Anything else in it is an error when the script loads.
---@class cancela.Schema
---@field type? cancela.SchemaType|cancela.SchemaType[]
---@field enum? (string|number|boolean|lightuserdata)[] the value is one of these
---@field const? string|number|boolean|lightuserdata the value is this
---@field default? any filled in where a property is missing
---@field title? string
---@field description? string
---@field examples? any[]
---@field deprecated? boolean
---@field minimum? number
---@field maximum? number
---@field exclusiveMinimum? number
---@field exclusiveMaximum? number
---@field minLength? integer code points
---@field maxLength? integer code points
---@field format? cancela.SchemaFormat
---@field items? cancela.Schema|boolean of the elements behind those of `prefixItems`
---@field prefixItems? cancela.Schema[] of the first elements, one each
---@field minItems? integer
---@field maxItems? integer
---@field properties? table<string, cancela.Schema>
---@field required? string[] names of properties
---@field additionalProperties? cancela.Schema|boolean of members that are no properties; false: there are none

---@alias cancela.SchemaType "null"|"boolean"|"integer"|"number"|"string"|"array"|"object"
---@alias cancela.SchemaFormat
---| "byte"
---| "date"
---| "date-time"
---| "duration"
---| "email"
---| "hostname"
---| "ipv4"
---| "ipv6"
---| "time"
---| "uri"
---| "uuid"

---@class cancela.ProcedureSpec
---@field run cancela.Run
---@field summary? string one line for people
---@field timeout? number seconds, above 0; the client may ask for less
---@field read_only? boolean may be called with GET
---@field nulls? "drop"|"keep" keep: null members of params are cancela.json.null instead of absent
---@field preemptible? boolean true: other calls may run while it computes, between any two instructions
---@field cancel? "abort"|"manual" abort, the default: awaits raise; manual: it decides from its token until grace ends
---@field params? cancela.Schema checked before `run`; its type is "object" if it names none, else "object" or "array"
---@field result? cancela.Schema for readers, not checked; {type = "array"}: an empty table is sent as []
---@field stream? boolean true: it sends items with call:send before its result; who cannot take any is refused
---@field payload? "json"|"text"|"bytes" json, the default: params are a table; text, bytes: they, and the result,
--- are a string, which binary frames carry as it is and JSON as ["text"], bytes in base64

---@class cancela.Procedure: cancela.ProcedureSpec

--- A WebSocket handler: one function that takes its messages itself, or one for each event. Events
--- of a socket run one after the other, each for at most `call_timeout`.
---@class cancela.SocketSpec
---@field run? fun(socket: cancela.Socket) the socket is closed when it returns
---@field on_open? fun(socket: cancela.Socket)
---@field on_message? fun(socket: cancela.Socket, message: string, kind: "text"|"binary")
---@field on_close? fun(socket: cancela.Socket, code: integer, reason: cancela.Reason)
---@field message_bytes? integer|string largest message, as 65536 or "64KiB"; default: the setting
---@field message_fragments? integer most frames of a message; default: the setting
---@field protocols? string[] subprotocols; the client's first that is listed is chosen

--- What becomes of a message for which a subscriber has no room: drop, the default, the oldest that
--- wait for that subscriber make room; suspend, its publisher waits; close, the subscriber is closed with 1013.
---@class cancela.TopicSpec
---@field slow? "drop"|"suspend"|"close"
---@field queue? integer|string most bytes of the topic that wait for a subscriber; default "64KiB"
---@class cancela.RouteSpec
---@field run fun(request: cancela.RouteRequest): cancela.Response|string|nil
---@field summary? string one line for people
---@field timeout? number seconds, above 0; the client may ask for less
---@field preemptible? boolean true: other calls may run while it computes, between any two instructions
---@field cancel? "abort"|"manual" as of a procedure
---@field stream? boolean its deadline, unless there is a timeout, is that of the next piece: `stream_idle_timeout`

---@class cancela.Route: cancela.RouteSpec

--- The call object of a route. Its `protocol` is "http" and its `procedure` the route's key.
---@class cancela.RouteRequest: cancela.Call
---@field method string
---@field path string as sent
---@field params table<string, string> what `:name` and `*` stand for, decoded
---@field query table<string, string> decoded; of a repeated name the last
---@field body string
---@field json fun(self: cancela.RouteRequest): any the body, decoded; raises invalid_argument if it is not JSON
---@field values fun(self: cancela.RouteRequest, name: string): string[] all that the query has of that name

---@class cancela.Response
---@field status? integer 200 to 599; default 200
---@field headers? table<string, string|integer|(string|integer)[]> a list gives a field for each of its values
---@field body? string|table|fun(): string? a table is sent as JSON; a function is called for one piece after the
--- other until it returns nil

---@class cancela.Request
---@field method string
---@field path string
---@field query table<string, string> decoded; of a repeated name the last
---@field headers table<string, string> by lower-case name
---@field peer string "ip:port" of the client
---@field certificate? cancela.Certificate the client's, verified

---@class cancela.DisconnectReason: cancela.Reason
---@field code integer the WebSocket's close code; 1006 if there was none

---@class cancela.Info Heads the document of `rpc.discover`.
---@field title? string default "Cancela"
---@field version? string of the API; default "0"
---@field description? string

---@class cancela.AppSpec
---@field info? cancela.Info
---@field procedures table<string, cancela.Run|cancela.Procedure|table>
---@field authorize? fun(call: cancela.Call): any true or an identity admits; nil, false or an error refuses
---@field on_connect? fun(client: cancela.Client, request: cancela.Request): any before a WebSocket
--- is answered; may await for `handshake_timeout`. A typed error refuses with its HTTP status; false, or
--- any other error, with 403
---@field on_disconnect? fun(client: cancela.Client, reason: cancela.DisconnectReason) once for each
--- WebSocket that `on_connect` admitted; may await for `call_timeout`
---@field sockets? table<string, fun(socket: cancela.Socket)|cancela.SocketSpec> by path
---@field topics? table<string, cancela.TopicSpec> by name, or by its beginning and a "*"
---@field routes? table<string, cancela.Route|fun(request: cancela.RouteRequest): cancela.Response|string|nil>
--- by method and path, as "GET /users/:id"
---@field static? string a folder, from that of the script on: its files are served where nothing else is
---@field watch? string[] files, and folders with all beneath them, from that of the script on: with `--watch`
--- a change of any reloads the script, as one of a file that it requires does

---@field on_load? fun(previous: integer?) last when the script loads; may not await. `previous`: the generation
--- that this one is to replace; nil at the start. An error is one of loading
---@field on_unload? fun() once all that its generation ran is over; may await for as long as the grace
---@field background? (fun()|cancela.BackgroundSpec)[] each runs from when its generation serves until the next one
--- takes its place (reload) or the server stops (shutdown), which cancels it

--- A background task.
---@class cancela.BackgroundSpec
---@field run fun()
---@field once? boolean true: on one worker; default: on each
---@field name? string for the log, 1 to 63 bytes; default: the file and line of `run`
---@field preemptible? boolean true: other calls may run while it computes, between any two instructions

---@class cancela.App: cancela.AppSpec

local Route = { __name = "cancela.Route" }
local Procedure = { __name = "cancela.Procedure" }
local App = { __name = "cancela.App" }

local function copy(from)
  local to = {}
  for name, value in pairs(from) do
    to[name] = value
  end
  return to
end

--- The JSON text of a schema, or nil and what is wrong with it, to be put right behind `root`.
local function schema_text(value, root)
  if type(value) ~= "table" then
    return nil, (" must be a schema, such as {type = 'array'}, not a %s"):format(type(value))
  end
  local text, wrong = core.schema(value, root)
  return text, wrong and wrong:sub(#root + 1)
end

--- Params are an object or an array, so a schema that names no type is one of an object.
local function params_text(value)
  if type(value) ~= "table" then
    return schema_text(value, "params")
  end
  local whole = copy(value)
  whole.type = value.type or "object"
  if whole.type ~= "object" and whole.type ~= "array" then
    return nil, ".type: must be 'object' or 'array'"
  end
  return schema_text(whole, "params")
end

local function params_spec(value)
  return select(2, params_text(value))
end

local function result_spec(value)
  return select(2, schema_text(value, "result"))
end

local procedure_options = {
  run = is "function",
  summary = is "string",
  timeout = positive_seconds,
  read_only = is "boolean",
  nulls = one_of("drop", "keep"),
  params = params_spec,
  result = result_spec,
  preemptible = is "boolean",
  cancel = one_of("abort", "manual"),
  stream = is "boolean",
  payload = one_of("json", "text", "bytes"),
}

local route_options = {
  run = procedure_options.run,
  summary = procedure_options.summary,
  timeout = procedure_options.timeout,
  preemptible = procedure_options.preemptible,
  cancel = procedure_options.cancel,
  stream = procedure_options.stream,
}

local function info_spec(value)
  if type(value) ~= "table" then
    return "must be a table such as {title = 'Orders', version = '1.0'}"
  end
  for name, text in pairs(value) do
    if name ~= "title" and name ~= "version" and name ~= "description" then
      return ("holds '%s'; there are title, version and description"):format(tostring(name))
    elseif type(text) ~= "string" or not utf8.len(text) then
      return ("holds a %s that is no text"):format(name)
    end
  end
end

--- A list of paths, each of which may or may not lead to anything yet.
local function paths(value)
  if type(value) ~= "table" then
    return ("must be a list of files and folders, such as {'data.json', 'templates/'}, not a %s"):format(type(value))
  end
  for key, path in pairs(value) do
    if math.type(key) ~= "integer" or key < 1 or key > #value then
      return ("must be a list of files and folders, such as {'data.json'}: it has a key %s"):format(
        type(key) == "string" and ("'%s'"):format(key) or tostring(key))
    elseif type(path) ~= "string" then
      return ("[%d] must be a path, not a %s"):format(key, type(path))
    elseif path == "" or path:find "%z" then
      return ("[%d] must be a path, which is not empty and holds no zero byte; '.' is the script's folder"):format(key)
    end
  end
end

local app_options = {
  info = info_spec,
  procedures = is "table",
  authorize = is "function",
  on_connect = is "function",
  on_disconnect = is "function",
  sockets = is "table",
  topics = is "table",
  routes = is "table",
  static = is "string",
  on_load = is "function",
  on_unload = is "function",
  background = is "table",
  watch = paths,
}

local function size(value)
  local bytes, wrong = core.bytes(value)
  if not bytes then
    return wrong
  end
end

local function count(value)
  if math.type(value) ~= "integer" or value < 1 or value > 1000000 then
    return "must be an integer from 1 to 1000000"
  end
end

--- RFC 6455 section 4.1: names are tokens.
local function names(value)
  if type(value) ~= "table" then
    return "must be a list of names, not a " .. type(value)
  end
  for _, name in ipairs(value) do
    if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+%-.^_`|~]+$") then
      return ("must be names without spaces and separators: '%s' is none"):format(tostring(name))
    end
  end
end

local socket_options = {
  run = is "function",
  on_open = is "function",
  on_message = is "function",
  on_close = is "function",
  message_bytes = size,
  message_fragments = count,
  protocols = names,
}

local function label(value)
  if type(value) ~= "string" or #value < 1 or #value > 63 or value:find "%c" then
    return "must be a string of 1 to 63 bytes, without control characters"
  end
end

local background_options = {
  run = is "function",
  once = is "boolean",
  name = label,
  preemptible = is "boolean",
}

app.check = check

---@param spec cancela.ProcedureSpec
---@return cancela.Procedure
function app.procedure(spec)
  check("cancela.procedure", spec, procedure_options, "run")
  if spec.params and (spec.payload or "json") ~= "json" then
    error(("cancela.procedure: params declares a table, but payload = '%s' is a string"):format(spec.payload), 2)
  end
  return setmetatable(copy(spec), Procedure)
end

---@param spec cancela.RouteSpec
---@return cancela.Route
function app.route(spec)
  check("cancela.route", spec, route_options, "run")
  return setmetatable(copy(spec), Route)
end

---@param spec cancela.AppSpec
---@return cancela.App
function app.new(spec)
  check("cancela.app", spec, app_options, "procedures")
  return setmetatable(copy(spec), App)
end

--- What a schema of a procedure has become since it was declared, for tables can be changed.
local function declared(name, read, value, root)
  local text, wrong = read(value, root)
  if not text then
    error(("procedure '%s': %s%s (changed since it was declared)"):format(name, root, wrong), 0)
  end
  return text
end

local function entry(name, procedure)
  return {
    name = name,
    run = procedure.run,
    summary = procedure.summary,
    timeout = procedure.timeout or 0,
    read_only = procedure.read_only or false,
    keep_nulls = procedure.nulls == "keep",
    preemptible = procedure.preemptible or false,
    manual = procedure.cancel == "manual",
    stream = procedure.stream or false,
    payload = procedure.payload,
    array_result = procedure.result ~= nil and procedure.result.type == "array",
    params = procedure.params and declared(name, params_text, procedure.params, "params"),
    result = procedure.result and declared(name, schema_text, procedure.result, "result"),
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

--- The path of the gateway's own calls is not to be taken.
local function check_path(path)
  if type(path) ~= "string" or path:sub(1, 1) ~= "/" or path:find("[?#%s%c]") then
    error(("sockets: '%s' is not a path: it begins with '/' and holds no query"):format(tostring(path)), 0)
  elseif path == "/rpc" or path:sub(1, 5) == "/rpc/" then
    error(("sockets: '%s' is the path of procedures: choose another"):format(path), 0)
  end
end

local function socket_entry(path, value)
  local what = ("sockets['%s']"):format(path)
  if type(value) == "function" then
    value = { run = value }
  elseif type(value) ~= "table" then
    error(("%s must be a function or a table of options, not a %s"):format(what, type(value)), 0)
  end
  check(what, value, socket_options)
  local events = value.on_open or value.on_message or value.on_close
  if value.run and events then
    error(("%s: give 'run' or functions for events, not both"):format(what), 0)
  elseif not value.run and not value.on_message then
    error(("%s: 'run' or 'on_message' is missing"):format(what), 0)
  end
  local result = copy(value)
  result.path = path
  result.message_bytes = value.message_bytes and core.bytes(value.message_bytes) or 0
  result.message_fragments = value.message_fragments or 0
  result.protocols = value.protocols or {}
  return result
end

local function collect_sockets(sockets)
  local list = {}
  for path, value in pairs(sockets or {}) do
    check_path(path)
    list[#list + 1] = socket_entry(path, value)
  end
  return list
end

local topic_options = {
  slow = one_of("drop", "suspend", "close"),
  queue = size,
}

local function topic_entry(name, value)
  local what = ("topics['%s']"):format(tostring(name))
  if type(name) ~= "string" or not name:find "^[^*]*%*?$" or name == "" or #name > 255 then
    error(("%s: a topic's name has 1 to 255 bytes, and a '*' at its end at most"):format(what), 0)
  end
  check(what, value, topic_options)
  local beginning = name:match "^(.*)%*$"
  return {
    name = beginning or name,
    prefix = beginning ~= nil,
    slow = value.slow or "drop",
    queue = core.bytes(value.queue or "64KiB"),
  }
end

local function collect_topics(topics)
  local list = {}
  for name, value in pairs(topics or {}) do
    list[#list + 1] = topic_entry(name, value)
  end
  return list
end

local function background_entry(at, value)
  local what = ("background[%d]"):format(at)
  if type(value) == "function" then
    value = { run = value }
  elseif type(value) ~= "table" then
    error(("%s must be a function or a table such as {run = fn, once = true}, not a %s"):format(what, type(value)), 0)
  end
  check(what, value, background_options, "run")
  local info = debug.getinfo(value.run, "S")
  return {
    run = value.run,
    once = value.once or false,
    name = value.name or ("%s:%d"):format(info.short_src, info.linedefined),
    preemptible = value.preemptible or false,
  }
end

local function collect_background(background)
  local list = {}
  for key in pairs(background or {}) do
    if math.type(key) ~= "integer" or key < 1 or key > #background then
      error(("background must be a list of functions and tables such as {run = fn}: it has the key '%s'"):format(
        tostring(key)), 0)
    end
  end
  for at = 1, #(background or {}) do
    list[at] = background_entry(at, background[at])
  end
  return list
end

local function info_text(info)
  local encode = core.json.encode
  local text = ('{"title":%s,"version":%s'):format(encode(info.title or "Cancela"), encode(info.version or "0"))
  return text .. (info.description and ',"description":' .. encode(info.description) or "") .. "}"
end

--- What the keys say, and whether two say the same, is C's to find out.
local function collect_routes(routes)
  local list = {}
  for key, value in pairs(routes or {}) do
    if type(key) ~= "string" or key:find "%c" then
      error(("routes: '%s' is not a route: write a method and a path, as in 'GET /users/:id'"):format(
        tostring(key)), 0)
    elseif type(value) == "function" then
      list[#list + 1] = entry(key, { run = value })
    elseif getmetatable(value) == Route then
      list[#list + 1] = entry(key, value)
    else
      error(("routes['%s'] must be a function or a cancela.route, not a %s"):format(
        key, type(value) == "table" and getmetatable(value) == Procedure and Procedure.__name or type(value)), 0)
    end
  end
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  return list
end

--- The app that C takes: `list` of procedures in the order of their names, the functions for all
--- calls and connections, and a list of `sockets`. A script may return just a table of procedures.
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
  return {
    list = list,
    info = info_text(spec.info or {}),
    authorize = spec.authorize,
    on_connect = spec.on_connect,
    on_disconnect = spec.on_disconnect,
    sockets = collect_sockets(spec.sockets),
    topics = collect_topics(spec.topics),
    routes = collect_routes(spec.routes),
    static = spec.static,
    on_load = spec.on_load,
    on_unload = spec.on_unload,
    background = collect_background(spec.background),
    watch = spec.watch or {},
  }
end

return app
