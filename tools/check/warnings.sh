#!/bin/sh
# warnings.sh: gcc and clang compile every file (library, plugin, command, tests) with warnings as
# errors. Objects only: nothing is linked. The trees stay, so a second run compiles what changed.
set -u
. tools/check/common.inc
count=0
status=0
gcc_tree || exit 1
gcc=$tree
check_tree build-check/clang clang clang++ -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O0 \
    -DCMAKE_CXX_FLAGS_DEBUG=-O0 || exit 1
for tree in "$gcc" build-check/clang; do
    list=$(objects $tree)
    count=$((count + $(echo "$list" | grep -c .)))
    # shellcheck disable=SC2086 # names without blanks
    ninja -C $tree -j "$jobs" -k 0 $list >$tree/build.log 2>&1 || {
        status=1
        grep -E '(error|warning):' $tree/build.log | sed "s,^$PWD/,," | sort -u >&2
    }
done
echo "$count objects by gcc and clang"
exit $status
