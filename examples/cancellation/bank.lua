-- Stands in for a database: every step takes a while, also to undo.
local cancela = require "cancela"

local bank = {}
local accounts = { ada = 100, grace = 0 }

local Transaction = {}
Transaction.__index = Transaction

function bank.balance(account)
  return accounts[account]
end

function bank.begin()
  cancela.sleep(0.05)
  return setmetatable({ done = {} }, Transaction)
end

function Transaction:add(account, amount)
  if not accounts[account] then
    cancela.error { code = "not_found", message = ("no account '%s'"):format(account) }
  end
  cancela.sleep(0.05)
  accounts[account] = accounts[account] + amount
  table.insert(self.done, { account = account, amount = amount })
end

function Transaction:commit()
  -- Once sent, a commit should not be cut short by a cancel: it has up to a second.
  cancela.shield(1, cancela.sleep, 0.05)
  self.done = {}
end

-- Clean-up after a cancel may await until its grace (half a second) is over.
function Transaction:rollback()
  while #self.done > 0 do
    cancela.sleep(0.05)
    local step = table.remove(self.done)
    accounts[step.account] = accounts[step.account] - step.amount
  end
end

Transaction.__close = Transaction.rollback

return bank
