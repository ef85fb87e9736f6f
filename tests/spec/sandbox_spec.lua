-- What scripts have of the standard library, and what would break the host.
describe("the sandbox", function()
  it("has no debug.sethook, os.exit, os.setlocale", function()
    assert.is_nil(debug.sethook)
    assert.is_nil(os.setlocale)
    local binary = require "support.binary"
    local output = binary.check "print(os.exit, debug.sethook, os.setlocale) return {}"
    assert.equal("nil\tnil\tnil\n", output)
  end)

  local binary = string.dump(function() return 1 end)

  it("refuses binary chunks in load, whatever mode is asked for", function()
    for _, mode in ipairs { "b", "bt", "t" } do
      local chunk, message = load(binary, "x", mode)
      assert.is_nil(chunk)
      assert.matches("attempt to load a binary chunk", message)
    end
    assert.is_nil((load(binary)))
    assert.is_nil((load(function() local piece = binary binary = nil return piece end)))
  end)

  it("loads text as ever: from strings and functions, with a name, a mode, an environment", function()
    assert.equal(3, load "return 1 + 2" ())
    local pieces = { "return ", "x" }
    assert.equal(7, load(function() return table.remove(pieces, 1) end, "=pieces", "t", { x = 7 })())
    assert.equal(8, load("return x", "x", nil, { x = 8 })())
    local chunk, message = load("return +", "=name")
    assert.is_nil(chunk)
    assert.matches("^name:1:", message)
    assert.is_nil(load("return x", "x", "t", nil) and rawget(_G, "x"))
  end)

  describe("with files", function()
    local name
    before_each(function() name = os.tmpname() end)
    after_each(function() os.remove(name) end)

    local function write(text)
      local file <close> = assert(io.open(name, "wb"))
      file:write(text)
    end

    it("refuses binary ones", function()
      write(string.dump(function() return 1 end))
      assert.matches("binary chunk", select(2, loadfile(name)))
      assert.matches("binary chunk", select(2, loadfile(name, "b")))
      assert.matches("binary chunk", select(2, pcall(dofile, name)))
    end)

    it("refuses binary ones in require, and still finds text ones", function()
      local path = package.path
      finally(function()
        package.path = path
        package.loaded["some.module"] = nil
      end)
      package.path = name
      write(string.dump(function() return 1 end))
      assert.matches("error loading module 'some%.module'.*binary chunk", select(2, pcall(require, "some.module")))
      write "return {...}"
      assert.same({ "some.module", name }, (require "some.module"))
      package.path = "/nonexistent/?.lua"
      assert.matches("no file '/nonexistent/other%.lua'", select(2, pcall(require, "other")))
    end)

    it("loads text ones, which may await under dofile", function()
      write "return ..., 2"
      assert.same({ 1, 2 }, { loadfile(name)(1) })
      write "require 'cancela'.sleep(1) return 1, 2"
      assert.same({ 1, 2, n = 2 }, table.pack(dofile(name)))
      write "return x"
      assert.equal(5, loadfile(name, "t", { x = 5 })())
      write "return +"
      assert.matches("unexpected symbol", select(2, pcall(dofile, name)))
      assert.is_nil((loadfile "/nonexistent"))
    end)
  end)

  it("hides the metatables of tokens and Cancels", function()
    local cancela = require "cancela"
    assert.is_false(getmetatable(cancela.token()))
    local _ <close> = cancela.defer(function() end)
    local cancel
    cancela.timeout(0, function() cancel = select(2, pcall(cancela.sleep, 0)) end)
    assert.is_false(getmetatable(cancel))
    assert.is_false(pcall(setmetatable, cancela.token(), {}))
  end)
end)
