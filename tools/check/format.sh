#!/bin/sh
# format.sh: clang-format changes nothing (`make format` does it).
set -u
. tools/check/common.inc
list=$(files '*.c' '*.h' '*.cpp')
echo "$list" | xargs -n 8 -P "$jobs" clang-format --dry-run --Werror 2>&1 |
    grep -E 'error:' | cut -d: -f1 | sort | uniq -c | sed 's/$/   <- make format/' >&2
bad=$(echo "$list" | xargs -n 8 -P "$jobs" sh -c \
    'for f; do clang-format "$f" | cmp -s - "$f" || echo "$f"; done' sh | wc -l)
echo "$(echo "$list" | grep -c .) files, $bad not as clang-format writes them"
[ "$bad" = 0 ]
