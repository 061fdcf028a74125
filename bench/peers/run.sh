#!/bin/sh
# run.sh TREE [OPTIONS of compare.py]: builds the peers, makes the models (4 GB in .deps/peers/models) and
# compares, with the programs of the build tree TREE. Figures of a busy machine are not worth keeping.
set -eu
cd "$(dirname "$0")/../.."
tree=$1
shift
peers=$PWD/.deps/peers
bench/peers/build.sh 2
bench/peers/models.sh "$peers/models" "$tree/bench/random_model" "$peers/native/bin/llama-quantize" \
    0.35b 1.2b pocket@4 1.2b-128k@load
cc -O2 -shared -fPIC bench/peers/cpuclock.c -o "$peers/cpuclock.so"
sed -n 's/^model name[^:]*: */cpu: /p' /proc/cpuinfo | head -n 1
echo "load: $(cut -d' ' -f1-3 /proc/loadavg)"
exec python3 bench/peers/compare.py --models "$peers/models" --ours "$tree/bin/mlxengine" \
    --llama "native=$peers/native/bin,avx2=$peers/avx2/bin" --mlx-lm "$peers/venv/bin/python" "$@"
