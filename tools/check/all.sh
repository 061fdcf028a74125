#!/bin/sh
# all.sh [NAME...]: runs the checks of this folder (all of them, or those named), one line each, and
# sums up. A check is a file: NAME.sh, no arguments, run in the source's root, one closing line on
# stdout that says what it covered, findings on stderr, exit status 0 or not.
# What belongs to a check is its own file; what they share is in common.inc.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tools/check/common.inc
[ $# -gt 0 ] || set -- layers size text shell format header warnings calls exports cppcheck tidy
[ -n "$(files 'src/*.c')" ] || {
    echo 'make check: no source file is seen here' >&2
    exit 1
}
failed=
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for name in "$@"; do
    start=$(date +%s)
    if sh "tools/check/$name.sh" >"$scratch/out" 2>"$scratch/err"; then
        printf 'ok    %-9s %s (%d s)\n' "$name" "$(tail -n 1 "$scratch/out")" $(($(date +%s) - start))
    else
        head -n 60 "$scratch/err"
        [ "$(wc -l <"$scratch/err")" -le 60 ] || echo "... $(wc -l <"$scratch/err") lines in all"
        printf 'FAIL  %-9s %s\n' "$name" "$(tail -n 1 "$scratch/out")"
        failed="$failed $name"
    fi
done
if [ -n "$failed" ]; then
    echo "make check: failed:$failed (one alone: tools/check/all.sh NAME)"
    exit 1
fi
echo "make check: all $# checks passed"
