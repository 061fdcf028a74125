# Refuses, by name, the machines that cannot work, and knows which flags an instruction set needs.
include(CheckCSourceCompiles)
include(TestBigEndian)

if(NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
    message(FATAL_ERROR "32-bit targets are not supported (weights are mapped whole)")
endif()
test_big_endian(MLXE_BIG_ENDIAN)
if(MLXE_BIG_ENDIAN)
    message(FATAL_ERROR "big-endian targets are not supported (weight files are little-endian)")
endif()
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    check_c_source_compiles("#include <features.h>
        #ifndef __GLIBC__
        #error no glibc
        #endif
        int main(void) { return 0; }" MLXE_GLIBC)
    if(NOT MLXE_GLIBC)
        message(FATAL_ERROR "musl is not supported: MLX's wheels need glibc >= 2.35")
    endif()
endif()

# A file is compiled for the instruction set that its name ends in.
function(mlxe_isa_flags)
    foreach(file ${ARGN})
        set(processor "x86_64|AMD64")
        if(file MATCHES "_avx2\\.c$")
            set(flags "-mavx2;-mfma;-mf16c;-mbmi2")
        elseif(file MATCHES "_avx512\\.c$")
            set(flags "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512vbmi;-mavx512vnni;-mgfni;-mavx2;-mfma;-mf16c;-mbmi2")
        elseif(file MATCHES "_neon\\.c$")
            set(processor "aarch64|arm64")
            set(flags "-march=armv8.2-a+dotprod")
        else()
            continue()
        endif()
        if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(${processor})$")
            set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${flags}")
        endif()
    endforeach()
endfunction()
