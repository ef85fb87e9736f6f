# Libraries, all from the distribution (scripts/setup installs them).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto>=3)
pkg_check_modules(SSL REQUIRED IMPORTED_TARGET libssl>=3)
pkg_search_module(LUA REQUIRED IMPORTED_TARGET lua5.4 lua-5.4 lua>=5.4)
if(LUA_VERSION VERSION_LESS 5.4.5)
  message(STATUS "Lua ${LUA_VERSION}: 'break' may close the closing value of a generic 'for' late "
    "(docs/cancellation.md, Clean-up that waits)")
endif()

# A system libllhttp where there is one; else Debian's node-llhttp, which ships the C sources.
# Their strict mode is off by default.
find_library(LLHTTP_LIBRARY llhttp)
find_path(LLHTTP_INCLUDE llhttp.h PATHS /usr/share/include/llhttp PATH_SUFFIXES llhttp REQUIRED)
if(LLHTTP_LIBRARY)
  add_library(cla_llhttp INTERFACE)
  target_link_libraries(cla_llhttp INTERFACE ${LLHTTP_LIBRARY})
else()
  set(LLHTTP_SOURCES /usr/share/llhttp CACHE PATH "Folder of llhttp's C sources")
  add_library(cla_llhttp STATIC
    ${LLHTTP_SOURCES}/api.c ${LLHTTP_SOURCES}/http.c ${LLHTTP_SOURCES}/llhttp.c)
  target_compile_definitions(cla_llhttp PUBLIC LLHTTP_STRICT_MODE=1)
  target_include_directories(cla_llhttp SYSTEM PRIVATE ${LLHTTP_INCLUDE})
  target_link_libraries(cla_llhttp PRIVATE cla_instrument)
endif()
target_include_directories(cla_llhttp SYSTEM INTERFACE ${LLHTTP_INCLUDE})
