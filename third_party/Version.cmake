# The header measure/version.h: version, git revision and build type. The revision is asked for by
# every build, not when CMake configures, so that it cannot be that of an older commit; the header
# is rewritten only when it changes. Link clearframe_version to include it.

if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(build "$<CONFIG>, ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
  if(CLEARFRAME_SANITIZE)
    string(APPEND build ", sanitizers ${CLEARFRAME_SANITIZE}")
  endif()
  add_custom_target(clearframe_version_header
    COMMAND ${CMAKE_COMMAND} -D CLEARFRAME_VERSION=${PROJECT_VERSION} -D "CLEARFRAME_BUILD=${build}"
      -D SOURCE=${PROJECT_SOURCE_DIR} -D HEADER=${PROJECT_BINARY_DIR}/version/measure/version.h
      -P ${CMAKE_CURRENT_LIST_FILE}
    BYPRODUCTS ${PROJECT_BINARY_DIR}/version/measure/version.h
    COMMENT "Looking up the source's revision" VERBATIM)
  add_library(clearframe_version INTERFACE)
  add_dependencies(clearframe_version clearframe_version_header)
  target_include_directories(clearframe_version INTERFACE ${PROJECT_BINARY_DIR}/version)
  return()
endif()

# As a script. Sources unpacked inside somebody else's repository have no revision of their own,
# and a git hook's variables speak of its repository.
set(CLEARFRAME_REVISION "")
find_program(GIT git)
if(GIT AND EXISTS ${SOURCE}/.git)
  unset(ENV{GIT_DIR})
  unset(ENV{GIT_WORK_TREE})
  unset(ENV{GIT_INDEX_FILE})
  execute_process(
    COMMAND ${GIT} --no-optional-locks describe --always --dirty --abbrev=12 --exclude=*
    WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE revision RESULT_VARIABLE failed
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT failed)
    set(CLEARFRAME_REVISION ${revision})
  endif()
endif()
configure_file(${SOURCE}/app/measure/version.h.in ${HEADER} @ONLY)
