--- Cancela for scripts: what `require "cancela"` gives.
---
--- Durations are in seconds, fractions allowed. A function that *awaits* suspends the call and lets
--- others run; it raises the call's Cancel if the call is, or becomes, cancelled.
local core = require "cancela.core"
local app = require "cancela.app"

---@alias cancela.Kind
---| "reset"
---| "disconnect"
---| "timeout"
---| "shutdown"
---| "reload"
---| "killed"
---| "limit"
---| "slow_consumer"
---| "user"
---| "parent_failed"
---| "lost_race"

---@class cancela.Reason
---@field kind cancela.Kind
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

---@field child fun(self: cancela.Token, options?: {timeout: number?}): cancela.Token, fun(reason?: string): boolean
--- A token of its own, cancelled with this one, at its time limit, or by the function, which returns true if
--- it did it. It ends with the scope it was made in: after that nothing cancels it
---@field wait fun(self: cancela.Token): cancela.Reason? awaits its cancellation and returns the reason; nil if
--- its scope ended without. Cancel safe: nothing to lose
---@field wait_op fun(self: cancela.Token): cancela.Operation `wait` for `cancela.select`

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
---@field protocol "jsonrpc"|"connect"|"http"
---@field generation integer of the script
---@field identity any what `authorize` returned, unless that was true
---@field token cancela.Token
---@field client? cancela.Client the WebSocket it came by; nil for HTTP
---@field send fun(self: cancela.Call, item: any): true|nil, "closed"|nil sends an item of a
--- procedure with stream = true. Awaits room. Cancel safe: it was sent, or it raises and it was not
---@field send_op fun(self: cancela.Call, item: any): cancela.Op as send, for select
---@field progress fun(self: cancela.Call, value: any): boolean tells how far it is; false: dropped, as
--- the client shows none or has no room
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
--- procedures: sends a JSON-RPC notification. Awaits room. Returns true, or nil and "closed". Cancel safe: it is
--- queued whole, or it raises and nothing was
---@field notify_op fun(self: cancela.Client, event: string, data?: any): cancela.Operation `notify` for
--- `cancela.select`; what cannot be sent is raised here
---@field subscribe fun(self: cancela.Client, topic: string): boolean?, string? from now on it gets what is
--- published on the topic (1 to 255 bytes), as a notification, until it is closed. Returns true, also if it was
--- subscribed, or nil and "closed". Raises `resource_exhausted` above `subscriptions_per_connection`
---@field unsubscribe fun(self: cancela.Client, topic: string): boolean false if it was not subscribed
---@field close fun(self: cancela.Client, code?: integer, reason?: string): boolean false if it was closed

---@class cancela.Socket: cancela.Client What a WebSocket handler gets. It has no `notify`, no `notify_op`, and
--- cannot subscribe.
---@field send fun(self: cancela.Socket, message: string, kind?: "text"|"binary"): boolean?, string?
--- Awaits room. Returns true, or nil and "closed". Cancel safe: it is queued whole, or it raises and nothing was
---@field send_op fun(self: cancela.Socket, message: string, kind?: "text"|"binary"): cancela.Operation `send`
--- for `cancela.select`
---@field receive fun(self: cancela.Socket): string?, string? awaits the next message. Returns it and its kind, or
--- nil and "closed". Cancel safe: a message is taken when it is returned
---@field receive_op fun(self: cancela.Socket): cancela.Operation `receive` for `cancela.select`
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

---Describes a route that takes options. Raises, naming it, on any mistake.
---@type fun(spec: cancela.RouteSpec): cancela.Route
cancela.route = app.route

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

---Calls `fn(...)` and returns its results. After some seconds it is cancelled, and an ordinary error of
---code = "deadline_exceeded" is raised. Cancel safe: as `timeout`.
---@type fun(seconds: number, fn: function, ...: any): any
cancela.fail_after = core.fail_after

---Makes a token that is cancelled when any of 1 to 100 others is, at once if one is already. It ends with
---the scope it was made in.
---@type fun(...: cancela.Token): cancela.Token
cancela.linked_token = core.linked_token

---Starts `fn()` as a task that the end of the call does not end, for at most `timeout` seconds (above 0, at most
---86400). Raises `resource_exhausted` if there are `max_detached` already, `unavailable` at shutdown.
---@type fun(fn: function, options: {timeout: number}): cancela.Task
cancela.detach = core.detach

---Calls `fn(...)` and hides outer cancels from its awaits for at most some seconds; once there is one,
---at most for its grace. Returns what `fn` returns.
---@type fun(seconds: number, fn: function, ...: any): any
cancela.shield = core.shield

---Makes a value that calls `fn(err)` when it is closed: `local _ <close> = cancela.defer(fn)`. `err` is
---nil on a normal exit. `fn` may await, shielded.
---@type fun(fn: fun(err: any)): any
cancela.defer = core.defer

---@class cancela.Operation Something to be awaited by `cancela.select`, any number of times, by one task at a time.

---@class cancela.Task A subtask.
---@field await fun(self: cancela.Task): any awaits its end. Returns its results or raises its error; if it was
--- cancelled an ordinary error with code = "canceled", kind = "cancelled" and its reason. Cancel safe: the
--- task goes on
---@field await_op fun(self: cancela.Task): cancela.Operation `await` for `cancela.select`
---@field cancel fun(self: cancela.Task, reason?: string): boolean false if it has ended, or was cancelled already

---@class cancela.Group
---@field spawn fun(self: cancela.Group, fn: function, ...: any): cancela.Task starts `fn(...)` as a subtask of the
--- group. Raises if the group is cancelled or over

---@class cancela.Channel
---@field send fun(self: cancela.Channel, value: any): boolean?, string? awaits room, or a receiver. Returns
--- true, or nil and "closed". nil cannot be sent. Cancel safe: it is sent or it raises, never both
---@field send_op fun(self: cancela.Channel, value: any): cancela.Operation `send` for `cancela.select`
---@field recv fun(self: cancela.Channel): any, string? awaits a value, the oldest. nil and "closed" once it is
--- closed and empty. Cancel safe: a value that was taken is returned
---@field recv_op fun(self: cancela.Channel): cancela.Operation `recv` for `cancela.select`
---@field close fun(self: cancela.Channel): boolean who waits gets "closed"; what it holds can still be
--- received. False if it was closed already

---@class cancela.Semaphore
---@field acquire fun(self: cancela.Semaphore) awaits a permit, in order. Cancel safe: raises or has it, never both
---@field acquire_op fun(self: cancela.Semaphore): cancela.Operation `acquire` for `cancela.select`
---@field release fun(self: cancela.Semaphore) gives a permit back; raises if all are free

---@class cancela.Mutex
---@field lock fun(self: cancela.Mutex) awaits it, in order. Cancel safe: raises or holds it, never both. Raises
--- if the same task holds it
---@field lock_op fun(self: cancela.Mutex): cancela.Operation `lock` for `cancela.select`
---@field unlock fun(self: cancela.Mutex) raises if this task does not hold it

---@class cancela.Interval
---@field tick fun(self: cancela.Interval): integer awaits the next tick; returns how many were due, more than 1
--- if some were missed. Cancel safe: a tick that was not returned is due still
---@field tick_op fun(self: cancela.Interval): cancela.Operation `tick` for `cancela.select`

---Calls `fn(group)` and waits for it and for every subtask that it spawned. The first error cancels the
---rest and is raised when all have ended. Returns what `fn` returns. Cancel safe: nothing is left running.
---@type fun(fn: fun(group: cancela.Group): any): any
cancela.group = core.group

---Calls the functions as subtasks, beside each other. Returns the first result of each, in order; errors
---as in a group. Cancel safe: nothing is left running.
---@type fun(...: function): any
cancela.all = core.all

---Calls the functions as subtasks, beside each other. The first that ends decides: returns its place and
---its results, or raises its error, when the others, which are cancelled (lost_race), have ended. Of those that
---end in the same turn the first argument counts. Cancel safe: nothing is left running.
---@type fun(...: function): integer, any
cancela.race = core.race

---Makes a channel that holds up to `capacity` (0 to 1000000; default 0) values that nobody has received yet.
---@type fun(capacity?: integer): cancela.Channel
cancela.channel = core.channel

---Makes a semaphore of 1 to 1000000 permits.
---@type fun(permits: integer): cancela.Semaphore
cancela.semaphore = core.semaphore

---Makes a mutex.
---@type fun(): cancela.Mutex
cancela.mutex = core.mutex

---Makes a source of ticks, one every so many seconds (at least 0.001), the first after that time.
---@type fun(seconds: number): cancela.Interval
cancela.interval = core.interval

---`sleep` for `cancela.select`; it counts from when it is awaited.
---@type fun(seconds: number): cancela.Operation
cancela.sleep_op = core.sleep_op

---Awaits 1 to 100 operations until the first is done; the others did not happen. Returns its place in
---the list and its results; of those that could be done at once the first in the list is. Cancel safe: as
---each of them.
---@type fun(operations: cancela.Operation[]): integer, any
cancela.select = core.select

---Publishes to every client, of any worker, that is subscribed to the topic. Returns how many of this worker
---it goes to. Awaits, until all of them have room, only if `app.topics` says slow = "suspend". Cancel safe: it
---goes to all, or it raises and goes to nobody.
---@type fun(topic: string, data?: any): integer
cancela.publish = core.publish

---`publish` for `cancela.select`; what cannot be sent is raised here.
---@type fun(topic: string, data?: any): cancela.Operation
cancela.publish_op = core.publish_op

---As `publish`, to every WebSocket client, of any worker, that makes calls; `app.topics` may name the event.
---@type fun(event: string, data?: any): integer
cancela.broadcast = core.broadcast

---`broadcast` for `cancela.select`.
---@type fun(event: string, data?: any): cancela.Operation
cancela.broadcast_op = core.broadcast_op

---@class cancela.Bucket
---@field le number seconds
---@field count integer how many took at most that long

---@class cancela.Histogram
---@field count integer
---@field sum number seconds
---@field buckets cancela.Bucket[] cumulative

---@class cancela.Stats
---@field tasks integer that live now
---@field memory_bytes integer in use now
---@field cancelled table<cancela.Kind, integer> scopes that were cancelled
---@field late_cancels table<cancela.Kind, integer> cancels that found theirs cancelled already
---@field late_resets integer cancels of calls that had their result
---@field cancel_latency cancela.Histogram of calls, from the cancel until all of their work was gone
---@field started integer tasks that entered Lua
---@field skipped integer tasks cancelled before they entered Lua
---@field cancelled_waits integer awaits that a cancellation ended
---@field grace_exceeded integer scopes whose clean-up was still going at the end of grace
---@field callbacks integer on_cancel functions run
---@field callback_errors integer of those, ended by an error
---@field cleanup_errors integer calls whose clean-up raised
---@field late_errors integer errors of subtasks whose group was ending already
---@field ignored_cancels integer calls that returned a value after they were cancelled
---@field slices integer slices of code that computes
---@field cuts integer Cancels raised in code that computes
---@field holds integer calls cancelled because they computed too long without an await
---@field given_up integer tasks given up because clean-up outlived its grace
---@field published integer messages published or broadcast on this worker
---@field delivered integer of any worker's, handed to a client's connection here
---@field dropped integer messages dropped because their client had not read those before
---@field slow_consumers integer clients closed because they had not
---@field suspended integer publishes that waited for room
---@field unrelayed integer messages that another worker had no room for

---What all workers share: plain data by key, in at most `shared_memory` bytes. Gone with the process. No function
---of it awaits. A key has 1 to 1024 bytes. Values are copied; what is not plain data raises.
---@class cancela.Shared
---@field get fun(key: string): any, integer the value, and its version; nil and 0 if there is none
---@field ttl fun(key: string): number? seconds until it expires; math.huge: it does not; nil: there is none
---@field set fun(key: string, value: any, options?: cancela.SharedOptions) Raises `resource_exhausted` when full
---@field add fun(key: string, value: any, options?: cancela.SharedOptions): boolean sets it if there is none
---@field compare_and_set fun(key: string, version: integer, value: any, options?: cancela.SharedOptions): boolean
--- sets it if `get` would still give that version (0: if there is none)
---@field delete fun(key: string): boolean whether there was one
---@field incr fun(key: string, by?: number, options?: cancela.IncrOptions): number adds `by` (1), and returns the
--- sum. Raises if the value is no number, or the sum of integers is none

---@class cancela.SharedOptions
---@field ttl? number seconds until it expires, above 0, at most ten years; default: it does not

---@class cancela.IncrOptions
---@field initial? number what to begin with if there is none; default 0
---@field ttl? number as of set; default: as it was

---@type cancela.Shared
cancela.shared = core.shared

---Counts of this VM, which is this worker's, since it began.
---@type fun(): cancela.Stats
cancela.stats = core.stats

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
