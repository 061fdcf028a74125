#!/bin/sh
# test_dist.sh SOURCE BUILD: the tarball of `make dist` runs in a root folder that holds nothing but the C
# library and libstdc++: no compiler, no package, no /usr.
. "$(dirname "$0")/common.inc"
[ -e "$source/zoo/pocket-llm/config.json" ] || skip 'zoo/pocket-llm has no weights'
# A chroot with /proc, which the loader needs for $ORIGIN.
if [ "$(id -u)" = 0 ]; then space='unshare -m'; else space='unshare -rm'; fi
$space true 2>/dev/null || skip 'root or user namespaces, for a chroot'
cd "$source"
OUT=$work/dist sh tools/dist.sh "$build" >/dev/null
root=$work/root
mkdir -p "$root/opt"
tar -C "$root/opt" --strip-components=1 -xzf "$work"/dist/mlxengine-*.tar.gz
# The base: what ldd names of these, under the names it gives.
ldd "$root/opt/bin/mlxengine" "$root"/opt/lib/mlxengine/*.so |
    grep -oE '/[^ ]*/(ld-linux[^ ]*|lib(c|m|dl|pthread|rt|stdc\+\+|gcc_s)\.so\.[0-9]+)( |$)' | sort -u |
    while read -r file; do
        mkdir -p "$root$(dirname "$file")"
        cp -L "$file" "$root$file"
    done
mkdir -p "$root/proc"
enter='mount --rbind /proc "$1/proc" && exec chroot "$@"'
$space sh -c "$enter" sh "$root" /opt/bin/mlxengine version >"$work/version" || fail 'mlxengine version in an empty root'
# shellcheck disable=SC2086 # words of a command
ask $space sh -c "$enter" sh "$root" /opt/bin/mlxengine run pocket-llm Hello --temperature 0 --max-tokens 8
echo "$answer"
