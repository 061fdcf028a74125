#!/bin/sh
# callgrind.sh TREE MODEL [ISA [ROWS]]: instructions of one decode step, of one row or a batch of ROWS of different
# lengths, and the functions that they are spent in, with one thread and the kernels of ISA (avx2): what two runs
# that differ in four steps differ in. No clock is read, so other work on the machine does not matter; the loops
# that measure the machine, which run for a time, are left out.
set -eu
tree=$1 model=$2 isa=${3:-avx2} rows=${4:-}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for steps in 2 6; do
    MLXE_ISA=$isa valgrind --tool=callgrind --callgrind-out-file="$scratch/$steps" "$tree/bin/mlxengine" bench \
        "$model" --prompt 0 --gen $steps --depth 1 --threads 1 --repeat 1 ${rows:+--rows "$rows"} >"$scratch/log" 2>&1 || {
        cat "$scratch/log" >&2
        exit 1
    }
    callgrind_annotate --auto=no --threshold=100 "$scratch/$steps" |
        sed -n 's/^ *\([0-9,]*\) ([^)]*) *\(.*\)$/\1 \2/p' >"$scratch/$steps.txt"
done
awk '/PROGRAM TOTALS|loop_(f32|int8)/ { next }
     { n = $1; gsub(/,/, "", n); $1 = ""; sub(/^ [^ ]*:/, ""); sub(/ \[.*\//, " [")
       if (FILENAME ~ /2\.txt$/) before[$0] += n; else after[$0] += n }
     END { for (f in after) { step = (after[f] - before[f]) / 4; all += step; printf "%.0f\t%s\n", step, f }
           printf "%.0f\tall\n", all }' \
    "$scratch/2.txt" "$scratch/6.txt" | sort -rn | head -n 16
