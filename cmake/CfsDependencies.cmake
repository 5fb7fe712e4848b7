# Debian 12's packages, and nothing else (docs/ARCHITECTURE.md, "What it stands on").
find_package(Threads REQUIRED)
find_package(GTest REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(FUSE3 REQUIRED IMPORTED_TARGET fuse3)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(CPG REQUIRED IMPORTED_TARGET libcpg libcmap libquorum libcorosync_common)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_library(CFS_AIO aio REQUIRED)

# Asio is compiled once (base/io/asio.cc); every other file sees declarations only.
add_library(cfs_asio INTERFACE)
target_compile_definitions(cfs_asio INTERFACE BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(cfs_asio INTERFACE Threads::Threads)
