-- cancela.log: lines on stderr. Each test runs the binary in a process of its own.
local cancela = require "cancela"
local binary = require "support.binary"

--- What a script that runs `body` while it loads writes to its log, without the times.
local function logged(body)
  local output = binary.test("local log = require 'cancela'.log " .. body)
  local lines = {}
  for line in output:gmatch "[^\n]+" do
    lines[#lines + 1] = line:match "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ (.*)$" or line:match "^    .*$"
  end
  return lines
end

describe("log", function()
  it("has four levels, of which debug is not shown here", function()
    assert.same({ "INFO  i", "WARN  w", "ERROR e" },
      logged [[ log.debug "d" log.info "i" log.warn "w" log.error "e" ]])
  end)

  it("appends fields in the order of their names, quoted where needed", function()
    assert.same({ [[INFO  m a=1 b="x y" c=true d="" e="say \"hi\"" f=1.5]] },
      logged [[ log.info("m", { c = true, b = "x y", a = 1, d = "", e = 'say "hi"', f = 1.5 }) ]])
  end)

  it("shows any value, as tostring does", function()
    assert.same({ "INFO  12", "INFO  nil", "INFO  object k=object" }, logged [[
      local object = setmetatable({}, { __tostring = function() return "object" end })
      log.info(12) log.info(nil) log.info(object, { k = object })
    ]])
  end)

  it("lets nobody forge lines: control characters are escaped, line feeds indent", function()
    assert.same({ [[INFO  a\x1b[31m]], "    b", [[INFO  m k="1\x0a2\x1b"]] },
      logged [[ log.info("a\27[31m\nb") log.info("m", { k = "1\n2\27" }) ]])
  end)

  it("keeps field names from forging anything either", function()
    assert.same({ [[INFO  m a?b?c??=1]] }, logged [[ log.info("m", { ["a\nb=c\xc3\xa4"] = 1 }) ]])
  end)

  it("shows all of a message that holds a NUL", function()
    assert.same({ "INFO  a?b k=1" }, logged [[ log.info("a\0b", { k = 1 }) ]])
  end)

  it("leaves nothing half written when a value cannot be shown", function()
    assert.same({ "INFO  after" }, logged [[
      local bad = setmetatable({}, { __tostring = function() error "e" end })
      pcall(log.info, "m", { k = bad })
      pcall(log.info, bad)
      log.info "after"
    ]])
  end)

  it("refuses wrong arguments", function()
    assert.error_matches(function() cancela.log.info() end, "bad argument #1 to 'info'")
    assert.error_matches(function() cancela.log.info("m", 1) end, "bad argument #2 to 'info'")
    assert.error_matches(function() cancela.log.info("m", { "x" }) end, "names of log fields must be strings")
    assert.error_matches(function() cancela.log.debug() end, "bad argument #1 to 'debug'")
  end)
end)
