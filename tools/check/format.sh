#!/bin/sh
# format.sh: clang-format changes nothing (`make format` does it).
set -u
. tools/check/common.inc
list=$(files '*.c' '*.h' '*.cpp')
found=$(echo "$list" | xargs -n 8 -P "$jobs" sh -c \
    'for f; do clang-format "$f" | cmp -s - "$f" || echo "$f"; done' sh)
[ -z "$found" ] || echo "$found" | sed 's/$/   <- make format/' >&2
bad=$(printf '%s' "$found" | grep -c .)
echo "$(echo "$list" | grep -c .) files, $bad not as clang-format writes them"
[ "$bad" = 0 ]
