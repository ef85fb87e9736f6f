-- What the conformance suites call.
return {
    echo = function(params) return params end,
}
