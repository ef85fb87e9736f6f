-- Snippets that must do the same in the runtime and in plain Lua: what they show() is compared. Each
-- runs in a coroutine of its own, which is resumed until it is dead. The differences that the script
-- guide tells of are not among them.
return {
  ["pcall: results, none, many, nil at the end"] = [[
    show(pcall(function() return 1, nil, 3, nil end))
    show(pcall(function() end))
    show(select("#", pcall(table.unpack, {}, 1, 200)))
  ]],
  ["pcall: errors of any type, as they are"] = [[
    local t = setmetatable({}, { __tostring = function() return "t" end })
    for _, e in ipairs { "text", 42, true, 1.5 } do show(pcall(error, e)) end
    show(pcall(error))
    show(rawequal(select(2, pcall(error, t)), t))
    show(pcall(error, "x", 0))
    show(pcall(function() error("here") end))
    show(pcall(function() error("caller", 2) end))
    show(pcall(function() local x = nil; x() end))
    show(pcall(function() return 1 + {} end))
    show(pcall(function() return #nil end))
  ]],
  ["pcall: misuse"] = [[
    show(pcall(pcall))
    show(pcall())
  ]],
  ["pcall: of what is no function, and of callable tables"] = [[
    show(pcall(nil, 1))
    show(pcall({}))
    show(pcall(setmetatable({}, { __call = function(self, ...) return type(self), ... end }), 1, 2))
  ]],
  ["pcall: nested, tail called, across yields"] = [[
    show(pcall(pcall, pcall, error, "x"))
    local function tail(...) return pcall(...) end
    show(tail(error, "y"))
    show(pcall(function() show(coroutine.yield(1)) error("after", 0) end))
    show(pcall(function() local ok, e = pcall(function() coroutine.yield(2) error "inner" end) error(e, 0) end))
  ]],
  ["pcall: closes before it returns, in order, with the error"] = [[
    local function closing(name) return setmetatable({}, { __close = function(_, e) show(name, e) end }) end
    show(pcall(function()
      local a <close> = closing "a"
      local b <close> = closing "b"
      error("boom", 0)
    end))
    show(pcall(function()
      local a <close> = closing "a"
      local b <close> = setmetatable({}, { __close = function(_, e) show("b", e) error("worse", 0) end })
      return 42
    end))
  ]],
  ["pcall: legacy finally"] = [[
    local function finally(fn, clean, ...)
      local results = table.pack(pcall(fn, ...))
      clean()
      if not results[1] then error(results[2], 0) end
      return table.unpack(results, 2, results.n)
    end
    show(finally(function(a) return a, nil end, function() show "clean" end, 1))
    show(pcall(finally, function() error { 1 } end, function() show "clean" end))
    show(pcall(finally, function() coroutine.yield "within" error("late", 0) end, function() show "clean" end))
  ]],
  ["xpcall: handlers"] = [[
    show(xpcall(function(...) return ... end, print, 1, nil))
    show(xpcall(error, function(e) return "handled " .. tostring(e), "dropped" end, "x"))
    show(xpcall(error, function(...) return select("#", ...) end, nil))
    show(xpcall(function() local t = nil; t.x = 1 end, function(e) return e:upper() end))
    show(xpcall(function() coroutine.yield(1) error("y", 0) end, function(e) return e .. "!" end))
    show(xpcall(error, function() error "again" end, "x") == false)
    show(pcall(xpcall))
    show(pcall(xpcall, print))
    show(pcall(xpcall, print, 1))
  ]],
  ["xpcall: the innermost that calls is the one whose handler is called"] = [[
    local function named(name) return function(e) return name .. ": " .. tostring(e) end end
    show(xpcall(function() return xpcall(error, named "inner", "x") end, named "outer"))
    show(xpcall(function() xpcall(print, 1) end, named "outer"))
    show(xpcall(function() show(xpcall(error, named "inner", "x")) error("y", 0) end, named "outer"))
    show(xpcall(function() show(pcall(error, "x")) error("y", 0) end, named "outer"))
    show(xpcall(function() coroutine.wrap(function() error("z", 0) end)() end, named "outer"))
    show(xpcall(function() show(xpcall(coroutine.yield, named "inner", 1)) error("y", 0) end, named "outer"))
    show(xpcall(function() table.sort({ 2, 1 }, function() error("sorting", 0) end) end, named "outer"))
    show(xpcall(xpcall, named "outer", error, named "inner", "x"))
    show(xpcall(error, function(e) return xpcall(error, named "in handler", e) end, "x"))
    show(xpcall(function() local c <close> = setmetatable({}, { __close = function() error("closing", 0) end }) end,
      named "outer"))
  ]],
  ["xpcall: tracebacks are of where the error was raised"] = [[
    local function inner() error "deep" end
    local function outer() inner() return 1 end
    local _, trace = xpcall(outer, debug.traceback)
    show(trace:match "inner" ~= nil, trace:match "outer" ~= nil, trace:match "^[^\n]*")
    show(select(2, xpcall(error, debug.traceback, 42)))
    show(type(select(2, xpcall(error, debug.traceback, {}))))
  ]],
  ["error and assert"] = [[
    show(pcall(assert, false))
    show(pcall(assert, nil, "message"))
    show(pcall(assert, false, 42))
    show(type(select(2, pcall(assert, false, {}))))
    show(assert(1, 2, nil))
    show(pcall(assert))
    show(pcall(error, "x", "no level"))
    local function f(level) error("at", level) end
    for level = 0, 3 do show(pcall(function() f(level) end)) end
  ]],
  ["stack overflow"] = [[
    local function f() return 1 + f() end
    local ok, e = pcall(f)
    show(ok, tostring(e):match "stack overflow")
    show(select(2, xpcall(f, function(e) return "handled " .. e end)):match "^handled .*stack overflow")
    show(pcall(function() return "still fine" end))
  ]],
  ["generators"] = [[
    local function range(n)
      return coroutine.wrap(function() for i = 1, n do coroutine.yield(i, i * i) end return nil end)
    end
    for i, square in range(4) do show(i, square) end
    local function walk(tree)
      if tree then walk(tree[1]) coroutine.yield(tree.v) walk(tree[2]) end
    end
    for v in coroutine.wrap(function() walk { { v = 1 }, { v = 3 }, v = 2 } end) do show(v) end
  ]],
  ["resume and yield pass values"] = [[
    local co = coroutine.create(function(...)
      show("begun", ...)
      show("got", coroutine.yield(1, nil))
      return "end", nil
    end)
    show(coroutine.resume(co, "a", nil))
    show(coroutine.resume(co, "b"))
    show(coroutine.resume(co))
    show(coroutine.resume(co, 1))
  ]],
  ["wrap: errors"] = [[
    show(pcall(coroutine.wrap(function() error "with place" end)))
    show(pcall(coroutine.wrap(function() error("without", 0) end)))
    show(pcall(coroutine.wrap(function() error(42) end)))
    show(type(select(2, pcall(coroutine.wrap(function() error {} end)))))
    local dead = coroutine.wrap(function() end)
    dead()
    show(pcall(dead))
    show(pcall(coroutine.wrap(function() coroutine.wrap(function() error("twice", 0) end)() end)))
  ]],
  ["status"] = [[
    local outer
    local co = coroutine.create(function()
      show(coroutine.status(outer))
      coroutine.yield()
    end)
    outer = coroutine.running()
    show(coroutine.status(co))
    coroutine.resume(co)
    show(coroutine.status(co), coroutine.status(outer))
    coroutine.resume(co)
    show(coroutine.status(co))
    show(pcall(coroutine.status))
    show(pcall(coroutine.status, 1))
  ]],
  ["running and isyieldable"] = [[
    local co, main = coroutine.running()
    show(type(co), main, coroutine.isyieldable(), coroutine.isyieldable(co))
    local inner = coroutine.create(function() end)
    show(coroutine.isyieldable(inner))
    coroutine.wrap(function() show(select(2, coroutine.running()), coroutine.isyieldable()) end)()
    table.sort({ 2, 1 }, function(a, b) show(coroutine.isyieldable()) return a < b end)
  ]],
  ["yield across what cannot"] = [[
    show(pcall(table.sort, { 2, 1 }, coroutine.yield))
    show(pcall(string.gsub, "a", "a", coroutine.yield))
    show(pcall(function() for _ in coroutine.yield do end end))
  ]],
  ["close"] = [[
    local function new(fail)
      local co = coroutine.create(function()
        local a <close> = setmetatable({}, { __close = function(_, e) show("a", e) end })
        local b <close> = setmetatable({}, { __close = function(_, e)
          show("b", e)
          if fail then error("in close", 0) end
        end })
        coroutine.yield()
      end)
      coroutine.resume(co)
      return co
    end
    local co = new()
    show(coroutine.close(co))
    show(coroutine.status(co), coroutine.close(co))
    show(coroutine.close(new(true)))
    show(coroutine.close(coroutine.create(print)))
    local failed = coroutine.create(error)
    show(coroutine.resume(failed, "x"))
    show(coroutine.close(failed))
    show(coroutine.close(failed))
    show(pcall(coroutine.close, (coroutine.running())))
    show(pcall(coroutine.close))
  ]],
  ["generic for closes its fourth value"] = [[
    local function each()
      local closing = setmetatable({}, { __close = function() show "closed" end })
      return coroutine.wrap(function() coroutine.yield(1) coroutine.yield(2) end), nil, nil, closing
    end
    for i in each() do show(i) end
    for i in each() do show(i) break end
    show(pcall(function() for _ in each() do error("out", 0) end end))
  ]],
  ["metamethods that yield"] = [[
    local t = setmetatable({}, {
      __index = function(_, k) return coroutine.yield(k) end,
      __add = function() return coroutine.yield "add" end,
      __lt = function() return coroutine.yield "lt" end,
      __concat = function() return coroutine.yield "concat" end,
      __eq = function() return coroutine.yield "eq" end,
      __len = function() return coroutine.yield "len" end,
      __call = function(_, x) return coroutine.yield(x) end,
    })
    show(t.name, t + 1, t < t, t .. "", t == setmetatable({}, getmetatable(t)), #t, t(5))
  ]],
  ["tracebacks of coroutines"] = [[
    local co = coroutine.create(function()
      local function inner() coroutine.yield() end
      inner()
    end)
    coroutine.resume(co)
    local trace = debug.traceback(co)
    show(trace:match "'inner'", trace:match "'coroutine.yield'" or trace:match "'yield'" and "'coroutine.yield'")
    show(debug.traceback(co, "message"):match "^message\nstack traceback:")
    show(debug.traceback(co, nil, 1):match "'inner'")
    show(debug.traceback({}) ~= nil, debug.traceback(42))
    show(debug.getinfo(co, 1, "l").currentline)
  ]],
  ["require, load and dofile report errors"] = [[
    show(load("x ="))
    show(pcall(load "error('in chunk', 0)"))
    show(load(function() return nil end))
    show(select(2, load(function() error("reader", 0) end)))
    show((select(2, pcall(require, "no.such.module")):match "^[^\n]*"))
    show(pcall(dofile, "/no/such/file"))
  ]],
  ["gsub, sort and tostring with functions that raise"] = [[
    show(pcall(string.gsub, "abc", ".", function(c) error(c, 0) end))
    show(pcall(table.sort, { 3, 2, 1 }, function() error("sorting", 0) end))
    show(pcall(tostring, setmetatable({}, { __tostring = function() error("tostring", 0) end })))
    show(pcall(tostring, setmetatable({}, { __tostring = function() return 1 end })))
    show(pcall(table.sort, { 1, 2, 3, 4, 5 }, function() return true end))
  ]],
}
