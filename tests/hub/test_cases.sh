#!/bin/sh
# test_cases.sh SOURCE BUILD: every conformance case of the protocol has its place in CASES, and the text
# that CASES names is in the file.
cd "$1/tests/hub" || exit 1
failed=0 number=0
while read -r case file text; do
    case $case in '#' | '') continue ;; esac
    number=$((number + 1))
    [ "$case" = $number ] || { echo "CASES: $case follows $((number - 1))"; failed=1; number=$case; }
    grep -qF -- "$text" "$file" || { echo "CASES: $case: $file lacks: $text"; failed=1; }
done <CASES
[ $number = 129 ] || { echo "CASES: ends at $number, want 129"; failed=1; }
exit $failed
