--- Stands in for the gateway's own part where there is no gateway, as under plain busted.
error("the module 'cancela' works inside the gateway only: run specs with 'cancela test' instead of "
  .. "'busted', or keep what they test in modules that do not require it", 0)
