-- cancela.shared: plain data that all workers share.
local cancela = require "cancela"
local shared = cancela.shared

describe("cancela.shared", function()
  local key
  local n = 0
  before_each(function()
    n = n + 1
    key = "key " .. n
  end)

  it("keeps plain data, and nothing else", function()
    for _, value in ipairs { 0, 1, -1.5, "", "text\0\255", true, false, math.mininteger, { 1, { a = "b" } }, {} } do
      shared.set(key, value)
      assert.same(value, (shared.get(key)))
    end
    shared.set(key, cancela.json.null)
    assert.equal(cancela.json.null, (shared.get(key)))
    for _, value in ipairs { print, coroutine.create(print), io.stdout, { print } } do
      assert.error_matches(function() shared.set(key, value) end, "not plain data")
    end
    local loop = {}
    loop[1] = loop
    assert.error_matches(function() shared.set(key, loop) end, "not plain data: it is nested too deeply")
  end)

  it("gives copies", function()
    local value = { 1 }
    shared.set(key, value)
    value[1] = 2
    local copy = shared.get(key)
    assert.same({ 1 }, copy)
    copy[1] = 3
    assert.same({ 1 }, (shared.get(key)))
  end)

  it("has nil, of version 0, where nothing was set", function()
    assert.same({ nil, 0 }, { shared.get(key) })
    assert.is_nil(shared.ttl(key))
    assert.is_false(shared.delete(key))
  end)

  it("takes keys of 1 to 1024 bytes", function()
    assert.error_matches(function() shared.set("", 1) end, "a key has 1 to 1024 bytes, this one 0")
    assert.error_matches(function() shared.set(("k"):rep(1025), 1) end, "this one 1025")
    assert.error_matches(function() shared.get(1) end, "string expected, got number")
    for _, name in ipairs { "k", ("k"):rep(1024), "a\0b" } do
      shared.set(name, name)
      assert.equal(name, (shared.get(name)))
      assert.is_true(shared.delete(name))
    end
  end)

  it("forgets what its time is over of", function()
    shared.set(key, "short", { ttl = 10 })
    assert.near(10, shared.ttl(key), 1e-6)
    cancela.sleep(9.9)
    assert.equal("short", (shared.get(key)))
    cancela.sleep(0.1)
    assert.is_nil((shared.get(key)))
    assert.is_nil(shared.ttl(key))
    assert.is_true(shared.add(key, "new"))
    assert.equal(math.huge, shared.ttl(key))
  end)

  it("refuses a time to live that is none", function()
    for _, ttl in ipairs { 0, -1, 0 / 0, 315360001, "1" } do
      assert.error_matches(function() shared.set(key, 1, { ttl = ttl }) end, "ttl must be above 0")
    end
    shared.set(key, 1, { ttl = 315360000 })
    assert.error_matches(function() shared.set(key, 1, { tll = 1 }) end, "there is no option tll")
    assert.error_matches(function() shared.set(key, 1, { initial = 1 }) end, "there is no option initial")
    assert.error_matches(function() shared.set(key, nil) end, "nil is not kept: use delete")
  end)

  it("adds what is not there yet", function()
    assert.is_true(shared.add(key, 1))
    assert.is_false(shared.add(key, 2))
    assert.equal(1, (shared.get(key)))
  end)

  it("sets what nobody has changed since it was read", function()
    assert.is_true(shared.compare_and_set(key, 0, { 1 }))
    assert.is_false(shared.compare_and_set(key, 0, { 2 }))
    local value, version = shared.get(key)
    shared.set(key, value) -- the same again, and yet a change
    assert.is_false(shared.compare_and_set(key, version, { 3 }))
    value, version = shared.get(key)
    value[2] = "more"
    assert.is_true(shared.compare_and_set(key, version, value))
    assert.same({ 1, "more" }, (shared.get(key)))
    shared.delete(key)
    shared.set(key, 1)
    assert.is_false(shared.compare_and_set(key, version, 4))
  end)

  it("increments", function()
    assert.equal(1, shared.incr(key))
    assert.equal(11, shared.incr(key, 10))
    assert.equal("integer", math.type(shared.incr(key, -1)))
    assert.equal(10.5, shared.incr(key, 0.5))
    shared.delete(key)
    assert.equal(101, shared.incr(key, 1, { initial = 100 }))
    shared.set(key, "text")
    assert.error_matches(function() shared.incr(key) end, "not a number")
    assert.equal("text", (shared.get(key)))
    shared.set(key, math.maxinteger)
    assert.error_matches(function() shared.incr(key) end, "not a 64%-bit integer")
    assert.error_matches(function() shared.incr(key, "1") end, "number expected, got string")
  end)

  it("keeps the time to live of what is incremented, unless it is given a new one", function()
    shared.incr(key, 1, { ttl = 10 })
    cancela.sleep(4)
    shared.incr(key)
    assert.near(6, shared.ttl(key), 1e-6)
    shared.incr(key, 1, { ttl = 10 })
    assert.near(10, shared.ttl(key), 1e-6)
  end)

  it("raises resource_exhausted when it is full, loses nothing, and has room again when time has passed", function()
    local block = ("x"):rep(1 << 20)
    local count = 0
    local ok, err
    repeat
      ok, err = pcall(shared.set, "block " .. count, block, { ttl = 60 })
      count = count + (ok and 1 or 0)
    until not ok
    assert.equal("resource_exhausted", err.code)
    assert.matches("shared_memory", err.message)
    assert.is_true(count >= 60 and count < 64)
    assert.equal(block, (shared.get("block 0")))
    shared.set("block 0", block) -- in the place of one
    cancela.sleep(60)
    shared.set("block new", block)
    for i = 0, count do shared.delete("block " .. i) end
    shared.delete("block new")
  end)

  it("works while the script loads", function()
    local f = assert(load [[
      local shared = require("cancela").shared
      shared.set("loaded", 1)
      return (shared.get("loaded"))
    ]])
    assert.equal(1, f())
  end)
end)
