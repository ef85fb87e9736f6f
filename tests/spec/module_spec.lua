local cancela = require "cancela"
local testing = require "cancela.testing"

local function names(of)
  local list = {}
  for name in pairs(of) do
    list[#list + 1] = name
  end
  table.sort(list)
  return list
end

describe("the module cancela", function()
  it("has what it documents and nothing else", function()
    assert.same({
      "VERSION", "all", "app", "broadcast", "broadcast_op", "channel", "checkpoint", "defer", "detach", "env", "error",
      "fail_after", "group", "interval", "is_cancel", "json", "linked_token", "log", "mutex", "now", "procedure",
      "publish", "publish_op", "race", "route", "select",
      "semaphore", "shared", "shield", "sleep", "sleep_op", "stats", "timeout", "token",
    }, names(cancela))
    assert.same({ "debug", "error", "info", "warn" }, names(cancela.log))
    assert.same({ "array", "decode", "encode", "null", "object" }, names(cancela.json))
    assert.matches("^%d+%.%d+%.%d+$", cancela.VERSION)
  end)

  it("names the functions in its messages", function()
    for name, misuse in pairs {
      sleep = function() cancela.sleep {} end,
      timeout = function() cancela.timeout {} end,
      is_cancel = function() cancela.is_cancel() end,
    } do
      assert.error_matches(misuse, "bad argument #1 to '" .. name .. "'")
    end
  end)
end)

describe("the memory of the VM", function()
  it("when it is not enough for a call ends that call only, as resource_exhausted", function()
    local app = testing.app {
      big = function() return #("x"):rep(1 << 30) end,
      small = function() return 1 end,
    }
    local _, err = app:call "big"
    assert.equal("resource_exhausted", err.code)
    assert.equal(1, app:call "small")
  end)

  it("can be made to do by a script that catches the error", function()
    local app = testing.app { p = function()
      local ok, e = pcall(string.rep, "x", 1 << 30)
      return not ok and e
    end }
    assert.equal("not enough memory", app:call "p")
  end)
end)
