# How every target is compiled: warnings are errors, one sanitizer set per build tree, ccache where it is installed.
set(CFS_SANITIZE "" CACHE STRING "Sanitizers for the whole build, as -fsanitize= takes them (address,undefined or thread)")

find_program(CFS_CCACHE ccache)
if(CFS_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CFS_CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
                    -Wcast-align -Wimplicit-fallthrough -Wnull-dereference -fno-omit-frame-pointer)
# g++ 12 reports these in inlined library code that is sound.
add_compile_options(-Wno-maybe-uninitialized -Wno-null-dereference -Wno-stringop-overflow -Wno-stringop-overread
                    -Wno-array-bounds -Wno-restrict)
add_compile_definitions(_FILE_OFFSET_BITS=64)
include_directories(${CMAKE_SOURCE_DIR})

if(CFS_SANITIZE)
  add_compile_options(-fsanitize=${CFS_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CFS_SANITIZE})
  if(CFS_SANITIZE MATCHES thread)
    add_compile_options(-Wno-tsan)  # g++ 12 warns of every fence, also of those in library headers
  endif()
endif()

# cfs_library(NAME SOURCES … [LINK …]): a static library of one layer of one module.
function(cfs_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
endfunction()

# cfs_unit_test(NAME SOURCES … LINK …): a GoogleTest program, one ctest entry.
function(cfs_unit_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 1800)
endfunction()
