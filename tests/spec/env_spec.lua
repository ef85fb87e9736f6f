local cancela = require "cancela"

describe("env", function()
  it("reads variables of the environment", function()
    assert.equal(os.getenv "PATH", cancela.env.PATH)
    assert.equal(os.getenv "PATH", cancela.env("PATH", "default"))
  end)

  it("gives nil, or the default, for what is not set", function()
    assert.is_nil(cancela.env.CANCELA_NO_SUCH_VARIABLE)
    assert.is_nil(cancela.env "CANCELA_NO_SUCH_VARIABLE")
    assert.equal("default", cancela.env("CANCELA_NO_SUCH_VARIABLE", "default"))
  end)

  it("cannot be assigned to, and wants names", function()
    for message, fn in pairs {
      ["cancela.env is read%-only: cannot set X"] = function() cancela.env.X = "1" end,
      ["cancela.env: a name is a string, not a number"] = function() local _ = cancela.env[1] end,
      ["cancela.env: a name is a string, not a table"] = function() cancela.env {} end,
      ["cancela.env: a name is a string, not a nil"] = function() cancela.env() end,
    } do
      assert.matches("^tests/spec/env_spec.lua:%d+: " .. message, select(2, pcall(fn)))
    end
  end)
end)
