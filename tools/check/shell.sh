#!/bin/sh
# shell.sh: shellcheck on every shell program.
set -u
. tools/check/common.inc
list=$(files '*.sh' '.ci/run' 'tools/completions/*.bash')
# SC1091: sourced files are checked on their own. SC2016: single quotes are meant. SC2154, SC2164: common.inc sets them and -e.
# shellcheck disable=SC2086 # the list is split at blanks
shellcheck -e SC1091,SC2016,SC2154,SC2164 -S warning $list >&2
status=$?
echo "$(echo "$list" | grep -c .) shell programs"
exit $status
