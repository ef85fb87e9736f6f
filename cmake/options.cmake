# Compile and link options, on an interface target: nothing is set globally.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
include(GNUInstallDirs)

if(CANCELA_LTO)
  include(CheckIPOSupported)
  check_ipo_supported(RESULT CANCELA_LTO_WORKS OUTPUT output LANGUAGES C)
  if(CANCELA_LTO_WORKS)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  else()
    message(STATUS "Building without link-time optimization: this toolchain has none")
  endif()
endif()

# Instrumentation only: for code that is not ours, whose warnings are not ours either.
add_library(cla_instrument INTERFACE)
if(CANCELA_SANITIZE)
  target_compile_options(cla_instrument INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(cla_instrument INTERFACE -fsanitize=address,undefined)
endif()
if(CANCELA_TSAN)
  target_compile_options(cla_instrument INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(cla_instrument INTERFACE -fsanitize=thread)
endif()
if(CANCELA_COVERAGE)
  target_compile_options(cla_instrument INTERFACE --coverage)
  target_link_options(cla_instrument INTERFACE --coverage)
endif()
if(CANCELA_FUZZ)
  target_compile_options(cla_instrument INTERFACE
    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(cla_instrument INTERFACE -fsanitize=address,undefined)
endif()

add_library(cla_options INTERFACE)
target_compile_definitions(cla_options INTERFACE _GNU_SOURCE CLA_VERSION="${PROJECT_VERSION}")
target_include_directories(cla_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(cla_options INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings
  -Wvla -Wundef -Wformat=2 -Wno-unused-parameter -fno-common -fno-strict-aliasing -fstack-protector-strong)
if(CANCELA_WERROR)
  target_compile_options(cla_options INTERFACE -Werror)
endif()
target_link_libraries(cla_options INTERFACE cla_instrument)
