#!/bin/sh
# tidy.sh: clang-tidy with .clang-tidy on our C and C++. A file whose text, headers and configuration
# are as they were when it last passed is not looked at again (stamps in build-check/tidy).
set -u
. tools/check/common.inc
tree=build-check/clang
check_tree $tree clang clang++ -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0 \
    -DCMAKE_CXX_FLAGS_DEBUG=-O0 || exit 1
cmake --build $tree --target build.ninja >/dev/null 2>&1
mkdir -p build-check/tidy
headers=$(files .clang-tidy '*.h' | xargs cat | sha256sum | cut -c1-32)
list=$(files 'src/*.c' 'src/*.cpp' 'cli/*.c')
one='
    file=$1
    stamp=build-check/tidy/$(echo "$file" | tr / _)
    key="$2 $(sha256sum <"$file")"
    [ "$(cat "$stamp" 2>/dev/null)" = "$key" ] && exit 0
    if clang-tidy -p '$tree' --quiet --warnings-as-errors="*" "$file" >"$stamp.out" 2>/dev/null; then
        echo "$key" >"$stamp"
    else
        rm -f "$stamp"
        grep -E "(warning|error):" "$stamp.out" | sed "s,$PWD/,," | grep -v "too many errors" | sort -u | head -n 8 >&2
        exit 1
    fi'
echo "$list" | xargs -P "$jobs" -I{} sh -c "$one" sh {} "$headers"
status=$?
echo "$(echo "$list" | grep -c .) files"
exit $status
