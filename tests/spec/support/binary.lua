--- Runs the binary that runs the specs, in a process of its own.
local binary = {}

local function path()
  local pipe <close> = assert(io.popen "readlink /proc/$PPID/exe")
  return pipe:read "l"
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Runs `cancela COMMAND FILE ARGUMENTS…`, FILE holding `source`. Returns what it wrote, to stdout and
--- stderr, with FILE's name as FILE, and its exit code.
function binary.run(command, source, ...)
  local name = os.tmpname()
  local file = name .. "_spec.lua"
  local out <close> = assert(io.open(file, "w"))
  out:write(source)
  out:close()
  local words = { path(), command, file, ... }
  for i, word in ipairs(words) do
    words[i] = quote(word)
  end
  local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1"))
  local output = pipe:read "a"
  local _, _, code = pipe:close()
  os.remove(file)
  os.remove(name)
  return output:gsub(file:gsub("%p", "%%%0"), "FILE"), code
end

function binary.check(source)
  return binary.run("check", source)
end

function binary.test(source, ...)
  return binary.run("test", source, "-o", "plainTerminal", ...)
end

return binary
