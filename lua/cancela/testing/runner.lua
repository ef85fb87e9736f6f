--- Runs busted inside the runtime; `cancela test` starts it as a task. Returns the exit code.
local core = require "cancela.testing.core"

--- Folders named on the command line, and those of files, are searched for modules.
local function add_paths(arguments)
  local path = {}
  for _, argument in ipairs(arguments) do
    if argument:sub(1, 1) ~= "-" then
      local folder = argument:match "%.lua$" and (argument:match "^(.*)/[^/]*$" or ".") or argument
      path[#path + 1] = folder .. "/?.lua"
      path[#path + 1] = folder .. "/?/init.lua"
    end
  end
  path[#path + 1] = package.path
  package.path = table.concat(path, ";")
end

--- Fails a test that leaves a task behind.
local function check_leaks(busted)
  busted.subscribe({ "test", "end" }, function(element)
    local left = core.tasks()
    if left > 0 then
      local at = element.trace
      error(("%s:%d: '%s' left %d task(s) running: let them end before the test does"):format(
        at.short_src, at.currentline, element.name, left), 0)
    end
    return nil, true
  end)
end

--- `assert.cancelled(fn, kind)`: fn raises a Cancel, of that kind if one is given.
local function add_matchers()
  local assert = require "luassert"
  local say = require "say"
  local cancela = require "cancela"
  say:set("assertion.cancelled.positive", "Expected the function to be cancelled (%s), but got:\n%s")
  say:set("assertion.cancelled.negative", "Expected the function not to be cancelled (%s), but got:\n%s")
  assert:register("assertion", "cancelled", function(_, arguments)
    local fn, kind = arguments[1], arguments[2]
    local ok, e = pcall(fn)
    local reason = not ok and cancela.is_cancel(e) or nil
    arguments[1], arguments[2] = kind or "any reason", ok and "no error" or tostring(e)
    arguments.n = 2
    return reason ~= nil and (kind == nil or reason.kind == kind)
  end, "assertion.cancelled.positive", "assertion.cancelled.negative")
end

return function(arguments)
  local found, runner = pcall(require, "busted.runner")
  if not found then
    io.stderr:write("cancela test: busted is not installed for Lua 5.4; on Debian: apt install lua-busted\n")
    return 1
  end
  require "cancela.testing" -- loaded before busted isolates modules, so that all specs share it
  rawset(_G, "arg", arguments)
  add_paths(arguments)
  add_matchers()
  local new_core = require "busted.core"
  package.loaded["busted.core"] = function()
    local busted = new_core()
    check_leaks(busted)
    return busted
  end
  rawset(os, "exit", function(code)
    core.exit((code == nil or code == true) and 0 or code == false and 1 or code)
  end)
  runner { standalone = false }
  return 0
end
