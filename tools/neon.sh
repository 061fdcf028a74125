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

# One line a program: CPU, the set of kernels that it must choose, name. The best CPU runs all of
# them; one without products of small matrices those that differ there; one without dot products a
# sample of the plain kernels: any other would end it with an illegal instruction.
for program in "$folder"/test_*; do
    case "$program" in *.*) continue ;; esac
    echo "max i8mm ${program##*/}"
done >"$folder/list"
for program in dispatch int8 fp experts; do
    echo "neoverse-n1 neon test_$program"
done >>"$folder/list"
for program in dispatch rows; do
    echo "cortex-a72 generic test_$program"
done >>"$folder/list"
rm -f "$folder"/*.ok
# shellcheck disable=SC2016 # expanded by the inner shell
xargs -n 3 -P "$jobs" sh -c '
    if MLXE_TEST_ISA=$3 "$0" -cpu "$2" "$1/$4" 2>"$1/$4.$2.log"; then
        echo "ok    $4 on $2 ($3)"
        : >"$1/$4.$2.ok"
    else
        echo "FAIL  $4 on $2 ($3)"
        cat "$1/$4.$2.log"
    fi' "$qemu" "$folder" <"$folder/list"
all=$(wc -l <"$folder/list")
passed=$(find "$folder" -maxdepth 1 -name '*.ok' | wc -l)
echo "neon: $passed of $all programs passed on $($qemu --version | head -n 1)"
[ "$passed" = "$all" ]
