std = "lua54"
max_line_length = 120
codes = true
self = false

-- Results of to-be-closed variables and unused arguments of callbacks are named for the reader.
unused_args = false

files["**/*_spec.lua"].std = "lua54+busted"
-- A procedure's second parameter is its call, also in a spec that has a function of that name.
files["tests/spec"] = { std = "lua54+busted", ignore = { "431/call" } }
exclude_files = { "build", "**/node_modules", "tests/e2e/apps/broken.lua" }
