-- Random calls of the functions that src/bind/bounded_*.c replace. test_bounded.c runs this in two
-- states, with and without them, on the same random numbers, and compares what the cases return:
-- the call and all that came of it. The argument gives a number below n.
local below = ...

local function one_of(list) return list[below(#list) + 1] end

local function random_text(pieces, most)
  local n, text = below(most + 1), {}
  for i = 1, n do text[i] = one_of(pieces) end
  return table.concat(text)
end

-- Values as text: tables by their elements, everything else by its kind.
local function show(v)
  if type(v) == "string" then return #v > 200 and ("%q…%d"):format(v:sub(1, 200), #v) or ("%q"):format(v) end
  if type(v) == "number" or type(v) == "boolean" or v == nil then return ("%q"):format(v) end
  if type(v) ~= "table" or getmetatable(v) then return type(v) end
  local keys, text = {}, {}
  for k in next, v do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for i = 1, #keys do text[i] = show(keys[i]) .. "=" .. show(v[keys[i]]) end
  return "{" .. table.concat(text, ",") .. "}"
end

local function show_all(...)
  local values = { ... }
  for i = 1, select("#", ...) do values[i] = show(values[i]) end
  return table.concat(values, " ")
end

local function outcome(name, f, ...)
  local arguments = show_all(...)
  return name .. "(" .. arguments .. ") -> " .. show_all(pcall(f, ...))
end

-- Patterns.

local SINGLES = { "a", "b", "c", ".", "%a", "%d", "%s", "%w", "%A", "%u", "%x", "%p", "%.", "%%", "[ab]", "[^a]",
  "[a-c]", "[]]", "[^]]", "[a-]", "[%a_]", "[%]]", "[^%s]", "[a-%%]", "[]-a]", "%z", "%g", "%c", "%l", "\0", "-" }
local ITEMS = { "(", ")", "()", "(a)", "(.-)", "%1", "%2", "%b()", "%bab", "%f[%a]", "%f[^%w]", "^", "$" }
local GARBAGE = { "(", ")", "[", "]", "%", "^", "$", ".", "*", "+", "-", "?", "a", "b", "1", "0", "f", "\0", "[^", "%b", "%f" }
local BYTES = { "a", "b", "c", "A", "1", " ", "(", ")", ".", "-", "]", "%", "_", "\0", "\255", "ab", "aaa" }

local function random_pattern()
  if below(5) == 0 then return random_text(GARBAGE, 8) end
  local text = { below(6) == 0 and "^" or "" }
  for _ = 1, below(6) do
    text[#text + 1] = below(3) == 0 and one_of(ITEMS)
      or one_of(SINGLES) .. one_of { "", "", "", "*", "+", "-", "?" }
  end
  text[#text + 1] = below(8) == 0 and "$" or ""
  return table.concat(text)
end

local function random_start()
  return one_of { nil, nil, nil, 1, 2, 5, 0, -1, -3, -100, 100, math.mininteger, math.maxinteger, "2", 1.5 }
end

local REPLACEMENTS = { "", "x", "%0", "%1", "%2", "<%0%1>", "%%", "%", "%a", "%9", "a%", "\0", 12, 1.5 }

local function random_replacement()
  local kind = below(6)
  if kind == 0 then return { a = "A", b = false, c = 1, ab = {}, [1] = "one" } end
  if kind == 1 then return function(...) return one_of { nil, false, "f", select("#", ...), ... } end end
  if kind == 2 then return one_of { {}, true, tostring, string.upper, setmetatable({}, { __index = string.rep }) } end
  return one_of(REPLACEMENTS)
end

local strings = {}

function strings.find(s, pattern)
  return outcome("find", string.find, s, pattern, random_start(), one_of { nil, nil, nil, true, false })
end

function strings.match(s, pattern)
  return outcome("match", string.match, s, pattern, random_start())
end

function strings.gmatch(s, pattern)
  return outcome("gmatch", function(...)
    local iterate, found = string.gmatch(...), {}
    for _ = 1, 40 do
      local values = table.pack(iterate())
      found[#found + 1] = values
      if values[1] == nil then return found, iterate() end
    end
    return found
  end, s, pattern, random_start())
end

function strings.gsub(s, pattern)
  return outcome("gsub", string.gsub, s, pattern, random_replacement(), one_of { nil, nil, nil, 0, 1, 2, -1, 100 })
end

local function string_case()
  local names = { "find", "match", "gmatch", "gsub" }
  return strings[one_of(names)](random_text(BYTES, 14), random_pattern())
end

local function rep_case()
  local times = one_of { 0, 1, 2, 3, 7, 100, 1000, -1, math.mininteger, "3", 2.5, 1 << 31, 1 << 62, math.maxinteger }
  local s, separator = random_text(BYTES, 3), one_of { nil, nil, "", ",", "--", random_text(BYTES, 400) }
  if #s + #(separator or "") == 0 then times = below(10) end -- Lua's own might not end
  return outcome("rep", string.rep, s, times, separator)
end

-- Mistakes in arguments, and edges that chance does not find.
local aaa = ("a"):rep(500)
local EDGES = {
  { "find" }, { "find", "a" }, { "find", {}, "a" }, { "find", "a", {} }, { "find", "a", "a", {} }, { "find", "a", "a", "x" },
  { "find", 12, 2 }, { "find", "", "" }, { "find", "", "", 2 }, { "find", "abc", "", 4 }, { "find", "abc", "", 5 },
  { "find", "a\0b", "\0b" }, { "find", "a\0b", "b\0%d" }, { "find", "aXb", "X", 1, true }, { "find", "a+b", "+", 1, true },
  { "find", "a", ("()"):rep(32) }, { "find", "a", ("()"):rep(33) }, { "match", "a", ("("):rep(33) },
  { "find", aaa, ("a?"):rep(199) }, { "find", aaa, ("a?"):rep(200) }, { "find", aaa, ("a*"):rep(199) },
  { "find", aaa, ("a-"):rep(300) .. "b" }, { "match", aaa, ("(a)"):rep(32) },
  { "match", aaa, ("a"):rep(400) }, { "match", aaa, ("b?"):rep(400) }, { "match", aaa, ("b*"):rep(300) .. "a*" },
  { "match", aaa, "^(a*)%1$" }, { "match", aaa, "^(a-)%1$" }, { "match", aaa, "[" .. ("b"):rep(5000) .. "a]+" },
  { "match", "x" }, { "match", nil, "x" }, { "match", "abc", "b", 2.5 }, { "match", "abc", "()b()" },
  { "gsub", "a" }, { "gsub", "a", "a" }, { "gsub", "a", "a", nil }, { "gsub", "a", "a", true }, { "gsub", "a", "a", "b", "c" },
  { "gsub", "hello world", "%w+", "%0 %0", 1 }, { "gsub", "abc", "%w", "%%%0" }, { "gsub", "abc", "", "-" },
  { "gsub", "a,b,,c", "[^,]*", "x" }, { "gsub", "abc", "()", "%1" }, { "gsub", "abc", "^a", "x" }, { "gsub", "aaa", "^a", "x" },
  { "gsub", "abc", "b", { b = 1.5 } }, { "gsub", "abc", "(b", "x" }, { "gsub", "abc", "b)", "x" }, { "gsub", 123, 2, 3 },
  { "gmatch" }, { "gmatch", "a" }, { "gmatch", "a", "a", "x" },
  { "rep" }, { "rep", "x" }, { "rep", {}, 1 }, { "rep", "x", "y" }, { "rep", "x", 1, {} }, { "rep", 1, 3, 2 },
  { "rep", "", math.maxinteger, "ab" }, { "rep", "x", 100000 }, { "rep", "abc", 100000, "-" }, { "rep", aaa, 1000, aaa },
}

local function edge_case(i)
  local edge = EDGES[i]
  return outcome(edge[1], string[edge[1]], table.unpack(edge, 2))
end

-- Tables.

local ENDS = { math.mininteger, math.mininteger + 1, -5, -1, 0, 1, 2, 3, 5, 9, 10, 11, 12, math.maxinteger - 1,
  math.maxinteger, "3", 2.5, "x" }

-- A table whose every use is written down, and is an error if there are too many.
local function watched(values, length, seen)
  local function note(what, ...)
    seen[#seen + 1] = what .. " " .. show_all(...)
    if #seen > 60 then error("enough", 0) end
  end
  local meta = {
    __len = function() note("len") return length end,
    __index = function(_, k) note("get", k) return values[k] end,
    __newindex = function(_, k, v) note("set", k, v) values[k] = v end,
    __eq = function() note("eq") return below(2) == 0 end,
  }
  if below(12) == 0 then meta[one_of { "__len", "__index", "__newindex" }] = nil end
  return setmetatable({}, meta)
end

local function random_values()
  local values = {}
  for i = 1, below(12) do values[i] = one_of { i, i, i, "s" .. i, i + 0.5, i } end
  if below(6) == 0 then values[below(8)] = one_of { {}, true, tostring } end
  return values
end

local function table_or_not(values, length, seen)
  local kind = below(10)
  if kind == 0 then return one_of { nil, 1, "x", tostring, io.stdout } end
  if kind < 4 then return values end
  return watched(values, length, seen)
end

local tables = {}

function tables.insert(t, values)
  local n = below(6)
  if n == 0 then return outcome("insert", table.insert, t) end
  if n == 1 then return outcome("insert", table.insert, t, 1, 2, 3) end
  if n < 4 then return outcome("insert", table.insert, t, one_of { "v", nil, 7 }) end
  return outcome("insert", table.insert, t, one_of(ENDS), "v") .. show(values)
end

function tables.remove(t, values)
  if below(2) == 0 then return outcome("remove", table.remove, t) end
  return outcome("remove", table.remove, t, one_of(ENDS)) .. show(values)
end

function tables.concat(t)
  return outcome("concat", table.concat, t, one_of { nil, "", ",", 1, {}, "--" }, one_of { nil, table.unpack(ENDS) },
    one_of { nil, table.unpack(ENDS) })
end

function tables.unpack(t)
  return outcome("unpack", table.unpack, t, one_of { nil, table.unpack(ENDS) }, one_of { nil, table.unpack(ENDS) })
end

function tables.move(t, values, seen)
  local first, to, target = one_of(ENDS), one_of(ENDS), nil
  local last = math.type(first) == "integer" and below(4) > 0 and first + below(12) - 2 or one_of(ENDS)
  local meta = getmetatable(t)
  if (tonumber(last) or 0) - (tonumber(first) or 0.0) > 100.0 and not (meta and type(meta.__index) == "function") then
    last = first -- nothing would end Lua's own
  end
  if below(2) == 0 then target = table_or_not({}, 0, seen) end
  return outcome("move", table.move, t, first, last, to, target) .. show(values) .. show(target)
end

function tables.sort(t, values, seen)
  local order = one_of { nil, nil, false, 1, math.ult, function(a, b) return tostring(a) < tostring(b) end,
    function(a, b) seen[#seen + 1] = show(a) .. "<" .. show(b) return below(2) == 0 end }
  return outcome("sort", table.sort, t, order) .. show(values)
end

local function table_case()
  local names = { "insert", "remove", "concat", "unpack", "move", "sort" }
  local values, seen = random_values(), {}
  local length = one_of { #values, #values, #values, 0, 3, 20, 7.0, -4, 2.5, "x", "4", math.maxinteger, math.mininteger }
  local t = table_or_not(values, length, seen)
  return tables[one_of(names)](t, values, seen) .. " seen: " .. table.concat(seen, ";")
end

-- Longer than Lua's own sort is left alone with.
local function long_sort_case()
  local values, n = {}, 17000 + below(100)
  local make = one_of {
    function() return below(1000) end,
    function() return below(1000) / 2 end,
    function() return "s" .. below(5000) end,
    function(i) return i == 9000 and "x" or i end,
  }
  for i = 1, n do values[i] = make(i) end
  local ok, message = pcall(table.sort, values, one_of { nil, nil, rawequal, math.ult, function(a, b) return a > b end })
  for i = 1, n do values[i] = tostring(values[i]) end
  return tostring(ok) .. tostring(message) .. table.concat(values, ",")
end

return { string = string_case, rep = rep_case, edge = edge_case, table = table_case, long_sort = long_sort_case,
  edges = #EDGES }
