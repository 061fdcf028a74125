#!/bin/sh
# text.sh: nothing in the tree names a machine's own folders, nothing is left undone in a comment,
# and every relative link of a document leads to a file.
set -u
. tools/check/common.inc
found=$(mktemp)
trap 'rm -f "$found"' EXIT
# The patterns are written so that they do not find themselves.
machine='(^|[^A-Za-z0-9_.}*?-])/(work|root|home)/[A-Za-z0-9._-]'
undone='(^|[^A-Za-z0-9_])(TO''DO|FIX''ME)([^A-Za-z0-9_]|$)'
files '*.c' '*.h' '*.cpp' '*.sh' '*.py' '*.md' '*.txt' '*.cmake' '*.in' '*.1' '*.json' Makefile '.ci/*' |
    grep -v '^licences/' | xargs grep -nIE "$machine" /dev/null |
    cut -c1-160 | sed 's/$/   <- a path of one machine/' >"$found"
files '*.c' '*.h' '*.cpp' '*.sh' '*.cmake' Makefile '.ci/*' | xargs grep -nIE "$undone" /dev/null |
    sed 's/$/   <- left undone/' >>"$found"
files '*.md' | while read -r file; do
    grep -oE '\]\([^)#]+' "$file" | sed 's/^](//' | grep -vE '^[a-z]+:' | while read -r link; do
        [ -e "$(dirname "$file")/$link" ] || echo "$file: link to $link leads nowhere"
    done
done >>"$found"
cat "$found" >&2
echo "$(files '*' | wc -l) files, $(wc -l <"$found") findings"
[ ! -s "$found" ]
