#!/bin/sh
# run.sh [WORK [SECONDS [STEP...]]]: tests and measures MLXEngine on this machine, beside llama.cpp, without
# network or packages. WORK (default: a new folder in TMPDIR) gets some 8 GB of models; SECONDS (default
# 600) is for the comparisons. Steps: tests kernels two all scaling (default: each of them). The CPU comes
# first, and what it lacks is told as not run.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$(mktemp -d)}
seconds=${2:-600}
if [ $# -gt 2 ]; then shift 2; else set -- tests kernels two all scaling; fi
steps=" $* "
threads=$(nproc)
flags=" $(sed -n 's/^flags[^:]*: //p' /proc/cpuinfo | head -n 1) "
has() { case $flags in *" $1 "*) ;; *) return 1 ;; esac; }
step() { case $steps in *" $1 "*) echo "==== $1" ;; *) return 1 ;; esac; }

echo '==== machine'
sed -n 's/^model name[^:]*: */cpu: /p' /proc/cpuinfo | head -n 1
echo "threads: $threads, load: $(cut -d' ' -f1-3 /proc/loadavg), $(sed -n 1p /proc/meminfo)"
echo "flags:$flags"
for set in avx2 avx512f avx512_vnni avx512_bf16 avx_vnni amx_int8 amx_bf16; do
    has "$set" && echo "$set: yes" || echo "$set: no"
done
has amx_int8 || echo 'AMX: not run, this CPU (or its hypervisor) has none; its kernels stay off'
"$here/bin/mlxengine" version
mkdir -p "$work"

if step tests; then
    for test in "$here"/tests/*; do
        if LD_LIBRARY_PATH=$here/lib/mlxengine/deps timeout 200 "$test" >"$work/log" 2>&1; then
            echo "ok    ${test##*/}: $(grep -c '       OK ' "$work/log") cases"
        else
            echo "FAIL  ${test##*/}"
            grep -E 'FAILED|ERROR|error' "$work/log" | head -n 10
        fi
    done
fi

if step kernels; then
    for count in 1 "$threads"; do
        for isa in avx2 avx512 amx; do
            [ $isa != amx ] || has amx_int8 || continue
            LD_LIBRARY_PATH=$here/lib/mlxengine/deps "$here/bench/bench_kernels" "$count" 0.1 "$isa" 'linear 0.35B 4-bit g64' | head -n 12
        done
    done
fi

builds="native=$here/peers/native,avx2=$here/peers/avx2"
if has amx_int8; then
    builds="native=$here/peers/native,amx=$here/peers/amx,avx512=$here/peers/avx512,avx2=$here/peers/avx2"
elif has avx512_bf16; then
    builds="native=$here/peers/native,avx512=$here/peers/avx512,avx2=$here/peers/avx2"
fi
has avx512_vnni || builds="avx2=$here/peers/avx2"

models() {
    "$here/models.sh" "$work" "$here/bench/random_model" "$here/peers/native/llama-quantize" "$@"
}
compare() { # THREADS SHAPES SECONDS MORE...
    count=$1 shapes=$2 limit=$3
    shift 3
    python3 "$here/compare.py" --models "$work" --ours "$here/bin/mlxengine" --llama "$builds" \
        --threads "$count" --shapes "$shapes" --seconds "$limit" "$@"
}
case $steps in *' two '* | *' all '* | *' scaling '*)
    models 0.35b pocket@4 1.2b 1.2b-128k@load
    echo "models: $(du -sh "$work" | cut -f1)"
    ;;
esac
step two && compare 2 0.35b,1.2b,pocket $((seconds * 6 / 10)) --rounds 2 --out "$work/two.json"
step all && compare "$threads" 0.35b,1.2b $((seconds * 4 / 10)) --rounds 2 --out "$work/all.json"
if step scaling; then
    counts=1
    for count in 2 4 8 16 32 64; do [ $count -gt "$threads" ] || counts=$counts,$count; done
    for model in 0.35b-4 1.2b-4; do
        "$here/bin/mlxengine" bench "$work/$model" --threads $counts --repeat 2 |
            grep -E 'threads|prefill|decode|machine'
    done
fi
exit 0
