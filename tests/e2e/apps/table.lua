-- A script may return just a table of procedures.
return {
    add = function(params) return params.a + params.b end,
}
