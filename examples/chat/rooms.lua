-- Who is in which room. Members are whatever the caller takes for one: clients here, names in the spec.
local rooms = {}
rooms.__index = rooms

function rooms.new()
  return setmetatable({ members = {} }, rooms)
end

--- Puts `member` into `room` under `name`. Returns true, or nil and why not.
function rooms:join(room, member, name)
  local members = self.members[room] or {}
  for other, taken in pairs(members) do
    if taken == name and other ~= member then
      return nil, ("'%s' is in %s already"):format(name, room)
    end
  end
  members[member] = name
  self.members[room] = members
  return true
end

--- Takes `member` out of `room`; the last one takes the room along.
function rooms:leave(room, member)
  local members = self.members[room]
  if members then
    members[member] = nil
    if not next(members) then
      self.members[room] = nil
    end
  end
end

--- The names in `room`, sorted.
function rooms:names(room)
  local names = {}
  for _, name in pairs(self.members[room] or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

--- The members of `room` as they are now: a list, so that one may leave while it is walked.
function rooms:list(room)
  local list = {}
  for member in pairs(self.members[room] or {}) do
    list[#list + 1] = member
  end
  return list
end

return rooms
