#!/bin/sh
# models.sh DIR MAKER QUANTIZE SHAPE...: random models of each shape in DIR, for each engine: what is
# there already is kept.
#   DIR/SHAPE-4 -8 -bf16                     for MLXEngine and mlx-lm
#   DIR/m-SHAPE-Q4_0 -Q4_K_M -Q8_0 -BF16.gguf    for llama.cpp
# MAKER is bench/models/random_model, QUANTIZE llama-quantize. SHAPE@4 makes the 4-bit ones only, and
# SHAPE@load only what is loaded by us.
set -eu
dir=$1 maker=$2 quantize=$3
shift 3
mkdir -p "$dir"

ours() { # SHAPE BITS NAME
    [ ! -e "$dir/$1-$3/complete" ] || return 0
    "$maker" "$1" mlx "$2" "$dir/$1-$3"
    touch "$dir/$1-$3/complete"
}
theirs() { # SHAPE TYPE
    [ ! -e "$dir/m-$1-$2.gguf" ] || return 0
    if [ "$2" = BF16 ]; then
        "$maker" "$1" gguf BF16 "$dir/new.gguf"
    else # a name that begins with a digit would be taken for a type, hence the m-
        [ -e "$dir/m-$1-F16.gguf" ] || "$maker" "$1" gguf F16 "$dir/m-$1-F16.gguf"
        LD_LIBRARY_PATH="$(dirname "$quantize")" "$quantize" "$dir/m-$1-F16.gguf" "$dir/new.gguf" "$2" "$(nproc)" >"$dir/quantize.log" 2>&1 || {
            cat "$dir/quantize.log" >&2
            exit 1
        }
    fi
    mv "$dir/new.gguf" "$dir/m-$1-$2.gguf"
}

for item; do
    shape=${item%@*}
    ours "$shape" 4 4
    [ "$item" != "$shape@load" ] || continue
    theirs "$shape" Q4_0
    theirs "$shape" Q4_K_M
    if [ "$item" = "$shape" ]; then
        ours "$shape" 8 8
        ours "$shape" 0 bf16
        theirs "$shape" Q8_0
        theirs "$shape" BF16
    fi
    rm -f "$dir/m-$shape-F16.gguf"
done
