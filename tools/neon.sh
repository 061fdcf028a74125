#!/bin/sh
# neon.sh [FOLDER]: the kernels for 64-bit Arm, compiled by a cross compiler and run by an emulator
# (qemu-user) on this machine, against the same vectors as the native tests. FOLDER (build-neon) is
# where the programs go. Says what is correct, nothing about speed.
#
# The programs are static, so that no Arm system is needed, and use the stand-in for cmocka in
# tests/kernels/cross/. Exit status 77: what it needs is not there.
set -eu
cd "$(dirname "$0")/.."
folder=${1:-build-neon}
cc=aarch64-linux-gnu-gcc
qemu=
for name in qemu-aarch64 qemu-aarch64-static; do
    ! command -v $name >/dev/null || qemu=$name
done
if [ -z "$qemu" ] || ! command -v $cc >/dev/null; then
    echo "needs $cc and qemu-user: tools/setup.sh neon" >&2
    exit 77
fi
mkdir -p "$folder"
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}
make -f tests/kernels/cross/Makefile CC=$cc OUT="$folder" -j "$jobs" >"$folder/build.log" 2>&1 || {
    cat "$folder/build.log" >&2
    exit 1
}

# One line a program: CPU and name. The last one is a core without dot products: the NEON kernels
# would end it with an illegal instruction.
for program in "$folder"/test_*; do
    case "$program" in *.*) continue ;; esac
    echo "max ${program##*/}"
done >"$folder/list"
echo "cortex-a72 test_rows" >>"$folder/list"
rm -f "$folder"/*.ok
# shellcheck disable=SC2016 # expanded by the inner shell
xargs -n 2 -P "$jobs" sh -c '
    if "$0" -cpu "$2" "$1/$3" 2>"$1/$3.$2.log"; then
        echo "ok    $3 on $2"
        : >"$1/$3.$2.ok"
    else
        echo "FAIL  $3 on $2"
        cat "$1/$3.$2.log"
    fi' "$qemu" "$folder" <"$folder/list"
all=$(wc -l <"$folder/list")
passed=$(find "$folder" -maxdepth 1 -name '*.ok' | wc -l)
echo "neon: $passed of $all programs passed on $($qemu --version | head -n 1)"
[ "$passed" = "$all" ]
