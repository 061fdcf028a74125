#!/bin/sh
# build.sh TREE JOBS TARGET [CMAKE OPTIONS]: configures TREE when it is new or the options changed,
# and builds TARGET ("command": the library, its plugin and the command). Quiet: what the compiler
# says is shown when it fails or warns.
set -eu
cd "$(dirname "$0")/.."
tree=$1 jobs=$2 target=$3
shift 3
mkdir -p "$tree"
# Two calls at once would build into one another.
if command -v flock >/dev/null && [ -z "${MLXE_BUILD_LOCKED:-}" ]; then
    MLXE_BUILD_LOCKED=1 exec flock "$tree/lock" "$0" "$tree" "$jobs" "$target" "$@"
fi
options="$*"
if [ ! -e "$tree/CMakeCache.txt" ] || [ "$(cat "$tree/options" 2>/dev/null)" != "$options" ]; then
    generator=
    [ -e "$tree/CMakeCache.txt" ] || generator=-GNinja
    echo "configuring $tree" >&2
    # shellcheck disable=SC2086 # no generator is no argument
    cmake -S . -B "$tree" $generator "$@" >"$tree/configure.log" 2>&1 || {
        cat "$tree/configure.log" >&2
        rm -f "$tree/CMakeCache.txt"
        exit 1
    }
    printf '%s' "$options" >"$tree/options"
fi
[ -e "$tree/built-$target" ] || echo "building $tree (a first build takes a minute or two)" >&2
NINJA_STATUS='[%f/%t] ' cmake --build "$tree" -j "$jobs" --target "$target" >"$tree/build.log" 2>&1 || {
    cat "$tree/build.log" >&2
    exit 1
}
grep -A5 'warning:' "$tree/build.log" >&2 || true
touch "$tree/built-$target"
