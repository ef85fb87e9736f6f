-- What specs of calls share.
local assert = require "luassert"
local testing = require "cancela.testing"

local calls = {}

-- A value for a <close> variable, which runs fn(err).
function calls.closing(fn)
  return setmetatable({}, { __close = function(_, e) fn(e) end })
end

-- Abandons a coroutine, whose clean-up is fn.
function calls.abandon(fn)
  coroutine.wrap(function()
    local _ <close> = calls.closing(fn)
    coroutine.yield()
  end)()
end

-- Calls fn as a procedure of its own, which is cancelled after so many seconds if that is given.
function calls.call(fn, cancel_after)
  local result, err = testing.app { p = fn }:call("p", {}, { cancel_after = cancel_after })
  assert.not_equal("internal", err and err.code, "see the log")
  return result, err
end

return calls
