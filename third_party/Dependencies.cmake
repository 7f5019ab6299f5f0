# Every package the program is built with. A missing one is named by its Debian package.

function(clearframe_need found what package)
  if(NOT ${found})
    message(FATAL_ERROR "${what} was not found. On Debian: apt install ${package} (or let ./run install everything)")
  endif()
endfunction()

find_package(Threads REQUIRED)

find_package(fmt QUIET)
clearframe_need(fmt_FOUND "fmt" libfmt-dev)

find_package(CLI11 QUIET)
clearframe_need(CLI11_FOUND "CLI11" libcli11-dev)

find_package(nlohmann_json QUIET)
clearframe_need(nlohmann_json_FOUND "nlohmann-json" nlohmann-json3-dev)

find_package(PNG QUIET)
clearframe_need(PNG_FOUND "libpng" libpng-dev)

find_package(ZLIB QUIET)
clearframe_need(ZLIB_FOUND "zlib" zlib1g-dev)

find_package(Vulkan QUIET)
clearframe_need(Vulkan_FOUND "Vulkan (headers and loader)" libvulkan-dev)

find_program(CLEARFRAME_GLSLC glslc)
clearframe_need(CLEARFRAME_GLSLC "glslc, the GLSL compiler" glslc)

find_package(PkgConfig QUIET)
clearframe_need(PKG_CONFIG_FOUND "pkg-config" pkg-config)
pkg_check_modules(libdrm QUIET IMPORTED_TARGET libdrm)
clearframe_need(libdrm_FOUND "libdrm" libdrm-dev)

# Not needed to build: without them there is no RDMA hardware.
option(CLEARFRAME_VERBS "RDMA devices by libibverbs and librdmacm, where their headers are installed" ON)
if(CLEARFRAME_VERBS)
  pkg_check_modules(verbs QUIET IMPORTED_TARGET libibverbs librdmacm)
endif()
if(NOT verbs_FOUND)
  message(STATUS "Building without RDMA devices: no libibverbs or librdmacm. On Debian: apt install libibverbs-dev librdmacm-dev")
endif()

pkg_check_modules(glfw QUIET IMPORTED_TARGET glfw3>=3.3)
clearframe_need(glfw_FOUND "GLFW" libglfw3-dev)
pkg_check_modules(imgui QUIET IMPORTED_TARGET imgui>=1.86)
clearframe_need(imgui_FOUND "Dear ImGui" libimgui-dev)
pkg_check_modules(x11 QUIET x11)
clearframe_need(x11_FOUND "Xlib's headers" libx11-dev)
add_library(clearframe_x11_headers INTERFACE) # the library itself is GLFW's affair
target_include_directories(clearframe_x11_headers SYSTEM INTERFACE ${x11_INCLUDE_DIRS})

if(CLEARFRAME_TESTS)
  find_package(GTest QUIET)
  clearframe_need(GTest_FOUND "GoogleTest" libgtest-dev)
  find_package(benchmark QUIET)
  clearframe_need(benchmark_FOUND "Google Benchmark" libbenchmark-dev)
  pkg_check_modules(libibverbs QUIET IMPORTED_TARGET libibverbs)
  clearframe_need(libibverbs_FOUND "libibverbs" libibverbs-dev)
  pkg_check_modules(librdmacm QUIET IMPORTED_TARGET librdmacm)
  clearframe_need(librdmacm_FOUND "librdmacm" librdmacm-dev)
endif()
