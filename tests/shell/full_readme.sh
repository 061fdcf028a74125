#!/bin/sh
# full_readme.sh SOURCE BUILD: follows README.md word for word: every ```sh block, in order, in one shell, in
# a copy of the tracked files that holds nothing else and with an empty home folder. What was fetched
# before (.deps) is brought along, unless MLXE_FETCH=1 asks for it to be fetched anew.
. "$(dirname "$0")/common.inc"
[ -e "$source/zoo/pocket-llm/config.json" ] || skip 'zoo/pocket-llm has no weights'
mkdir "$work/clone" "$work/home"
cd "$source"
git ls-files -z | xargs -0 cp --parents -t "$work/clone"
if [ "${MLXE_FETCH:-0}" != 1 ] && [ -e .deps/complete ]; then
    mkdir "$work/clone/.deps"
    cp -a .deps/complete .deps/mlx .deps/yyjson "$work/clone/.deps/"
fi
cd "$work/clone"
sed -n '/^```sh$/,/^```$/p' README.md | grep -v '^```' >"$work/steps"
# The C program is saved as the README says, before the commands that compile it.
sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d' >first.c
{ echo 'set -ex'; cat "$work/steps"; } >"$work/script"
HOME=$work/home sh "$work/script" </dev/null >"$work/out" 2>&1 || {
    tail -n 60 "$work/out" >&2
    fail 'a command of README.md'
}
grep -q '100% tests passed' "$work/out" || fail 'make test did not end as it should'
tail -n 12 "$work/out"
