-- A chat: JSON-RPC on a WebSocket to join a room and to speak in it, and a socket that follows a room.
--   cancela run examples/chat/app.lua
--   cancela call ws://localhost:3000/rpc?name=ana
--   > join room=tea
--   > say text=hello
-- Rooms are a table of this script, so it is for one worker (the default).
local cancela = require "cancela"
local rooms = require("rooms").new()

local WATCHERS = "watchers of "

local function client_of(call)
  return call.client
    or cancela.error { code = "failed_precondition", message = "chat needs a WebSocket: ws://…/rpc?name=you" }
end

local function room_of(client)
  return client:get("room") or cancela.error { code = "failed_precondition", message = "join a room first" }
end

local function text_in(params, name)
  local value = params[name]
  if type(value) ~= "string" or value == "" or #value > 1000 then
    cancela.error { code = "invalid_argument", message = name .. " must be a text of 1 to 1000 bytes" }
  end
  return value
end

-- Tells everyone in the room, and everyone who watches it. Waits for readers that are slow.
local function tell(room, event, data)
  for _, member in ipairs(rooms:list(room)) do
    member:notify(event, data)
  end
  local line = cancela.json.encode { event = event, data = data }
  for _, watcher in ipairs(rooms:list(WATCHERS .. room)) do
    watcher:send(line)
  end
end

local function leave(client)
  local room = client:get("room")
  if room then
    client:set("room", nil)
    rooms:leave(room, client)
    tell(room, "left", { name = client:get("name") })
  end
end

return cancela.app {
  procedures = {
    join = function(params, call)
      local client, room = client_of(call), text_in(params, "room")
      leave(client)
      local ok, why = rooms:join(room, client, client:get("name"))
      if not ok then
        cancela.error { code = "already_exists", message = why }
      end
      client:set("room", room)
      tell(room, "joined", { name = client:get("name") })
      return { room = room, names = cancela.json.array(rooms:names(room)) }
    end,

    say = function(params, call)
      local client = client_of(call)
      tell(room_of(client), "said", { name = client:get("name"), text = text_in(params, "text") })
    end,

    leave = function(_, call)
      leave(client_of(call))
    end,

    names = function(params)
      return cancela.json.array(rooms:names(text_in(params, "room")))
    end,
  },

  -- Whoever speaks has a name; watchers need none.
  on_connect = function(client, request)
    local name = request.query.name
    if client.path == "/rpc" and (not name or #name == 0 or #name > 32) then
      cancela.error { code = "unauthenticated", message = "who are you? add ?name=… (at most 32 bytes)" }
    end
    client:set("name", name)
  end,

  on_disconnect = leave,

  sockets = {
    -- /watch: the first message names a room; then come its events, until the watcher leaves.
    ["/watch"] = function(socket)
      local room = socket:receive()
      if not room then
        return
      end
      local key = WATCHERS .. room
      rooms:join(key, socket, socket.id)
      local _ <close> = cancela.defer(function()
        rooms:leave(key, socket)
      end)
      socket:send(cancela.json.encode { event = "watching", data = { room = room } })
      for _ in socket:messages() do -- what else it says means nothing
      end
    end,
  },
}
