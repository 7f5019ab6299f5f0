# Compiles shaders/*.{vert,frag,comp} to SPIR-V and makes each a header, shaders/NAME.h, with the
# words as `inline constexpr std::uint32_t NAME[]` (dots become underscores).

file(GLOB shader_sources CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/shaders/*.vert ${PROJECT_SOURCE_DIR}/shaders/*.frag
  ${PROJECT_SOURCE_DIR}/shaders/*.comp)
set(shader_headers)
foreach(source ${shader_sources})
  get_filename_component(name ${source} NAME)
  string(REPLACE "." "_" symbol ${name})
  set(words ${PROJECT_BINARY_DIR}/shaders/${name}.inc)
  set(header ${PROJECT_BINARY_DIR}/shaders/${name}.h)
  add_custom_command(OUTPUT ${words}
    COMMAND ${CLEARFRAME_GLSLC} --target-env=vulkan1.3 -O -Werror -mfmt=num -MD -MF ${words}.d
      -I ${PROJECT_SOURCE_DIR}/shaders -o ${words} ${source}
    DEPENDS ${source} DEPFILE ${words}.d
    COMMENT "Compiling shader ${name}" VERBATIM)
  file(GENERATE OUTPUT ${header} CONTENT
    "#pragma once\n#include <cstdint>\nnamespace clearframe::spirv {\ninline constexpr std::uint32_t ${symbol}[] = {\n#include \"shaders/${name}.inc\"\n};\n}\n")
  list(APPEND shader_headers ${words})
endforeach()
add_custom_target(clearframe_shader_headers DEPENDS ${shader_headers})
add_library(clearframe_shaders INTERFACE)
add_dependencies(clearframe_shaders clearframe_shader_headers)
target_include_directories(clearframe_shaders INTERFACE ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR})
