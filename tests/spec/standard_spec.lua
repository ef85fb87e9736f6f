-- pcall, xpcall, error, assert and coroutine.* are the runtime's own; what they do must be what Lua's
-- do. The snippets run here and in the lua5.4 of the system.
local cases = require "support.standard_cases"
local drive = require "support.standard_driver"

local plain_program = [[
package.path = %q
local outputs = require "support.standard_driver" (require "support.standard_cases")
for name, output in pairs(outputs) do
  io.write(("%%d %%d\n%%s%%s\n"):format(#name, #output, name, output))
end
]]

--- What the snippets show in plain Lua; nil if there is none.
local function in_plain_lua()
  local file = os.tmpname()
  local out = assert(io.open(file, "w"))
  out:write(plain_program:format(package.path))
  out:close()
  local pipe <close> = assert(io.popen("lua5.4 " .. file .. " 2>&1"))
  local text, at, outputs = pipe:read "a", 1, {}
  os.remove(file)
  while at <= #text do
    local name_size, size, next_at = text:match("^(%d+) (%d+)\n()", at)
    if not name_size then
      return nil, text:sub(at)
    end
    local name = text:sub(next_at, next_at + name_size - 1)
    outputs[name] = text:sub(next_at + name_size, next_at + name_size + size - 1)
    at = next_at + name_size + size + 1
  end
  return outputs
end

describe("as in plain Lua:", function()
  local plain, why = in_plain_lua()
  local ours = drive(cases)
  for name in pairs(cases) do
    it(name, function()
      if not plain and why:find "not found" then
        pending "lua5.4 is not installed: run scripts/setup --tests"
        return
      end
      assert(plain, why)
      assert.equal(plain[name], ours[name])
    end)
  end
end)
