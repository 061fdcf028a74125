# What the library links: each thing that is missing is named with the way to get it.
set(MLXE_MLX_VERSION 0.32.4)

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)

foreach(file yyjson.c yyjson.h)
    if(NOT EXISTS ${YYJSON_ROOT}/${file})
        message(FATAL_ERROR "no ${file} in ${YYJSON_ROOT}: run tools/setup.sh, or give -DYYJSON_ROOT=")
    endif()
endforeach()

# The plugin and libmlx share C++ types, so the version is exact; the plugin asks libmlx again when
# it is loaded. CMake's own mismatch message would not say which version it found.
if(NOT EXISTS ${MLX_ROOT}/share/cmake/MLX/MLXConfig.cmake)
    message(FATAL_ERROR "no MLX in ${MLX_ROOT} (share/cmake/MLX/MLXConfig.cmake): "
                        "run tools/setup.sh, or give -DMLX_ROOT=")
endif()
find_package(MLX CONFIG REQUIRED PATHS ${MLX_ROOT}/share/cmake/MLX NO_DEFAULT_PATH)
if(NOT MLX_VERSION VERSION_EQUAL MLXE_MLX_VERSION)
    message(FATAL_ERROR "MLX in ${MLX_ROOT} is version ${MLX_VERSION}, "
                        "this source needs exactly ${MLXE_MLX_VERSION}")
endif()
