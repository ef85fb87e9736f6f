-- A generation of an app: on_load, background tasks, on_unload.
local cancela = require "cancela"
local testing = require "cancela.testing"
local binary = require "support.binary"

--- An app with `spec` and no procedures but `noop`.
local function made(spec)
  spec.procedures = spec.procedures or { noop = function() end }
  return testing.app(cancela.app(spec))
end

--- What a spec that runs `body` logs, without the times.
local function logged(body)
  local output = binary.test(([[
    local cancela = require "cancela"
    local testing = require "cancela.testing"
    local function made(spec)
      spec.procedures = { noop = function() end }
      return testing.app(cancela.app(spec))
    end
    it("logs", function() %s end)
  ]]):format(body))
  local lines = {}
  for line in output:gmatch "[^\n]+" do
    lines[#lines + 1] = line:match "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ (.*)$"
  end
  return lines, output
end

describe("on_load", function()
  it("is called once, with nil, before any call", function()
    local trace = {}
    local app = made {
      on_load = function(...) trace[#trace + 1] = { n = select("#", ...), (...) } end,
    }
    app:call "noop"
    assert.same({ { n = 1 } }, trace)
  end)

  it("raises out of testing.app", function()
    local ok, e = pcall(made, { on_load = function() error "no database" end })
    assert.is_false(ok)
    assert.matches("^tests/spec/background_spec.lua:%d+: no database", e)
  end)

  for name, f in pairs {
    ["cannot await"] = function() cancela.sleep(0) end,
    ["cannot publish"] = function() cancela.publish("t", 1) end,
    ["cannot use cancela.publish_op"] = function() cancela.publish_op("t", 1) end,
    ["cannot use cancela.broadcast_op"] = function() cancela.broadcast_op("t", 1) end,
    ["cannot use cancela.detach"] = function() cancela.detach(print, { timeout = 1 }) end,
    ["cannot use cancela.timeout"] = function() cancela.timeout(1, print) end,
    ["cannot read cancela.token()"] = function() cancela.token() end,
  } do
    it(name .. ", as where a script loads", function()
      local ok, e = pcall(made, { on_load = f })
      assert.is_false(ok)
      assert.is_truthy(e:find(name .. " while the script loads: do it in a procedure, or in a function of "
        .. "app.background", 1, true), e)
      cancela.sleep(0)
    end)
  end

  it("may use what needs no task", function()
    local channel
    made {
      on_load = function()
        channel = cancela.channel(1)
        cancela.interval(1)
        cancela.shared.set("loaded", cancela.now() > 0)
      end,
    }
    assert.is_true(channel:send(1))
    assert.is_true((cancela.shared.get "loaded"))
    cancela.shared.delete "loaded"
  end)
end)

describe("background tasks", function()
  it("run when the app begins, each once, and not before", function()
    local trace = {}
    local function append(what)
      return function(...)
        assert.equal(0, select("#", ...))
        trace[#trace + 1] = what
      end
    end
    local app = made { background = { append "a", { run = append "b" }, { run = append "c", once = true } } }
    cancela.sleep(1)
    assert.same({}, trace)
    app:start_background()
    assert.same({}, trace)
    cancela.sleep(1)
    assert.same({ "a", "b", "c" }, trace)
    app:unload()
  end)

  for _, kind in ipairs { "reload", "shutdown" } do
    it("are cancelled with the app: " .. kind, function()
      local reasons = {}
      local function loop()
        local _ <close> = cancela.defer(function(e)
          cancela.sleep(0.2)
          reasons[#reasons + 1] = cancela.is_cancel(e).kind
        end)
        while true do
          cancela.sleep(60)
        end
      end
      local app = made { background = { loop, { run = loop, once = true } } }
      app:start_background()
      cancela.sleep(3600)
      assert.equal(2, testing.tasks())
      local began = cancela.now()
      app:unload(kind)
      assert.near(0.2, cancela.now() - began, 0.001)
      assert.same({ kind, kind }, reasons)
    end)
  end

  it("have a token of their own, without a deadline", function()
    local token
    local app = made { background = { function() token = cancela.token() cancela.sleep(math.huge) end } }
    app:start_background()
    cancela.sleep(0)
    assert.equal(math.huge, token.remaining)
    app:unload()
    assert.equal("reload", token.reason.kind)
  end)

  it("may detach work, which outlives them", function()
    local done = false
    local app = made {
      background = {
        function()
          cancela.detach(function() cancela.sleep(5) done = true end, { timeout = 10 })
        end,
      },
    }
    app:start_background()
    cancela.sleep(0)
    app:unload()
    assert.is_false(done)
    cancela.sleep(6)
    assert.is_true(done)
  end)

  it("serve calls by channels", function()
    local questions = cancela.channel()
    local app = made {
      procedures = {
        square = function(params)
          local answer = cancela.channel(1)
          questions:send { n = params.n, answer = answer }
          return answer:recv()
        end,
      },
      background = {
        function()
          for question in questions.recv, questions do
            question.answer:send(question.n ^ 2)
          end
        end,
      },
    }
    app:start_background()
    assert.equal(49, app:call("square", { n = 7 }))
    app:unload()
  end)

  it("do not wait for ever in clean-up: the grace limits that", function()
    local ended = {}
    local app = made {
      background = {
        function()
          local _ <close> = cancela.defer(function()
            local _ <close> = cancela.defer(function() ended[#ended + 1] = "outer" end)
            cancela.sleep(60)
            ended[#ended + 1] = "inner"
          end)
          cancela.sleep(math.huge)
        end,
      },
    }
    app:start_background()
    cancela.sleep(0)
    local began = cancela.now()
    app:unload()
    assert.near(0.5, cancela.now() - began, 0.001)
    assert.same({ "outer" }, ended)
  end)

  it("end when they return, and can be begun only once", function()
    local runs = 0
    local app = made { background = { function() runs = runs + 1 end } }
    app:start_background()
    cancela.sleep(0)
    assert.equal(0, testing.tasks())
    assert.error_matches(function() app:start_background() end, "has begun already, or was unloaded")
    app:unload()
    assert.equal(1, runs)
  end)

  it("are not begun once the app was unloaded", function()
    local runs = 0
    local app = made { background = { function() runs = runs + 1 end } }
    app:unload()
    assert.error_matches(function() app:start_background() end, "has begun already, or was unloaded")
    cancela.sleep(0)
    assert.equal(0, runs)
  end)

  it("that have not run when the app is unloaded never do", function()
    local runs = 0
    local app = made { background = { function() runs = runs + 1 end } }
    app:start_background()
    app:unload()
    assert.equal(0, runs)
  end)

  it("go on while nobody holds the app", function()
    local runs = 0
    do
      local app = made {
        background = {
          function()
            for _ = 1, 3 do
              cancela.sleep(1)
              runs = runs + 1
            end
          end,
        },
      }
      app:start_background()
    end
    collectgarbage()
    collectgarbage()
    cancela.sleep(5)
    assert.equal(3, runs)
  end)

  it("log an error with their name and its traceback, and are not started again", function()
    local lines, output = logged [[
      local runs = 0
      local app = made { background = { { name = "feed", run = function()
        runs = runs + 1
        cancela.sleep(1)
        error "broken"
      end } } }
      app:start_background()
      cancela.sleep(60)
      assert.equal(1, runs)
      app:unload()
    ]]
    assert.equal(1, #lines, output)
    assert.matches("^ERROR error in background task feed: .*:%d+: broken$", lines[1])
    assert.matches("\n    stack traceback:\n", output, 1, true)
  end)

  it("log a typed error, and without a name say where they are", function()
    local lines, output = logged [[
      local app = made { background = { function() cancela.error { code = "not_found", message = "gone" } end } }
      app:start_background()
      cancela.sleep(1)
      app:unload()
    ]]
    assert.equal(1, #lines, output)
    assert.matches("^ERROR error in background task [^:]+:%d+: not_found: gone$", lines[1])
  end)

  it("log nothing when they are cancelled with the app, but an error of their clean-up", function()
    local lines, output = logged [[
      local app = made { background = {
        function() cancela.sleep(math.huge) end,
        { name = "untidy", run = function()
          local _ <close> = cancela.defer(function() error "left" end)
          cancela.sleep(math.huge)
        end },
      } }
      app:start_background()
      cancela.sleep(1)
      app:unload()
    ]]
    assert.equal(1, #lines, output)
    assert.matches("^ERROR error in background task untidy: .*left", lines[1])
  end)

  it("log the Cancel of a scope that is not theirs as an error", function()
    local lines, output = logged [[
      local app = made { background = { { name = "stale", run = function()
        local saved
        cancela.timeout(1, function()
          local _ <close> = setmetatable({}, { __close = function(_, e) saved = e end })
          cancela.sleep(2)
        end)
        error(saved)
      end } } }
      app:start_background()
      cancela.sleep(5)
      app:unload()
    ]]
    assert.equal(1, #lines, output)
    assert.matches("^ERROR error in background task stale: ", lines[1])
  end)

  describe("that compute", function()
    local spin = "for _ = 1, 1e10 do end"

    it("without an await for longer than hold_limit are cancelled, which is logged", function()
      local lines, output = logged(([[
        local app = made { background = { { name = "hog", run = function() %s end } } }
        app:start_background()
        cancela.sleep(1)
        app:unload()
      ]]):format(spin))
      assert.equal(1, #lines, output)
      assert.matches("^ERROR cancelled background task hog: limit: .*%(hold_limit%)", lines[1])
    end)

    it("may be preemptible", function()
      local lines, output = logged(([[
        local app = made { background = { { preemptible = true, run = function() %s end } } }
        app:start_background()
        local rounds, began = 0, os.clock()
        while os.clock() - began < 1.5 do
          rounds = rounds + 1
          cancela.sleep(0)
        end
        assert.is_true(rounds > 20)
        app:unload()
      ]]):format(spin))
      assert.same({}, lines, output)
    end)
  end)
end)

describe("on_unload", function()
  it("runs when background tasks are over, once, and may await", function()
    local trace = {}
    local app = made {
      background = {
        function()
          local _ <close> = cancela.defer(function()
            cancela.sleep(0.3)
            trace[#trace + 1] = "cleaned up"
          end)
          cancela.sleep(math.huge)
        end,
      },
      on_unload = function(...)
        assert.equal(0, select("#", ...))
        trace[#trace + 1] = "unloading"
        cancela.sleep(0.3)
        trace[#trace + 1] = "unloaded"
      end,
    }
    app:start_background()
    cancela.sleep(0)
    app:unload()
    app:unload()
    assert.same({ "cleaned up", "unloading", "unloaded" }, trace)
  end)

  it("runs if nothing was begun", function()
    local runs = 0
    made({ on_unload = function() runs = runs + 1 end }):unload "shutdown"
    assert.equal(1, runs)
  end)

  it("has as much time as the grace, then that of its own clean-up", function()
    local lines, output = logged [[
      local began = cancela.now()
      made({ on_unload = function()
        local _ <close> = cancela.defer(function(e)
          cancela.sleep(0.1)
          assert.equal("timeout", cancela.is_cancel(e).kind)
        end)
        assert.near(0.5, cancela.token().remaining, 0.001)
        cancela.sleep(60)
      end }):unload()
      assert.near(0.6, cancela.now() - began, 0.001)
    ]]
    assert.matches("1 success", output)
    assert.same({ "ERROR cancelled on_unload: timeout" }, lines)
  end)

  it("logs its error, with its traceback", function()
    local lines, output = logged [[ made({ on_unload = function() error "stuck" end }):unload() ]]
    assert.equal(1, #lines, output)
    assert.matches("^ERROR error in on_unload: .*:%d+: stuck$", lines[1])
    assert.matches("\n    stack traceback:\n", output, 1, true)
  end)

  it("waits for nothing that a spec cancels", function()
    local trace = {}
    local app = made { on_unload = function() cancela.sleep(0.4) trace[#trace + 1] = "unloaded" end }
    assert.is_false((cancela.timeout(0.1, function()
      app:unload()
      cancela.sleep(0)
    end)))
    assert.same({ "unloaded" }, trace)
  end)
end)

describe("app:unload", function()
  it("refuses another kind, calls that run, and a second task", function()
    local app = made {
      procedures = { slow = function() cancela.sleep(1) end },
      on_unload = function() cancela.sleep(0.1) end,
    }
    assert.error_matches(function() app:unload "killed" end, "kind must be 'reload' or 'shutdown', not 'killed'")
    cancela.group(function(g)
      g:spawn(function() app:call "slow" end)
      cancela.sleep(0.5)
      assert.error_matches(function() app:unload() end, "calls of the app are running still")
    end)
    cancela.group(function(g)
      g:spawn(function() app:unload() end)
      cancela.sleep(0)
      assert.error_matches(function() app:unload() end, "another task unloads it already")
    end)
  end)
end)

describe("what is declared wrongly", function()
  local function f() end
  for what, case in pairs {
    ["on_load of another type"] = { { on_load = 1 }, "cancela.app: on_load must be a function, not a number" },
    ["on_unload of another type"] = { { on_unload = {} }, "cancela.app: on_unload must be a function, not a table" },
    ["background of another type"] = { { background = f }, "cancela.app: background must be a table, not a function" },
    ["a near miss"] = { { backgroud = {} }, "unknown option 'backgroud'; did you mean 'background'?" },
    ["a name where a place is due"] =
      { { background = { feed = f } }, "background must be a list of functions and tables such as {run = fn}: it has "
        .. "the key 'feed'" },
    ["what is no function"] = { { background = { f, 1 } },
      "background[2] must be a function or a table such as {run = fn, once = true}, not a number" },
    ["no run"] = { { background = { {} } }, "background[1]: run is missing" },
    ["an unknown option"] =
      { { background = { { run = f, onse = true } } }, "background[1]: unknown option 'onse'; did you mean 'once'?" },
    ["run of another type"] = { { background = { { run = 1 } } }, "background[1]: run must be a function" },
    ["once of another type"] = { { background = { { run = f, once = 1 } } }, "background[1]: once must be a boolean" },
    ["preemptible of another type"] =
      { { background = { { run = f, preemptible = 1 } } }, "background[1]: preemptible must be a boolean" },
    ["an empty name"] = { { background = { { run = f, name = "" } } }, "background[1]: name must be a string of 1 to" },
    ["a long name"] =
      { { background = { { run = f, name = ("x"):rep(64) } } }, "background[1]: name must be a string of 1 to" },
    ["a name of two lines"] =
      { { background = { { run = f, name = "a\nb" } } }, "background[1]: name must be a string of 1 to" },
  } do
    it("is refused: " .. what, function()
      local ok, e = pcall(made, case[1])
      assert.is_false(ok)
      assert.is_truthy(e:find(case[2], 1, true), e)
    end)
  end

  it("but not a name of 63 bytes", function()
    made { background = { { run = f, name = ("x"):rep(63) } } }
  end)
end)
