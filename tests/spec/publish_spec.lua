-- Publishing where there are no clients: it is checked as it would be there, and reaches nobody.
local cancela = require "cancela"
local app = require "cancela.app"
local testing = require "cancela.testing"

local function message(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(err)
end

describe("publish and broadcast", function()
  it("reach nobody in specs", function()
    assert.equal(0, cancela.publish("news", { text = "hello" }))
    assert.equal(0, cancela.publish("news"))
    assert.equal(0, cancela.broadcast("news", "hello"))
  end)

  it("are operations too", function()
    assert.same({ 1, 0 }, { cancela.select { cancela.publish_op("news", 1), cancela.sleep_op(1) } })
    assert.same({ 1, 0 }, { cancela.select { cancela.broadcast_op("news", 1), cancela.sleep_op(1) } })
  end)

  it("raise for a name that is none", function()
    for _, name in ipairs { "publish", "publish_op", "broadcast", "broadcast_op" } do
      local fn = cancela[name]
      assert.matches("string expected, got n", message(fn))
      assert.matches("string expected, got number", message(fn, 7, {}))
      assert.matches("1 to 255 bytes, this one 0", message(fn, "", {}))
      assert.matches("1 to 255 bytes, this one 256", message(fn, ("x"):rep(256), {}))
      assert.matches("must be UTF%-8", message(fn, "\xff", {}))
      assert.has_no.errors(function() fn(("x"):rep(255), {}) end)
    end
    assert.matches("'news%.%*' is a pattern", message(cancela.publish, "news.*", {}))
    assert.has_no.errors(function() cancela.broadcast("news.*", {}) end)
  end)

  it("raise for data that JSON cannot hold, naming it", function()
    assert.matches("data%.f", message(cancela.publish, "news", { f = print }))
    assert.matches("data%.f", message(cancela.broadcast_op, "news", { f = print }))
  end)

  it("work in clean-up, for they do not await", function()
    local reached
    local under = testing.app { run = function()
      local _ <close> = cancela.defer(function() reached = cancela.publish("news", {}) end)
      cancela.sleep(10)
    end }
    under:call("run", {}, { cancel_after = 1 })
    assert.equal(0, reached)
  end)

  it("count nothing where there are no clients", function()
    cancela.publish("news", {})
    local stats = cancela.stats()
    for _, name in ipairs { "published", "delivered", "dropped", "slow_consumers", "suspended", "unrelayed" } do
      assert.equal(0, stats[name])
    end
  end)
end)

describe("app.topics", function()
  local function normalise(topics)
    return app.normalise(cancela.app { procedures = {}, topics = topics }).topics
  end

  local function sorted(topics)
    table.sort(topics, function(a, b) return a.name < b.name end)
    return topics
  end

  it("default to dropping from 64 KiB", function()
    assert.same({ { name = "news", prefix = false, slow = "drop", queue = 65536 } }, normalise { news = {} })
    assert.same({}, normalise {})
    assert.same({}, normalise(nil))
  end)

  it("may name a beginning", function()
    assert.same({
      { name = "", prefix = true, slow = "close", queue = 1 },
      { name = "room.", prefix = true, slow = "suspend", queue = 1 << 30 },
    }, sorted(normalise { ["*"] = { slow = "close", queue = 1 }, ["room.*"] = { slow = "suspend", queue = "1GiB" } }))
  end)

  it("are refused when they make no sense", function()
    local function wrong(topics)
      return message(normalise, topics)
    end
    assert.matches("topics%['news'%]: slow must be 'drop' or 'suspend' or 'close'", wrong { news = { slow = "wait" } })
    assert.matches("unknown option 'queu'; did you mean 'queue'", wrong { news = { queu = 1 } })
    assert.matches("queue must be a size", wrong { news = { queue = 0 } })
    assert.matches("queue must be a size", wrong { news = { queue = (1 << 30) + 1 } })
    assert.matches("takes a table of options, not a string", wrong { news = "drop" })
    for _, name in ipairs { "", "a*b", "**", ("x"):rep(256), 7 } do
      assert.matches("1 to 255 bytes, and a '%*' at its end at most", wrong { [name] = {} })
    end
    assert.has_no.errors(function() normalise { [("x"):rep(255)] = {} } end)
  end)
end)
