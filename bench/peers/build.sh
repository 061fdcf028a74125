#!/bin/sh
# build.sh [JOBS [wide]]: what we are compared with, into .deps/peers (done steps are skipped; the only part
# of bench/ that needs the network):
#
#   src/       llama.cpp, out of the source distribution that requirements.txt pins
#   native/    llama-bench and llama-quantize, built for this machine's instruction set
#   avx2/      the same libraries limited to AVX2, FMA and F16C; bench programs run on it by
#              LD_LIBRARY_PATH, since only libggml-cpu is compiled with such options
#   avx512/    wide: the same for Sapphire Rapids without AMX, amx/ with it, for other machines than
#   amx/       this one
#   venv/      mlx-lm from its wheel, and what it needs
#
# Building takes some five minutes on two cores.
set -eu
cd "$(dirname "$0")/../.."
here=$PWD/bench/peers
jobs=${1:-2}
mkdir -p .deps/peers
cd .deps/peers
say() { printf 'peers: %s\n' "$*" >&2; }
logged() { # a command whose output is shown when it fails
    "$@" >>build.log 2>&1 || {
        tail -n 40 build.log >&2
        exit 1
    }
}

if [ ! -e src/vendor/llama.cpp/CMakeLists.txt ]; then
    say 'fetching llama.cpp'
    [ -x venv/bin/python ] || logged python3 -m venv venv
    logged venv/bin/pip --disable-pip-version-check install scikit-build-core
    logged venv/bin/pip --disable-pip-version-check download --no-binary :all: --no-deps \
        --no-build-isolation --require-hashes -d dl -r "$here/requirements.txt"
    mkdir -p src
    tar -xzf dl/llama_cpp_python-*.tar.gz -C src --strip-components=1 --exclude='*/.git'
fi

# DIR "TARGETS" OPTIONS...
build() {
    [ ! -e "$1/complete" ] || return 0
    say "building llama.cpp: $1"
    dir=$1 targets=$2
    shift 2
    logged cmake -S src/vendor/llama.cpp -B "$dir" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON \
        -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF \
        -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_USE_PREBUILT_UI=OFF "$@"
    # shellcheck disable=SC2086 # a list of targets
    logged nice -n 10 cmake --build "$dir" -j "$jobs" --target $targets
    touch "$dir/complete"
}
build native 'llama llama-bench llama-quantize' -DGGML_NATIVE=ON
libraries='-DGGML_NATIVE=OFF -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TOOLS=OFF'
avx512='-DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_BMI2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_AVX_VNNI=ON
    -DGGML_AVX512=ON -DGGML_AVX512_VBMI=ON -DGGML_AVX512_VNNI=ON -DGGML_AVX512_BF16=ON'
# shellcheck disable=SC2086 # lists of options
build avx2 ggml $libraries
if [ "${2:-}" = wide ]; then
    # shellcheck disable=SC2086
    build avx512 ggml $libraries $avx512
    # shellcheck disable=SC2086
    build amx ggml $libraries $avx512 -DGGML_AMX_TILE=ON -DGGML_AMX_INT8=ON -DGGML_AMX_BF16=ON
fi

if [ ! -e venv/complete ]; then
    say 'fetching mlx-lm'
    [ -x venv/bin/python ] || logged python3 -m venv venv
    logged venv/bin/pip --disable-pip-version-check install -r "$here/requirements-mlx-lm.txt"
    touch venv/complete
fi
