# Lua files as C arrays (src/bind/embed.h), so that the binary needs no files at run time.
#   cla_embed_lua(OUT FOLDER): FOLDER/a/b.lua becomes module "a.b", a/init.lua becomes "a"
function(cla_embed_lua out folder)
  set(script ${PROJECT_SOURCE_DIR}/cmake/embed-script.cmake)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${folder}/*.lua)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -D "OUT=${out}" -D "FOLDER=${folder}" -P ${script}
    DEPENDS ${files} ${script} COMMENT "Embedding ${folder}" VERBATIM)
endfunction()
