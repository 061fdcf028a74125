#!/bin/sh
# size.sh: no source file over 1,200 lines, no line over 100 columns (functions over 120 lines are
# clang-tidy's), no tracked file over 8 MiB, every C file opens with a comment that says what it owns.
set -u
. tools/check/common.inc
found=$(mktemp)
trap 'rm -f "$found"' EXIT
list=$(files '*.c' '*.h' '*.cpp')
for file in $list; do
    awk -v file="$file" '
        NR == 1 && !/^\/\*|^\/\// { print file ": does not open with a comment that says what it owns" }
        { line = $0; gsub(/[\200-\277]/, "", line) }
        length(line) > 100 { print file ":" NR ": " length(line) " columns, at most 100" }
        END { if (NR > 1200) print file ": " NR " lines, at most 1200" }' "$file"
done >"$found"
files '*' | while read -r file; do
    bytes=$(stat -c %s "$file")
    [ "$bytes" -le 8388608 ] || echo "$file: $bytes bytes, at most 8388608"
done >>"$found"
cat "$found" >&2
echo "$(echo "$list" | grep -c .) sources, $(wc -l <"$found") too long"
[ ! -s "$found" ]
