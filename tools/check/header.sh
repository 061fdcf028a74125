#!/bin/sh
# header.sh: the public header compiles alone as C99, C11, C17 and C++17, by gcc and clang, without a
# warning; every header of src/ compiles alone as C11 (but the kernels' templates, tpl_*, vec_* and
# int8_*, which are compiled once an instruction set).
set -u
. tools/check/common.inc
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '#include "mlxengine.h"\nint main(void) { return mlxe_version() == 0; }\n' >"$scratch/a.c"
cp "$scratch/a.c" "$scratch/a.cpp"
strict='-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -fsyntax-only -Iinclude'
runs=0
failed=0
try() {
    runs=$((runs + 1))
    "$@" >&2 || failed=$((failed + 1))
}
# shellcheck disable=SC2086 # options are split at blanks
for cc in gcc clang; do
    for std in c99 c11 c17; do
        try $cc -std=$std $strict -Wstrict-prototypes "$scratch/a.c"
    done
done
# shellcheck disable=SC2086
for cxx in g++ clang++; do
    for std in c++17 c++20; do
        try $cxx -std=$std $strict "$scratch/a.cpp"
    done
done
for header in $(files 'src/*.h' | grep -vE '^src/mx/mlx/|/(tpl|vec|int8)_'); do
    printf '#include "%s"\nextern int here;\n' "${header#src/}" >"$scratch/b.c"
    # shellcheck disable=SC2086
    try gcc -std=c11 -D_POSIX_C_SOURCE=200809L $strict -Wno-sign-conversion -Isrc \
        -isystem .deps/yyjson "$scratch/b.c"
done
echo "$runs compilations of headers alone, $failed failed"
[ $failed = 0 ]
