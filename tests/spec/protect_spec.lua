-- pcall, xpcall and error where no cancellation is about: as in the reference manual.
local cancela = require "cancela"

describe("pcall", function()
  it("returns true and all results", function()
    assert.same({ true, 1, nil, 3, nil, n = 5 }, table.pack(pcall(function(...) return ... end, 1, nil, 3, nil)))
    assert.same({ true, n = 1 }, table.pack(pcall(function() end)))
  end)

  it("returns all results of a function that awaits", function()
    assert.same({ true, 1, nil, n = 3 }, table.pack(pcall(function(...)
      cancela.sleep(0.1)
      return ...
    end, 1, nil)))
  end)

  it("returns false and the error value, of any type, before and after an await", function()
    local object = setmetatable({}, {})
    for _, value in ipairs { "text", 12, object, print, true } do
      for _, wait in ipairs { function() end, function() cancela.sleep(0.1) end } do
        local results = table.pack(pcall(function()
          wait()
          error(value, 0)
        end))
        assert.equal(2, results.n)
        assert.is_false(results[1])
        assert.equal(value, results[2])
        assert.equal(math.type(value), math.type(results[2]))
      end
    end
    assert.same({ false, nil, n = 2 }, table.pack(pcall(error)))
    assert.same({ false, nil, n = 2 }, table.pack(pcall(error, nil)))
  end)

  it("of what is no function is false and an error", function()
    local ok, e = pcall(nil)
    assert.is_false(ok)
    assert.equal("attempt to call a nil value", e)
    assert.error_matches(function() pcall() end, "bad argument #1 to 'pcall' %(value expected%)")
  end)

  it("calls what has __call", function()
    assert.same({ true, "called" }, { pcall(setmetatable({}, { __call = function() return "called" end })) })
  end)

  it("can be tail-called, nested and passed to itself", function()
    assert.same({ true, true, true, 5 }, { pcall(pcall, pcall, function() return 5 end) })
    assert.same({ true, false, "e" }, { pcall(pcall, error, "e", 0) })
  end)

  it("survives running out of stack", function()
    local function deep() return 1 + deep() end
    local ok, e = pcall(deep)
    assert.is_false(ok)
    assert.matches("stack overflow", e)
  end)

  it("closes to-be-closed variables before it returns", function()
    local closed
    pcall(function()
      local _ <close> = setmetatable({}, { __close = function(_, e) closed = e end })
      error("e", 0)
    end)
    assert.equal("e", closed)
  end)
end)

describe("xpcall", function()
  it("passes arguments and returns all results", function()
    assert.same({ true, 1, nil, 3, n = 4 }, table.pack(xpcall(function(...)
      cancela.sleep(0.1)
      return ...
    end, print, 1, nil, 3)))
    assert.same({ true, n = 1 }, table.pack(xpcall(function() end, print)))
  end)

  it("returns false and what its handler made of the error, also after an await", function()
    for _, wait in ipairs { function() end, function() cancela.sleep(0.1) end } do
      assert.same({ false, "handled e", n = 2 }, table.pack(xpcall(function()
        wait()
        error("e", 0)
      end, function(e) return "handled " .. e, "dropped" end)))
    end
  end)

  it("gives its handler a traceback of where the error was raised", function()
    local function thrower()
      cancela.sleep(0.1)
      error "here"
    end
    local _, trace = xpcall(thrower, debug.traceback)
    assert.matches("^tests/spec/protect_spec.lua:%d+: here\nstack traceback:\n", trace)
    assert.matches("in function 'error'.*protect_spec", trace)
    assert.matches("in upvalue 'thrower'", (select(2, xpcall(function() thrower() end, debug.traceback))))
  end)

  it("ends with an error in an error if its handler raises without end", function()
    local ok = xpcall(error, function() error "again" end, "e")
    assert.is_false(ok)
  end)

  it("wants a function for a handler", function()
    assert.error_matches(function() xpcall(print) end, "bad argument #2 to 'xpcall'")
    assert.error_matches(function() xpcall(print, "h") end, "bad argument #2 to 'xpcall'")
  end)
end)

describe("error", function()
  local function raise(...)
    error(...)
  end

  it("adds the place to strings, by level, and only to strings", function()
    local here = debug.getinfo(1, "l").currentline
    local _, one = pcall(function() raise "m" end)
    local _, two = pcall(function() raise("m", 2) end)
    local _, zero = pcall(function() raise("m", 0) end)
    local _, number = pcall(function() raise(12, 2) end)
    assert.matches("^tests/spec/protect_spec.lua:%d+: m$", one)
    assert.equal(("tests/spec/protect_spec.lua:%d: m"):format(here + 2), two)
    assert.equal("m", zero)
    assert.equal(12, number)
  end)

  it("wants an integer for a level", function()
    assert.error_matches(function() error("m", "x") end, "bad argument #2 to 'error'")
  end)
end)

describe("assert", function()
  local plain = _G.assert -- in specs, busted's hides it

  it("returns its arguments, and raises its message as error does", function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(plain(1, nil, 3)))
    assert.matches("^tests/spec/protect_spec.lua:%d+: m$", select(2, pcall(function() plain(false, "m") end)))
    local object = {}
    assert.same({ false, object }, { pcall(plain, false, object) })
    assert.same({ false, "assertion failed!" }, { pcall(plain, nil) })
    assert.same({ false, nil, n = 2 }, table.pack(pcall(plain, false, nil)))
    assert.error_matches(function() plain() end, "bad argument #1 to '%w+' %(value expected%)")
  end)
end)
