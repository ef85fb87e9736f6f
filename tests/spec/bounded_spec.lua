-- Functions of the standard library written in C, which no hook reaches, end with their task's
-- scope. Computing takes no virtual time, so what is over here is over at once.
local cancela = require "cancela"
local testing = require "cancela.testing"

local function lying(length)
  return setmetatable({}, {
    __len = function() return length end,
    __index = function() return "" end,
    __newindex = rawequal,
  })
end

local HOSTILE = {
  ["string.rep"] = function() return ("x"):rep(1 << 26) end,
  ["string.find"] = function() return ("a"):rep(40):find(("a-"):rep(30) .. "b") end,
  ["string.match"] = function() return ("a"):rep(40):match(("a-"):rep(30) .. "b") end,
  ["string.gmatch"] = function() return ("a"):rep(40):gmatch(("a-"):rep(30) .. "b")() end,
  ["string.gsub"] = function() return ("a"):rep(40):gsub(("a-"):rep(30) .. "b", "") end,
  ["table.move"] = function() return table.move({}, 1, 1 << 40, 2) end,
  ["table.insert"] = function() table.insert(lying(1 << 40), 1, "x") end,
  ["table.remove"] = function() return table.remove(lying(1 << 40), 1) end,
  ["table.concat"] = function() return table.concat(lying(1 << 40)) end,
  ["table.unpack"] = function() return table.unpack(lying(900000)) end,
  ["table.sort"] = function() table.sort(lying(1 << 30)) end,
}

describe("case 66:", function()
  for name, hostile in pairs(HOSTILE) do
    it(name .. " ends with the time limit around it", function()
      local ok, reason = cancela.timeout(0, hostile)
      assert.is_false(ok)
      assert.equal("timeout", reason.kind)
    end)

    it(name .. " ends a call that was cancelled, and its clean-up runs", function()
      local closed = false
      local _, err = testing.app({ p = function(_, call)
        local _ <close> = setmetatable({}, { __close = function()
          cancela.sleep(0.1)
          closed = true
        end })
        call:abort "enough"
        hostile()
      end }):call "p"
      assert.equal("aborted", err.code)
      assert.is_true(closed)
    end)
  end
end)

describe("a function that works for long", function()
  it("may do so in clean-up, until grace is over", function()
    local longest
    testing.app({ p = function()
      local _ <close> = setmetatable({}, { __close = function()
        longest = #("x"):rep(1 << 20):gsub("x", "yy")
      end })
      cancela.sleep(10)
    end }):call("p", {}, { cancel_after = 1 })
    assert.equal(1 << 21, longest)
  end)

  it("may do so in a shield", function()
    local n
    local ok = cancela.timeout(0, function()
      cancela.shield(1, function() n = #("x"):rep(1 << 20):gsub("x", "yy") end)
      cancela.sleep(0)
    end)
    assert.is_false(ok)
    assert.equal(1 << 21, n)
  end)

  it("raises the outer of two limits that are over, if that was over first", function()
    local inner
    local ok = cancela.timeout(0, function()
      inner = cancela.timeout(0, HOSTILE["table.move"])
    end)
    assert.is_false(ok)
    assert.is_nil(inner)
  end)

  it("is left alone if it is done soon", function()
    assert.same({ true, "xyz" }, { cancela.timeout(0, function()
      return (("abc"):gsub("%w", { a = "x", b = "y", c = "z" }))
    end) })
  end)
end)
