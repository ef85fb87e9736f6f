-- A page, what it asks for, and a list that any HTTP client can change.
--
--   cancela run examples/web/app.lua        and open http://localhost:3000
local cancela = require "cancela"

local notes = { { id = 1, text = "buy bread" } }
local last = 1

local function find(id)
  for at, note in ipairs(notes) do
    if tostring(note.id) == id then
      return note, at
    end
  end
  cancela.error { code = "not_found", message = "no note has this id" }
end

return cancela.app {
  static = "public",
  procedures = {},
  routes = {
    ["GET /notes"] = function()
      return { body = cancela.json.array(notes) }
    end,

    ["POST /notes"] = function(request)
      local note = request:json()
      if type(note) ~= "table" or type(note.text) ~= "string" then
        cancela.error { code = "invalid_argument", message = 'send {"text": "…"}' }
      end
      last = last + 1
      notes[#notes + 1] = { id = last, text = note.text }
      return { status = 201, headers = { Location = "/notes/" .. last }, body = notes[#notes] }
    end,

    ["GET /notes/:id"] = function(request)
      return { body = find(request.params.id) }
    end,

    ["DELETE /notes/:id"] = function(request)
      local _, at = find(request.params.id)
      table.remove(notes, at)
    end,

    -- Sent a line at a time; close the page and it stops.
    ["GET /countdown"] = function(request)
      local left = math.tointeger(tonumber(request.query.from or 5)) or 5
      return { headers = { ["Content-Type"] = "text/plain; charset=utf-8" }, body = function()
        if left < 0 then
          return nil
        end
        cancela.sleep(1)
        left = left - 1
        return left >= 0 and ("%d\n"):format(left + 1) or "lift-off\n"
      end }
    end,
  },
}
