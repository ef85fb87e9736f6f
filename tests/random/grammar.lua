--- Programs made at random, as data: everything that was drawn is in them, so that one runs the same way again, and
--- still runs when parts were taken out of it.
---
---   program    { calls = { call, … }, cancels = { cancel, … }, permits = of the semaphore }
---   call       { timeout =, cancel_after =, start =, manual =, preemptible =, body = block }
---   cancel     { at = seconds | await = count, what = "call"|"inner"|"outside", call =, kind =, which = }
---   block      { statement, … }
---   statement  { op = name, … }, with blocks in body, handler and each, and a list of blocks in tasks
local grammar = {}

--- Numbers from 1 to n (splitmix64), the same for the same seed everywhere.
function grammar.random(seed)
  local state = seed
  return function(n)
    state = state + 0x9e3779b97f4a7c15
    local z = state
    z = (z ~ (z >> 30)) * 0xbf58476d1ce4e5b9
    z = (z ~ (z >> 27)) * 0x94d049bb133111eb
    return ((z ~ (z >> 31)) >> 1) % n + 1
  end
end

-- A coarse grid, so that things often happen at the same time.
local NAPS = { 0, 0, 0, 0.01, 0.01, 0.02, 0.03, 0.05, 0.1, 0.3 }
local LIMITS = { 0, 0.01, 0.02, 0.03, 0.05, 0.05, 0.1, 0.2, 0.5 }
local KINDS = { "reset", "disconnect", "shutdown", "reload", "killed", "limit", "slow_consumer", "timeout" }
local ERRORS = { "text", "table", "typed", "saved" }
local TOKENS = { "scope", "scope", "call", "loose", "loose", "outside" }
-- Below 4 ms nothing is raised into what computes.
local STEPS = { 0.002, 0.005, 0.005, 0.01, 0.03, 0.07 }
local SELECTABLE = { "send", "recv", "recv", "sleep", "sleep", "acquire", "lock", "tick", "wait", "task" }

local Generator = {}
Generator.__index = Generator

function Generator:one_of(list)
  return list[self.random(#list)]
end

function Generator:chance(n)
  return self.random(n) == 1
end

local block

local function several(g, depth, most)
  local list = {}
  for i = 1, g.random(most) do
    list[i] = block(g, depth)
  end
  return list
end

--- [name] = { how often, what else it has }
local statements = {
  sleep = { 14, function(g) return { t = g:one_of(NAPS) } end },
  timeout = { 6, function(g, d) return { t = g:one_of(LIMITS), body = block(g, d) } end },
  fail_after = { 2, function(g, d) return { t = g:one_of(LIMITS), body = block(g, d) } end },
  shield = { 4, function(g, d) return { t = g:one_of(LIMITS), body = block(g, d) } end },
  defer = { 6, function(g, d) return { handler = block(g, d), body = block(g, d) } end },
  close = { 6, function(g, d) return { handler = block(g, d), body = block(g, d) } end },
  pcall = { 6, function(g, d)
    return { how = g:one_of { "pcall", "xpcall" }, on = g:one_of { "swallow", "again", "again", "assert" },
      body = block(g, d), handler = block(g, d) }
  end },
  retry = { 3, function(g, d) return { body = block(g, d) } end },
  error = { 2, function(g) return { what = g:one_of(ERRORS) } end },
  group = { 5, function(g, d) return { tasks = several(g, d, 2), body = block(g, d) } end },
  spawn = { 2, function(g, d) return { body = block(g, d) } end },
  await = { 2, function(g) return { which = g.random(8) } end },
  all = { 2, function(g, d) return { tasks = several(g, d, 3) } end },
  race = { 2, function(g, d) return { tasks = several(g, d, 3) } end },
  select = { 5, function(g, d)
    local ops = {}
    for i = 1, g.random(4) do
      ops[i] = { kind = g:one_of(SELECTABLE), which = g.random(8), t = g:one_of(NAPS) }
    end
    return { ops = ops, body = block(g, d) }
  end },
  send = { 4, function(g) return { which = g.random(8) } end },
  recv = { 4, function(g) return { which = g.random(8) } end },
  shut = { 1, function(g) return { which = g.random(8) } end },
  acquire = { 4, function(g, d) return { body = block(g, d), next = g:chance(2) and g.random(8) or nil } end },
  lock = { 3, function(g, d) return { body = block(g, d), next = g:chance(2) and g.random(8) or nil } end },
  tick = { 2, function() return {} end },
  child = { 3, function(g, d)
    return { of = g:one_of(TOKENS), which = g.random(8), t = g:chance(3) and g:one_of(LIMITS) or nil,
      lost = g:chance(4) or nil, body = block(g, d) }
  end },
  linked = { 3, function(g, d)
    return { of = g:one_of(TOKENS), which = g.random(8), with = g:one_of(TOKENS), lost = g:chance(4) or nil,
      body = block(g, d) }
  end },
  on_cancel = { 5, function(g, d)
    return { of = g:one_of(TOKENS), which = g.random(8), until_ = g:one_of { "end", "end", "body", "close" },
      handler = block(g, d), body = block(g, d) }
  end },
  wait = { 1, function(g) return { of = g:one_of(TOKENS), which = g.random(8) } end },
  cancel = { 3, function(g) return { which = g.random(8) } end },
  abort = { 1, function() return {} end },
  checkpoint = { 2, function() return {} end },
  throw = { 1, function(g) return { of = g:one_of(TOKENS), which = g.random(8) } end },
  generator = { 5, function(g, d)
    return { how = g:one_of { "wrap", "resume" }, steps = g.random(4) - 1, close = g:chance(3) or nil,
      on = g:one_of { "swallow", "again" }, body = block(g, d, true), each = g:chance(2) and block(g, d) or nil }
  end },
  resume = { 2, function(g) return { which = g.random(8) } end },
  yield = { 3, function() return {} end },
  detach = { 1, function(g, d) return { t = g:one_of(LIMITS) + 0.01, body = block(g, d) } end },
  collect = { 1, function(g) return { skip = not g:chance(8) or nil } end },
  leave = { 1, function() return {} end },
  compute = { 12, function(g)
    local steps = not g:chance(3) and g.random(4) or nil
    return { t = steps and g:one_of(STEPS) or 0.01, steps = steps, on = g:one_of { "loop", "loop", "sort" } }
  end },
}

local names, total = {}, 0
for name, entry in pairs(statements) do
  names[#names + 1] = name
  total = total + entry[1]
end
table.sort(names)

local LEAVES = { "sleep", "sleep", "sleep", "send", "recv", "yield", "error", "cancel", "tick", "checkpoint",
  "acquire", "lock", "compute" }

local function statement(g, depth)
  local name, at
  if depth <= 0 or g.left <= 0 then
    name = g:one_of(LEAVES)
  else
    at = g.random(total)
    for _, candidate in ipairs(names) do
      name = candidate
      at = at - statements[name][1]
      if at <= 0 then
        break
      end
    end
  end
  if name == "compute" and not g.computes then
    name = "sleep"
  end
  g.left = g.left - 1
  local node = statements[name][2](g, depth - 1)
  node.op = name
  return node
end

function block(g, depth, yields)
  local list = {}
  if depth < 0 then
    return { { op = "sleep", t = g:one_of(NAPS) } }
  end
  for i = 1, g.random(3) do
    list[i] = statement(g, depth)
  end
  if yields then
    table.insert(list, g.random(#list + 1), { op = "yield" })
  end
  return list
end

local function cancel(g, calls)
  local made = { what = g:one_of { "call", "call", "call", "inner", "inner", "outside" }, kind = g:one_of(KINDS),
    call = g.random(calls), which = g.random(8) }
  if g:chance(2) then
    made.await = g.random(25)
  else
    made.at = g:one_of(LIMITS)
  end
  return made
end

--- The program of a seed.
function grammar.program(seed)
  local random = grammar.random(seed)
  local g = setmetatable({ random = random, left = 0 }, Generator)
  local program = { calls = {}, cancels = {}, permits = random(2) }
  g.computes = g:chance(6)
  for i = 1, random(2) do
    g.left = 4 + random(28)
    program.calls[i] = {
      start = i > 1 and g:one_of(NAPS) or 0,
      timeout = g:one_of { 0.05, 0.1, 0.2, 0.5, 0.8 },
      cancel_after = g:chance(3) and g:one_of(LIMITS) or nil,
      manual = g:chance(16) or nil,
      preemptible = g.computes and g:chance(3) or nil,
      body = block(g, 2 + random(4)),
    }
  end
  for i = 1, random(4) - 1 do
    program.cancels[i] = cancel(g, #program.calls)
  end
  return program
end

-- --- As text. ---

local BLOCKS = { "body", "handler", "each" }
local IS_BLOCK = { body = true, handler = true, each = true, tasks = true, op = true, ops = true }

local function scalars(node)
  local list = {}
  for key, value in pairs(node) do
    if not IS_BLOCK[key] then
      list[#list + 1] = ("%s=%s"):format((key:gsub("_$", "")), tostring(value))
    end
  end
  for _, op in ipairs(node.ops or {}) do
    list[#list + 1] = ("{%s which=%d t=%g}"):format(op.kind, op.which, op.t)
  end
  table.sort(list)
  return table.concat(list, ", ")
end

local function write(lines, list, indent)
  for _, node in ipairs(list) do
    lines[#lines + 1] = ("%s%s(%s)"):format(indent, node.op, scalars(node))
    for _, name in ipairs(BLOCKS) do
      if node[name] then
        lines[#lines + 1] = ("%s  %s:"):format(indent, name)
        write(lines, node[name], indent .. "    ")
      end
    end
    for i, task in ipairs(node.tasks or {}) do
      lines[#lines + 1] = ("%s  task %d:"):format(indent, i)
      write(lines, task, indent .. "    ")
    end
  end
end

--- The program for people.
function grammar.text(program)
  local lines = { ("permits %d"):format(program.permits) }
  for i, call in ipairs(program.calls) do
    lines[#lines + 1] = ("call %d (%s)"):format(i, scalars(call))
    write(lines, call.body, "  ")
  end
  for _, c in ipairs(program.cancels) do
    lines[#lines + 1] = ("cancel (%s)"):format(scalars(c))
  end
  return table.concat(lines, "\n")
end

-- --- Smaller ones. ---

local function each_list(program, visit)
  local function blocks_of(list)
    if visit(list) then
      return true
    end
    for _, node in ipairs(list) do
      for _, name in ipairs(BLOCKS) do
        if node[name] and blocks_of(node[name]) then
          return true
        end
      end
      for _, task in ipairs(node.tasks or {}) do
        if blocks_of(task) then
          return true
        end
      end
      if node.ops and #node.ops > 1 and visit(node.ops) then
        return true
      end
    end
  end
  if visit(program.cancels) or (#program.calls > 1 and visit(program.calls)) then
    return true
  end
  for _, call in ipairs(program.calls) do
    if blocks_of(call.body) then
      return true
    end
  end
end

local function replace(list, with)
  for k = 1, math.max(#list, #with) do
    list[k] = with[k]
  end
end

--- Puts what a statement holds in its place; false if it holds nothing.
local function inline(list, i)
  local inner = list[i].body
  if not inner or list[i].timeout then
    return false
  end
  local longer = { table.unpack(list, 1, i - 1) }
  table.move(inner, 1, #inner, i, longer)
  table.move(list, i + 1, #list, #longer + 1, longer)
  replace(list, longer)
  return true
end

--- Takes parts out of the program, in place, for as long as fails(program) stays true.
function grammar.shrink(program, fails, tries)
  local function try(list)
    for i = #list, 1, -1 do
      if tries <= 0 then
        return true
      end
      local saved = { table.unpack(list) }
      for _, change in ipairs { table.remove, inline } do
        tries = tries - 1
        if change(list, i) and fails(program) then
          return true
        end
        replace(list, saved)
      end
    end
  end
  repeat
    local smaller = each_list(program, try)
  until not smaller or tries <= 0
  return program
end

return grammar
