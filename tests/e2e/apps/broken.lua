local cancela = require "cancela"

return cancela.app {
    procedures = { add = function( end },
}
