#!/bin/sh
# valgrind.sh TREE LABEL: the C tests of one label (fast, full, soak) under Valgrind's memcheck. Valgrind
# knows no AVX-512, so the kernels are held to AVX2. It takes 30 times as long: pocket-llm answers one
# item of a category, of random rounds one of four is made, and no test asks how long something took.
set -eu
cd "$(dirname "$0")/.."
tree=$1 label=$2
command -v valgrind >/dev/null || { echo "valgrind is missing: apt-get install valgrind" >&2; exit 1; }
case "$label" in fast) kind="test" ;; *) kind=$label ;; esac
export MLXE_ISA=avx2 MLXE_THREADS=1 MLXE_TEST_ITEMS=1 MLXE_TEST_SHARE=4 MLXE_TEST_UNTIMED=1
[ ! -d "$tree/locale" ] || { LOCPATH=$(cd "$tree/locale" && pwd); export LOCPATH; } # as CTest sets it
failed=
count=0
for program in "$tree/tests/$kind".*; do
    [ -x "$program" ] || continue
    count=$((count + 1))
    start=$(date +%s)
    # A child of a fork test is not followed: its parent's blocks are no leak of it.
    if valgrind --quiet --error-exitcode=99 \
        --leak-check=full --errors-for-leak-kinds=definite --child-silent-after-fork=yes --fair-sched=yes \
        --suppressions=tests/sanitizers/valgrind.supp "$program" >"$program.valgrind" 2>&1; then
        echo "ok    ${program##*/} ($(($(date +%s) - start)) s)"
    else
        grep -E '^==|FAILED' "$program.valgrind" | head -n 40 >&2
        echo "FAIL  ${program##*/} ($program.valgrind)"
        failed="$failed ${program##*/}"
    fi
done
echo "valgrind: $count programs, failed:${failed:- none}"
[ -z "$failed" ]
