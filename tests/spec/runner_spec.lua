-- `cancela test` itself: each test runs a spec in a process of its own.
local test = require "support.binary".test

local function spec(body)
  return ([[
    local cancela = require "cancela"
    local testing = require "cancela.testing"
    describe("d", function()
      it("i", function()
  %s
      end)
    end)
  ]]):format(body)
end

local function line_of(body)
  local _, line_feeds = spec(body):match("^(.-)HERE"):gsub("\n", "")
  return line_feeds + 1
end

describe("cancela test", function()
  it("exits with 0 when all pass and says how many", function()
    local output, code = test(spec "assert.is_true(true)")
    assert.matches("1 success / 0 failures / 0 errors / 0 pending", output)
    assert.equal(0, code)
  end)

  it("exits with 1 when one fails, or is an error, or the file does not load", function()
    for _, source in ipairs { spec "assert.is_true(false)", spec "error 'e'", "local x =" } do
      local _, code = test(source)
      assert.equal(1, code)
    end
    assert.equal(1, select(2, test("", "--no-such-option")))
  end)

  it("takes busted's arguments", function()
    local source = [[
      it("one", function() end)
      it("two", function() error "not to be run" end)
    ]]
    local output, code = test(source, "--filter", "one")
    assert.matches("1 success ", output)
    assert.equal(0, code)
  end)

  for what, body in pairs {
    ["a failed assertion"] = "assert.equal(1, 2) -- HERE",
    ["a failed assertion after an await"] = "cancela.sleep(1)\nassert.equal(1, 2) -- HERE",
    ["an assertion in a timeout"] = "cancela.timeout(9, function()\ncancela.sleep(1)\nassert(false) -- HERE\nend)",
    ["an error"] = "error 'broken' -- HERE",
    ["an error after an await"] = "cancela.sleep(1)\nerror 'broken' -- HERE",
    ["an error of Lua's"] = "cancela.sleep(1)\nlocal x = nil + 1 -- HERE",
    ["an error in a function"] = "local function f()\ncancela.sleep(1)\nerror 'e' -- HERE\nend\nf()",
    ["an error in a coroutine"] = "coroutine.wrap(function()\nerror 'broken' -- HERE\nend)()",
    ["wrong use of an await"] = "cancela.sleep('soon') -- HERE",
    ["an error that is a table"] = "cancela.sleep(1)\nerror { code = 1 } -- HERE",
    ["a typed error"] = "cancela.sleep(1)\ncancela.error { code = 'not_found', message = 'm' } -- HERE",
  } do
    it("says file and line of " .. what, function()
      local output, code = test(spec(body))
      assert.equal(1, code)
      assert.matches(("FILE:%d: "):format(line_of(body)), output)
    end)
  end

  it("shows a traceback with -v", function()
    local output = test(spec "local function inner()\ncancela.sleep(1)\nerror 'broken'\nend\ninner()", "-v")
    assert.matches("stack traceback:\n.*FILE:7: in .*'inner'.*\n.*FILE:9: in ", output)
  end)

  it("shows a Cancel that ends a test, and why", function()
    local output, code = test(spec [[
      local token
      testing.app({ p = function(_, call) token = call.token call:abort "enough" end }):call "p"
      token:throw_if_cancelled()
    ]])
    assert.matches("cancelled: user %(enough%)", output)
    assert.equal(1, code)
  end)

  it("fails a test that leaves a call's task behind, by name", function()
    local output, code = test [[
      local cancela = require "cancela"
      local testing = require "cancela.testing"
      local app = testing.app { p = function() cancela.sleep(1) end }
      describe("d", function()
        it("leaves one", function()
          cancela.timeout(1, function()
            cancela.token():on_cancel(function() cancela.sleep(0.1) end)
            cancela.sleep(2)
          end)
        end)
        it("leaves none", function() app:call "p" end)
      end)
    ]]
    assert.matches("FILE:5: 'leaves one' left 1 task%(s%) running", output)
    assert.matches(" / 1 error ", output)
    assert.equal(1, code)
  end)

  it("ends, saying where, when every task waits for what never happens", function()
    local output, code = test(spec "cancela.sleep(math.huge)")
    assert.matches("cancela test: every task waits for something that will never happen\n", output)
    assert.matches("a task waits at FILE:5\n", output)
    assert.equal(1, code)
  end)

  it("ends after a day of virtual time", function()
    local output, code = test(spec "while true do cancela.sleep(60) end")
    assert.matches("past 24 hours of virtual time", output)
    assert.equal(1, code)
    output, code = test(spec "cancela.sleep(23 * 3600)")
    assert.matches("1 success", output)
    assert.equal(0, code)
  end)

  it("has an os.exit that ends the run, with its code", function()
    assert.equal(0, select(2, test "os.exit()"))
    assert.equal(0, select(2, test "os.exit(true)"))
    assert.equal(1, select(2, test "os.exit(false)"))
    assert.equal(7, select(2, test "os.exit(7)"))
    assert.equal(7, select(2, test(spec "cancela.sleep(1) os.exit(7)")))
    assert.equal("", (test(spec "pcall(os.exit) print 'never'")))
  end)

  it("finds modules in the folders of its arguments", function()
    local output = test(spec "assert.truthy(package.path:find('/tmp/?.lua;/tmp/?/init.lua;', 1, true))")
    assert.matches("1 success", output)
  end)

  it("shares cancela.testing between specs, and keeps their other modules apart", function()
    local output, code = test [[
      describe("a", function()
        package.loaded.mine = { 1 }
        it("sees it", function() assert.same({ 1 }, require "mine") end)
      end)
    ]]
    assert.matches("1 success", output)
    assert.equal(0, code)
  end)
end)
