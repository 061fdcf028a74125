#!/bin/sh
# tidy.sh: clang-tidy with .clang-tidy on our C and C++; findings that were looked at and are none are
# in tidy.txt. A file whose text, headers and configuration
# are as they were when it last passed is not looked at again (stamps in build-check/tidy).
set -u
. tools/check/common.inc
tree=build-check/clang
check_tree $tree clang clang++ -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0 \
    -DCMAKE_CXX_FLAGS_DEBUG=-O0 || exit 1
cmake --build $tree --target build.ninja >/dev/null 2>&1
mkdir -p build-check/tidy
headers=$(files .clang-tidy 'src/*.h' 'include/*.h' 'cli/*.h' 'tools/check/*' | xargs cat | sha256sum | cut -c1-32)
list=$(files 'src/*.c' 'src/*.cpp' 'cli/*.c')
# The analyzer gives a function up after so many nodes of its graph; the default costs three times as much.
one='
    file=$1
    stamp=build-check/tidy/$(echo "$file" | tr / _)
    key="$2 $(sha256sum <"$file")"
    [ "$(cat "$stamp" 2>/dev/null)" = "$key" ] && exit 0
    set -- --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes=40000
    case "$file" in
    src/base/error.c) ;;
    src/*.c) grep -q "^#define _[A-Z_]*_SOURCE" "$file" || set -- "$@" --extra-arg=-include --extra-arg="$PWD/tools/check/analyzer.h" ;;
    esac
    clang-tidy -p '$tree' --quiet "$@" "$file" >"$stamp.out" 2>/dev/null
    grep -E "(warning|error):" "$stamp.out" | sed "s,$PWD/,," | sort -u | awk '"'"'
        BEGIN { while ((getline line <"tools/check/tidy.txt") > 0) { split(line, w, " "); known[w[1] " " w[2]] = 1 } }
        { file = $1; sub(/:.*/, "", file); check = $NF; gsub(/[][]/, "", check); sub(/,.*/, "", check) }
        !((file " " check) in known)'"'"' >"$stamp.found"
    if [ -s "$stamp.found" ]; then
        rm -f "$stamp"
        head -n 8 "$stamp.found" >&2
        exit 1
    fi
    echo "$key" >"$stamp"'
# The largest first, so that both cores end together.
echo "$list" | xargs ls -S | xargs -P "$jobs" -I{} sh -c "$one" sh {} "$headers"
status=$?
echo "$(echo "$list" | grep -c .) files"
exit $status
