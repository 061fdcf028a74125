#!/bin/sh
# fuzz.sh JOBS SECONDS: builds the fuzz targets with clang, libFuzzer, ASan and UBSan, and runs each
# for SECONDS, starting from its committed seeds. tests/fuzz/fuzz_NAME.c is a target,
# tests/fuzz/seeds/NAME/ its seeds, tests/fuzz/seeds/NAME.dict its dictionary. What it finds lands in build-fuzz/findings/.
set -eu
cd "$(dirname "$0")/.."
jobs=$1 seconds=$2
tools/build.sh build-fuzz "$jobs" fuzzers -DMLXE_FUZZ=ON -DMLXE_SANITIZE=address,undefined \
    -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++
findings=build-fuzz/findings
mkdir -p $findings
failed=
for target in build-fuzz/fuzz/fuzz_*; do
    [ -x "$target" ] || continue
    name=${target##*/fuzz_}
    corpus=build-fuzz/corpus/$name
    mkdir -p "$corpus"
    set -- "-max_total_time=$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix="$findings/$name-"
    [ ! -e "tests/fuzz/seeds/$name.dict" ] || set -- "$@" "-dict=tests/fuzz/seeds/$name.dict"
    set -- "$@" "$corpus"
    [ ! -d "tests/fuzz/seeds/$name" ] || set -- "$@" "tests/fuzz/seeds/$name"
    if UBSAN_OPTIONS=print_stacktrace=1 "$target" "$@" >"build-fuzz/$name.log" 2>&1; then
        echo "ok    $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "build-fuzz/$name.log") inputs in $seconds s, coverage $(grep -o 'cov: [0-9]*' "build-fuzz/$name.log" | tail -n 1 | cut -c6-)"
    else
        tail -n 40 "build-fuzz/$name.log" >&2
        echo "FAIL  $name (build-fuzz/$name.log, $findings/$name-*)"
        failed="$failed $name"
    fi
done
[ -z "$failed" ] || { echo "fuzz: failed:$failed"; exit 1; }
