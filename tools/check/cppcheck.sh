#!/bin/sh
# cppcheck.sh: cppcheck on our C and C++ (options and the few suppressions: tools/check/cppcheck.txt).
set -u
. tools/check/common.inc
mkdir -p build-check/cppcheck
list=$(files 'src/*.c' 'cli/*.c')
echo "$list" >build-check/cppcheck.files
# The cache makes a second run cheap.
cppcheck --std=c11 --platform=unix64 --enable=warning,performance,portability --inline-suppr \
    --error-exitcode=1 --quiet -j "$jobs" --cppcheck-build-dir=build-check/cppcheck \
    --suppressions-list=tools/check/cppcheck.txt --template='{file}:{line}: {id}: {message}' \
    -D_POSIX_C_SOURCE=200809L -Iinclude -Isrc -Icli --file-list=build-check/cppcheck.files >&2
status=$?
echo "$(echo "$list" | grep -c .) files"
exit $status
