#!/bin/sh
# exports.sh: libmlxengine.so exports exactly what mlxengine.h declares, all of it mlxe_*; the plugin
# exports mlxe_plugin_entry and nothing else, and defines no cblas_* that others could see.
set -u
. tools/check/common.inc
# shellcheck disable=SC2086 # options are split at blanks
tools/build.sh build "$jobs" command ${CMAKE_ARGS:-} >&2 || {
    echo "the library does not build"
    exit 1
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
exported() { nm -D --defined-only "$1" | awk '{ print $3 }' | sed 's/@.*//' | sort -u; }
# Declarations reach to the next ';': the name is the one before the first '('.
grep -v '^#' include/mlxengine.h | tr '\n' ' ' | tr ';' '\n' | sed -n 's/.*MLXE_API \([^(]*\)(.*/\1/p' |
    sed 's/.*[ *]//' | sort -u >"$scratch/declared"
exported build/lib/libmlxengine.so >"$scratch/exported"
comm -13 "$scratch/declared" "$scratch/exported" | sed 's/^/exported, not in mlxengine.h: /' >"$scratch/found"
comm -23 "$scratch/declared" "$scratch/exported" | sed 's/^/in mlxengine.h, not exported: /' >>"$scratch/found"
grep -v '^mlxe_' "$scratch/exported" | sed 's/^/exported, not mlxe_: /' >>"$scratch/found"
for plugin in build/lib/libmlxengine-mlx-*.so; do
    [ -e "$plugin" ] || continue
    exported "$plugin" | grep -vx mlxe_plugin_entry | sed "s,^,${plugin##*/} exports ," >>"$scratch/found"
    exported "$plugin" | grep -qx mlxe_plugin_entry || echo "${plugin##*/} lacks mlxe_plugin_entry" >>"$scratch/found"
done
cat "$scratch/found" >&2
echo "$(wc -l <"$scratch/exported") symbols exported, $(wc -l <"$scratch/found") findings"
[ ! -s "$scratch/found" ]
