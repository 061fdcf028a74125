#!/bin/sh
# dist.sh TREE: dist/mlxengine-VERSION-SYSTEM.tar.gz from a built TREE: the installed tree, stripped, and
# in lib/mlxengine/deps the shared libraries that a minimal system lacks. It runs wherever the C library
# is as new as this machine's and libstdc++ is there.
set -eu
cd "$(dirname "$0")/.."
tree=$1
version=$(sed -n 's/^project(mlxengine VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
name=mlxengine-$version-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
out=${OUT:-dist}
root=$out/$name
rm -rf "$root"
mkdir -p "$root"
cmake --install "$tree" --strip --prefix "$root" >"$out/install.log" 2>&1 || {
    cat "$out/install.log" >&2
    exit 1
}
deps=$root/lib/mlxengine/deps
notices=$root/share/doc/mlxengine/licences/debian
mkdir -p "$deps" "$notices"
# Everything that the programs need, but for what every system has and what the tree holds itself.
ldd "$root/bin/mlxengine" "$root"/lib/libmlxengine.so.?.* "$root"/lib/mlxengine/*.so |
    awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | sort -u | while read -r soname path; do
    case "$soname" in
    libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | ld-linux* | libstdc++.so.* | libgcc_s.so.*) ;;
    libmlx*.so* | libblas* | liblapack* | libgfortran* | libquadmath*) ;;
    *)
        cp -L "$path" "$deps/$soname"
        # Its licence, as its Debian package states it (dpkg knows a library by one of two names).
        package=$(dpkg-query -S "$path" "/usr$path" "${path#/usr}" 2>/dev/null | sed 's/:.*//;q')
        [ -z "$package" ] || cp -L "/usr/share/doc/$package/copyright" "$notices/$package.txt"
        ;;
    esac
done
tar -C "$out" --sort=name --owner=0 --group=0 --numeric-owner -czf "$out/$name.tar.gz" "$name"
rm -rf "$root" "$out/install.log"
echo "$out/$name.tar.gz ($(du -h "$out/$name.tar.gz" | cut -f1))"
