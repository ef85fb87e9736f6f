-- Calls made at random of scopes, awaits, generators, errors and clean-up that awaits, cancelled at random points.
-- Whatever happens, each variable that was to be closed has been closed once when the call is over, and by the grace.
-- SEED repeats a failure.
local cancela = require "cancela"
local testing = require "cancela.testing"

local CALLS = tonumber(cancela.env.RANDOM_CALLS) or 400

local function one(seed)
  math.randomseed(seed)
  local random = math.random
  local opened, closed, twice = 0, 0, 0
  local act

  local function guard()
    local done = false
    local naps = random(4) == 1 and random() * 0.05
    opened = opened + 1
    return setmetatable({}, { __close = function()
      if done then
        twice = twice + 1
      end
      done = true
      closed = closed + 1
      if naps then
        cancela.sleep(naps)
      end
    end })
  end

  local function body(depth, in_generator)
    local _ <close> = guard()
    for _ = 1, random(4) do
      act(depth - 1, in_generator)
    end
  end

  local function generator(depth)
    return coroutine.create(function() body(depth, true) end)
  end

  local acts = {
    function() cancela.sleep(random() * 0.3) end,
    function() cancela.sleep(0) end,
    function(_, in_generator)
      if in_generator then
        coroutine.yield(random())
      end
    end,
    function(depth, in_generator) cancela.timeout(random() * 0.5, body, depth, in_generator) end,
    function(depth, in_generator) cancela.shield(random() * 0.2, body, depth, in_generator) end,
    function(depth, in_generator) pcall(body, depth, in_generator) end,
    function(depth, in_generator)
      local ok, e = pcall(body, depth, in_generator)
      if not ok then
        error(e, 0)
      end
    end,
    function(depth)
      local co = generator(depth)
      for _ = 1, random(0, 4) do
        coroutine.resume(co)
      end
      if random(3) == 1 then
        coroutine.close(co)
      end
    end,
    function(depth)
      for _ in coroutine.wrap(function() body(depth, true) end) do
        if random(3) == 1 then
          break
        end
      end
    end,
    function()
      if random(4) == 1 then
        error { code = "internal", message = "thrown" }
      end
    end,
    function() collectgarbage(random(20) == 1 and "collect" or "step") end,
    function(depth, in_generator)
      local _ <close> = cancela.defer(function() cancela.sleep(random() * 0.02) end)
      body(depth, in_generator)
    end,
  }
  function act(depth, in_generator)
    if depth > 0 then
      acts[random(#acts)](depth, in_generator)
    end
  end

  local ended
  local app = testing.app { p = function()
    local _ <close> = setmetatable({}, { __close = function() ended = cancela.now() end })
    body(5, false)
  end }
  local began = cancela.now()
  local limit = random() < 0.7 and random() * 0.5 or nil
  app:call("p", {}, { cancel_after = limit })
  cancela.sleep(2)
  local text = "SEED=" .. seed
  assert.equal(opened, closed, text)
  assert.equal(0, twice, text)
  if limit then
    assert.is_true(ended <= began + limit + 0.5 + 1e-6, text)
  end
end

describe("calls made at random", function()
  it("close what they have opened, once, and in time", function()
    local first = tonumber(cancela.env.SEED)
    if first then
      return one(first)
    end
    local base = os.time()
    for i = 1, CALLS do
      one(base * 1000 + i)
    end
  end)
end)
