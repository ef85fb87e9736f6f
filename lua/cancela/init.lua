--- Cancela for scripts: what `require "cancela"` gives.
---
--- Durations are in seconds, fractions allowed. A function that *awaits* suspends the call and lets
--- others run; it raises the call's Cancel if the call is, or becomes, cancelled.
local core = require "cancela.core"
local app = require "cancela.app"

---@class cancela.Reason
---@field kind "reset"|"disconnect"|"timeout"|"shutdown"|"reload"|"killed"|"limit"|"slow_consumer"|"user"
---@field at number when it was decided, in seconds as from `cancela.now()`
---@field message? string in words, at most 1 KiB; may come from the client: do not trust it

---@alias cancela.OnCancel fun(reason: cancela.Reason, token: cancela.Token)

---@class cancela.Token Reading it never raises or awaits, and ignores shields.
---@field cancelled boolean
---@field reason? cancela.Reason nil until cancelled
---@field deadline number in seconds as from `cancela.now()`; math.huge if there is none
---@field remaining number seconds until the deadline; 0 when cancelled or past it; math.huge if there is none
---@field throw_if_cancelled fun(self: cancela.Token): cancela.Token raises the Cancel, or returns self
---@field on_cancel fun(self: cancela.Token, fn: cancela.OnCancel): cancela.Registration
--- Runs `fn` at most once, as a task of its own that may await for as long as the grace lasts. On a
--- cancelled token it is scheduled at once. At most 1024 on one token.

---@class cancela.Registration May be a `<close>` variable.
---@field remove fun(self: cancela.Registration): boolean true iff the function will never run

---@class cancela.Certificate
---@field subject string as in RFC 2253: "CN=Zoë,O=Testers"
---@field issuer string as in RFC 2253
---@field serial string in hexadecimal
---@field fingerprint string SHA-256, 64 hexadecimal digits

---@class cancela.Call Read-only.
---@field id integer the gateway's own number
---@field procedure string its dotted name
---@field request_id? string|number the client's id; nil for a notification
---@field is_notification boolean nobody waits for a result
---@field peer string "ip:port" of the client
---@field certificate? cancela.Certificate the client's, if it presented one and it was verified
---@field headers table<string, string> of the HTTP request, by lower-case name
---@field protocol "jsonrpc"|"connect"
---@field generation integer of the script
---@field identity any what `authorize` returned, unless that was true
---@field token cancela.Token
---@field client? cancela.Client the WebSocket it came by; nil for HTTP
---@field abort fun(self: cancela.Call, reason?: string): boolean cancels the call; false if it was already

---@class cancela.Client A WebSocket connection. Read-only.
---@field id integer the gateway's own number
---@field address string "ip:port"
---@field path string that it connected to
---@field protocol? string the subprotocol that was agreed on
---@field headers table<string, string> of the HTTP request, by lower-case name
---@field closed boolean
---@field certificate? cancela.Certificate the client's, verified
---@field get fun(self: cancela.Client, key: string): any what was set, copied
---@field set fun(self: cancela.Client, key: string, value: any) keeps plain data; nil removes. At most
--- 64 KiB of names and values together, else it raises
---@field notify fun(self: cancela.Client, event: string, data?: any): boolean?, string? of a client of
--- procedures: sends a JSON-RPC notification. Awaits room. Returns true, or nil and "closed"
---@field close fun(self: cancela.Client, code?: integer, reason?: string): boolean false if it was closed

---@class cancela.Socket: cancela.Client What a WebSocket handler gets. It has no `notify`.
---@field send fun(self: cancela.Socket, message: string, kind?: "text"|"binary"): boolean?, string?
--- Awaits room. Returns true, or nil and "closed"
---@field receive fun(self: cancela.Socket): string?, string? the next message and its kind, or nil and
--- "closed". Awaits
---@field messages fun(self: cancela.Socket): fun(): string?, string? `receive`, for `for`

---@class cancela.ErrorSpec
---@field code string|integer a name such as "not_found", or an integer outside -32768 to -32000
---@field message? string for people
---@field data? any sent as JSON

---@class cancela.log
---@field debug fun(message: any, fields?: table<string, any>)
---@field info fun(message: any, fields?: table<string, any>)
---@field warn fun(message: any, fields?: table<string, any>)
---@field error fun(message: any, fields?: table<string, any>)

---@class cancela.json
---@field encode fun(value: any): string raises, naming the path, what JSON cannot hold
---@field decode fun(text: string, options?: {nulls: "keep"?}): any, string? nil and a message on bad text
---@field null lightuserdata stands for null
---@field array fun(t: table): table has `t` encoded as an array even if it is empty
---@field object fun(t: table): table has `t` encoded as an object

---@class cancela
local cancela = {}

---The gateway's version.
---@type string
cancela.VERSION = core.VERSION

---Writes log lines. Fields are appended as key=value, values quoted where needed.
---@type cancela.log
cancela.log = core.log

---@type cancela.json
cancela.json = core.json

---Describes an app: what a script returns to be served. Raises, naming it, on any mistake.
---@type fun(spec: cancela.AppSpec): cancela.App
cancela.app = app.new

---Describes a procedure that takes options. Raises, naming it, on any mistake.
---@type fun(spec: cancela.ProcedureSpec): cancela.Procedure
cancela.procedure = app.procedure

---Raises a typed error, which the client sees as it is.
---@type fun(spec: cancela.ErrorSpec)
cancela.error = core.error

---Awaits for some seconds (at least 0; math.huge for ever). Cancel safe: there is nothing to lose.
---@type fun(seconds: number)
cancela.sleep = core.sleep

---Seconds on a clock that only goes forward; its zero means nothing.
---@type fun(): number
cancela.now = core.now

---The token of the innermost scope of the running task.
---@type fun(): cancela.Token
cancela.token = core.token

---Does what every await does first: raises if the task is cancelled or its deadline has passed.
---Never suspends. For long computations.
---@type fun()
cancela.checkpoint = core.checkpoint

---The reason if the value is a Cancel (what awaits raise), else nil.
---@type fun(value: any): cancela.Reason?
cancela.is_cancel = core.is_cancel

---Calls `fn(...)` and cancels it after some seconds. Returns true and its results, or false and the
---reason if this time limit ended it. Other errors and outer cancels pass through.
---@type fun(seconds: number, fn: function, ...: any): boolean, any
cancela.timeout = core.timeout

---Calls `fn(...)` and hides outer cancels from its awaits for at most some seconds; once there is one,
---at most for its grace. Returns what `fn` returns.
---@type fun(seconds: number, fn: function, ...: any): any
cancela.shield = core.shield

---Makes a value that calls `fn(err)` when it is closed: `local _ <close> = cancela.defer(fn)`. `err` is
---nil on a normal exit. `fn` may await, shielded.
---@type fun(fn: fun(err: any)): any
cancela.defer = core.defer

local function getenv(name)
  if type(name) ~= "string" then
    error(("cancela.env: a name is a string, not a %s"):format(type(name)), 3)
  end
  return os.getenv(name)
end

---Environment variables: `cancela.env.NAME` or `cancela.env("NAME", default)`.
---@type table<string, string?>|fun(name: string, default?: string): string?
cancela.env = setmetatable({}, {
  __index = function(_, name)
    return (getenv(name))
  end,
  __newindex = function(_, name)
    error("cancela.env is read-only: cannot set " .. tostring(name), 2)
  end,
  __call = function(_, name, default)
    return getenv(name) or default
  end,
})

return cancela
