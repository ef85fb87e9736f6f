-- Modules written for plain Lua, as the distribution has them, inside the runtime. Penlight comes with busted.
local cancela = require "cancela"
local testing = require "cancela.testing"

if not pcall(require, "pl.compat") then
  describe("a module from elsewhere", function()
    pending "Penlight is not installed: run scripts/setup --tests"
  end)
  return
end

describe("a module from elsewhere", function()
  it("cleans up with pcall, as was done before <close>, and the Cancel goes on", function()
    -- A pool as many libraries have it: it knows nothing of cancellation.
    local pool = { free = { "c" } }
    function pool.with(fn)
      local connection = table.remove(pool.free)
      local ok, e = pcall(fn, connection)
      pool.free[#pool.free + 1] = connection
      if not ok then
        error(e, 0)
      end
      return e
    end
    local app = testing.app { p = function()
      return pool.with(function(connection)
        cancela.sleep(1)
        return connection
      end)
    end }
    assert.equal("c", app:call "p")
    assert.equal("canceled", select(2, app:call("p", {}, { cancel_after = 0.5 })).code)
    assert.same({ "c" }, pool.free)
    assert.equal("c", app:call "p")
  end)

  it("cleans up with its own pcall: pl.pretty.load gives back the methods of strings, and the call ends", function()
    -- It takes them away from what it runs, calls it by pcall, puts them back, and returns nil and the error.
    -- It also saves and restores the hook, for which the runtime has no function.
    rawset(debug, "sethook", function() end)
    local _ <close> = setmetatable({}, { __close = function() rawset(debug, "sethook", nil) end })
    local seen = {}
    local app = testing.app { p = function()
      local value, e = require "pl.pretty".load("look() sleep(10)", {
        look = function() seen.methods_within = getmetatable "" ~= nil end,
        sleep = cancela.sleep,
      }, true)
      seen.value, seen.kind = value, cancela.is_cancel(e).kind
      seen.methods_after = ("x"):upper()
      seen.went_on = "until the next await"
      cancela.sleep(0)
      seen.went_on = "too far"
    end }
    local _, err = app:call("p", {}, { cancel_after = 1 })
    assert.equal("canceled", err.code)
    assert.same({ kind = "reset", methods_after = "X", methods_within = false, went_on = "until the next await" }, seen)
  end)

  it("does not turn a Cancel into text: pl.template, which uses xpcall with debug.traceback", function()
    local reason
    local app = testing.app { p = function()
      local template = require "pl.template".compile "$(later())"
      local _, e = template:render { later = function() cancela.sleep(10) end }
      reason = cancela.is_cancel(e)
      error(e, 0)
    end }
    assert.equal("canceled", select(2, app:call("p", {}, { cancel_after = 1 })).code)
    assert.equal("reset", reason.kind)
  end)

  it("may call back code that awaits: pl.tablex, pl.seq, pl.List", function()
    local function later(x)
      cancela.sleep(0.01)
      return x * 2
    end
    assert.same({ 2, 4, 6 }, { table.unpack(require "pl.tablex".map(later, { 1, 2, 3 })) })
    assert.same({ 2, 4 }, { table.unpack(require "pl.seq"({ 1, 2 }):map(later):copy()) })
    assert.equal(12, require "pl.List"({ 1, 2, 3 }):map(later):reduce "+")
  end)

  it("works with classes and templates of Penlight", function()
    local Account = require "pl.class" ()
    function Account:_init(balance) self.balance = balance end
    assert.equal(5, Account(5).balance)
    local text = require "pl.template".substitute("# for i = 1, 2 do\n$(i)\n# end\n", { _escape = "#" })
    assert.equal("1\n2\n", text)
  end)

  it("is cut like any other code by a timeout around it", function()
    local began = cancela.now()
    local ok = cancela.timeout(1, function()
      require "pl.tablex".foreach({ 1, 2, 3 }, function() cancela.sleep(0.4) end)
    end)
    assert.is_false(ok)
    assert.near(1, cancela.now() - began, 1e-6)
  end)

  it("may be a C module", function()
    assert.equal("directory", require "lfs".attributes(".", "mode"))
  end)
end)
