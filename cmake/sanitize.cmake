# -DMLXE_SANITIZE=address,undefined or thread, and -DMLXE_FUZZ=ON (libFuzzer, clang).
#
# libmlx is a prebuilt library without instrumentation. What follows from that is written in the
# suppression files of tests/sanitizers/, which name frames of libmlx only.
set(MLXE_TEST_ENVIRONMENT)
if(MLXE_SANITIZE)
    add_compile_options(-fsanitize=${MLXE_SANITIZE} -fno-omit-frame-pointer
                        -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${MLXE_SANITIZE})
    if(MLXE_SANITIZE MATCHES "address") # which finds these two itself
        add_compile_options(-fno-sanitize=null,object-size)
    endif()
    # Warnings are the plain build's: instrumented code makes gcc see overruns that are none.
    add_compile_options(-w)
    # -O1 with line tables only, and asserts: at -O2 -g the checks make the kernels and yyjson compile
    # for minutes.
    set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O1 -g1")
    set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")
    # A C program loads libstdc++ only with the plugin; the sanitizers look up __cxa_throw when the
    # process starts and would abort at MLX's first exception.
    add_link_options(-Wl,--push-state,--no-as-needed -lstdc++ -Wl,--pop-state)
    set(folder ${CMAKE_SOURCE_DIR}/tests/sanitizers)
    # Not detect_stack_use_after_return: gcc 12 gives 64-byte vectors a fake frame that is aligned to
    # 32 (PR 110027), and AVX-512 code faults there.
    list(APPEND MLXE_TEST_ENVIRONMENT
        ASAN_OPTIONS=strict_string_checks=1:check_initialization_order=1
        LSAN_OPTIONS=suppressions=${folder}/lsan.supp:print_suppressions=0
        UBSAN_OPTIONS=print_stacktrace=1
        TSAN_OPTIONS=suppressions=${folder}/tsan.supp:history_size=4:second_deadlock_stack=1)
endif()
if(MLXE_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "MLXE_FUZZ needs clang: -DCMAKE_C_COMPILER=clang")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
