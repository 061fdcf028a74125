#!/bin/sh
# make.sh TREE: TREE/mlxengine-bench.tar.xz (64 MiB at most) out of the built TREE and .deps/peers: the
# installed command with its libraries, the kernels' tests, the bench programs, llama.cpp in each of its
# builds, and run.sh, which needs a C library as new as this machine's and python3 alone.
set -eu
cd "$(dirname "$0")/../.."
tree=$1
name=mlxengine-bench
root=$tree/$name
most=$((64 << 20))
rm -rf "$root"
mkdir -p "$root/tests" "$root/bench" "$root/peers"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
OUT=$scratch tools/dist.sh "$tree" >/dev/null
tar -xzf "$scratch"/mlxengine-*.tar.gz -C "$root" --strip-components=1
rm -rf "$root/include" "$root/share/man" "$root/lib/cmake" "$root/lib/pkgconfig"
# Of the tests, those that need nothing of the source tree.
for test in "$tree"/tests/*.kernels.*; do
    case $test in *.golden) ;; *) [ ! -x "$test" ] || cp "$test" "$root/tests/" ;; esac
done
cp "$tree"/bench/bench_* "$tree/bench/random_model" "$root/bench/"
for build in native avx2 avx512 amx; do
    [ -e ".deps/peers/$build/complete" ] || continue
    mkdir "$root/peers/$build"
    for file in .deps/peers/"$build"/bin/*; do
        if [ -h "$file" ]; then continue; fi
        base=${file##*/}
        case $base in *.so.*.*.*) base=$(objdump -p "$file" | sed -n 's/^ *SONAME *//p') ;; esac
        cp "$file" "$root/peers/$build/$base"
    done
done
cp "$(ldconfig -p | sed -n 's/.*libgomp\.so\.1 .*=> //p' | head -n 1)" "$root/peers/native/"
# What the tests need beside the C library (cmocka, pcre2, ...) lies with what the command needs.
ldd "$root"/tests/* "$root"/bench/* | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | sort -u |
    while read -r soname path; do
        case $soname in
        libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | libstdc++.so.* | libgcc_s.so.*) ;;
        *) cp -L "$path" "$root/lib/mlxengine/deps/$soname" ;;
        esac
    done
find "$root/tests" "$root/bench" "$root/peers" -type f -exec strip --strip-unneeded {} +
cp bench/bundle/run.sh bench/peers/compare.py bench/peers/models.sh "$root/"
tar -C "$tree" --sort=name --owner=0 --group=0 --numeric-owner -cf - "$name" | xz -T0 -3 >"$root.tar.xz"
bytes=$(wc -c <"$root.tar.xz")
rm -rf "$root"
[ "$bytes" -le $most ] || {
    echo "bench-bundle: $bytes bytes, want at most $most" >&2
    exit 1
}
echo "$root.tar.xz ($((bytes >> 20)) MiB)"
