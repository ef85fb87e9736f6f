-- Procedures that compute: for ever, in every form of loop and nesting, or for a while.
local cancela = require "cancela"

local function spin()
  while true do end
end

-- Computes for 'seconds' of processor time.
local function burn(seconds)
  local began = os.clock()
  while os.clock() - began < seconds do end
end

local forms = {}

forms["while"] = spin

forms["repeat"] = function()
  repeat until false
end

forms["numeric for"] = function()
  for _ = 1, math.maxinteger do end
end

forms["numeric for of floats"] = function()
  for _ = 1.0, math.huge do end
end

forms["generic for"] = function()
  for _ in function() return 1 end do end
end

forms["goto"] = function()
  ::again::
  goto again
end

forms["tail call"] = function()
  local function f() return f() end
  f()
end

forms["recursion"] = function()
  local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
  fib(100)
end

forms["calls of C functions"] = function()
  while true do math.abs(1) end
end

forms["concatenation"] = function()
  while true do
    local s = ""
    for i = 1, 1000 do s = s .. i end
  end
end

forms["a metamethod"] = function()
  return setmetatable({}, { __add = spin }) + 1
end

forms["an endless chain of __index"] = function()
  local t = setmetatable({}, { __index = function() return nil end })
  while not t.x do end
end

forms["a wrapped coroutine"] = function()
  coroutine.wrap(function() coroutine.wrap(spin)() end)()
end

forms["a generator"] = function()
  local ones = coroutine.wrap(function() while true do coroutine.yield(1) end end)
  while ones() do end
end

forms["pcall, tried again"] = function()
  while true do pcall(spin) end
end

forms["pcall of short work, tried again"] = function()
  while true do pcall(error, "again") end
end

forms["coroutine.resume, tried again"] = function()
  while true do coroutine.resume(coroutine.create(spin)) end
end

forms["xpcall"] = function()
  xpcall(spin, spin)
end

forms["a subtask"] = function()
  cancela.group(function(g) g:spawn(spin) end)
end

forms["a timeout that is far off"] = function()
  cancela.timeout(1000, spin)
end

local function said(label, what)
  return setmetatable({}, { __close = function() cancela.log.info(what .. " " .. label) end })
end

local procedures = {}

procedures.forms = function()
  local names = {}
  for name in pairs(forms) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

procedures.endless = function(params)
  local _ <close> = said(params.label, "closed")
  cancela.log.info("started " .. params.label)
  forms[params.form]()
end

procedures.polite = cancela.procedure { preemptible = true, run = procedures.endless }

procedures.sort = function(params)
  local _ <close> = said(params.label, "closed")
  cancela.log.info("started " .. params.label)
  table.sort({ 1, 2, 3 }, function() spin() end)
end

procedures.quick = function()
  return "quick"
end

procedures.burn = function(params)
  burn(params.seconds)
  return "burnt"
end

procedures.burn_politely = cancela.procedure { preemptible = true, run = procedures.burn }

procedures.burn_in_parts = function(params)
  for _ = 1, params.parts do
    burn(params.seconds)
    cancela.sleep(0.001)
  end
  return "burnt"
end

-- Clean-up that computes for ever, twice, between handlers that do not.
procedures.endless_cleanup = function(params)
  local _ <close> = said(params.label, "outermost")
  local _ <close> = setmetatable({}, { __close = spin })
  local _ <close> = said(params.label, "middle")
  local _ <close> = setmetatable({}, { __close = spin })
  cancela.log.info("started " .. params.label)
  cancela.sleep(100)
end

-- What no hook reaches.
procedures.finalizer = function()
  burn(0.05)
  setmetatable({}, { __gc = spin })
  collectgarbage()
end

-- Two of these at a time, each of which reads, computes for several slices, and writes.
local balance = 0
local function deposit(params)
  for _ = 1, params.times do
    local before = balance
    burn(0.025)
    balance = before + 1
    cancela.sleep(0)
  end
  return balance
end

procedures.deposit = deposit
procedures.deposit_politely = cancela.procedure { preemptible = true, run = deposit }

procedures.reset_balance = function()
  balance = 0
end

procedures.stats = function()
  return cancela.stats()
end

-- Manual mode: it decides by itself when to end.
procedures.manual = cancela.procedure {
  cancel = "manual",
  run = function(params, call)
    local _ <close> = said(params.label, "closed")
    cancela.log.info("started " .. params.label)
    local reason = call.token:wait()
    cancela.log.info(("%s saw %s"):format(params.label, reason.kind))
    cancela.sleep(params.seconds or 0)
    return "ended by " .. reason.kind
  end,
}

return cancela.app { procedures = procedures }
