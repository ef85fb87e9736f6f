-- Returns nothing that can be served.
return 42
