-- Programs made at random of scopes, awaits, clean-up, errors, generators, subtasks and what they share, cancelled at
-- random points, against the invariants of cancellation. docs/architecture.md says what those are.
--
-- How it works: grammar.lua makes a program of a seed, as data; statements.lua and things.lua run it, in calls of an
-- app under test, on the virtual clock; each await, clean-up, callback, pcall and scope is watched on the way, and
-- the rules that follow from the invariants are checked there, from what a script can see and a few counters:
--
--   1  the outcome of each call is that of what happened to it first; there is one           programs.lua
--   2  in a callback all that is inside of its token is cancelled; callbacks are in order     things.lua
--   3  items, permits, the mutex and ticks are neither lost nor doubled                       things, programs
--   4  an await in a cancelled scope raises at once, and one that waits is woken at once;
--      shields and clean-up hide a Cancel until their time is over                            machine.lua
--   5  what a pcall catches and lets pass; a retry loop ends                                  statements.lua
--   6  no await lasts beyond the grace; no call holds its slot longer                         machine, programs
--   7  no task, timer, registry reference, registration, link or waiter is left               programs.lua
--   8  nothing happens in a call whose slot is free                                           machine.lua
--   -  clean-up that was opened has run once, the newest first                                machine.lua
--
-- A program that breaks a rule is made smaller for as long as it breaks one, and printed with its trace.
--
-- RANDOM_SEED repeats one program; RANDOM_FIRST is the first of RANDOM_COUNT (500), which stop after RANDOM_SECONDS
-- (none). For runs that crash or wait for ever: RANDOM_FILE is written with the seed that runs, and with RANDOM_TRACE
-- the program and its trace are written to stderr as it goes.
local cancela = require "cancela"
local grammar = require "grammar"
local programs = require "programs"
local core = require "cancela.testing.core"

local env = cancela.env
local VIRTUAL_MAX = 20 * 3600 -- a run of specs ends after a day
local MEMORY_SLACK = 1 << 20
local PAUSES_MAX = 3 -- in a row

local function number(name, default)
  return tonumber(env[name]) or default
end

local file = env.RANDOM_FILE and io.open(env.RANDOM_FILE, "w")

local function announce(seed)
  if file then
    file:seek("set")
    file:write(seed, "\n")
    file:flush()
  end
end

--- Again, where the machine paused it: what it finds then is not the program's.
local function run(program, tracing)
  local p
  for _ = 1, PAUSES_MAX do
    p = programs.run(program, tracing)
    if #p.problems == 0 or not p.paused then
      break
    end
  end
  return p
end

local function fails(program)
  return #run(program).problems > 0
end

--- What is printed of a program that breaks a rule.
local function report(seed, first)
  local lines = { ("seed %d breaks %d rules:"):format(seed, #first) }
  for i = 1, math.min(#first, 5) do
    lines[#lines + 1] = "  " .. first[i]
  end
  local small = grammar.shrink(grammar.program(seed), fails, 2000)
  local again = run(small, true)
  if #again.problems == 0 then
    small = grammar.program(seed)
    again = run(small, true)
  end
  lines[#lines + 1] = "\nThe smallest program found that does:\n" .. grammar.text(small)
  lines[#lines + 1] = "\nIts trace (seconds, task, event):\n" .. table.concat(again.trace, "\n")
  lines[#lines + 1] = "\nBroken:\n" .. (#again.problems > 0 and table.concat(again.problems, "\n")
    or "none this time: it depends on something else than the program")
  lines[#lines + 1] = ("\nRepeat it with: scripts/test random --seed %d"):format(seed)
  return table.concat(lines, "\n")
end

local function memory()
  collectgarbage()
  collectgarbage()
  return cancela.stats().memory_bytes
end

describe("programs made at random", function()
  it("keep the invariants of cancellation", function()
    local seed = number("RANDOM_SEED")
    local first = seed or number("RANDOM_FIRST", os.time() * 100000)
    local count = seed and 1 or number("RANDOM_COUNT", 500)
    local stop = os.time() + number("RANDOM_SECONDS", 1 << 30)
    core.quiet()
    collectgarbage "stop" -- it is part of the programs, so that they can be repeated
    local began, done, level = cancela.now(), 0, nil
    for s = first, first + count - 1 do
      announce(s)
      if env.RANDOM_TRACE then
        io.stderr:write(grammar.text(grammar.program(s)), "\n")
      end
      local p = run(grammar.program(s), env.RANDOM_TRACE and "live")
      done = done + 1
      if #p.problems > 0 then
        print(report(s, p.problems))
        error("RANDOM_SEED=" .. s .. " breaks the invariants", 0)
      end
      if done % 50 == 0 then
        local now = memory()
        level = level or done >= 500 and now or nil
        if level and now > level + MEMORY_SLACK then
          error(("memory grew from %d to %d bytes in %d programs"):format(level, now, done), 0)
        end
      end
      if os.time() >= stop or cancela.now() - began > VIRTUAL_MAX then
        break
      end
    end
    print(("%d programs from seed %d, %.0f s of virtual time"):format(done, first, cancela.now() - began))
  end)
end)
