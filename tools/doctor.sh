#!/bin/sh
# doctor.sh TREE: what this machine has and lacks for building and running, with a remedy for each
# lack. Exit status 1 when something that is needed is missing. Changes nothing.
set -u
cd "$(dirname "$0")/.." || exit 1
tree=$1
lacks=0
ok() { printf 'ok    %s\n' "$*"; }
note() { printf 'note  %s\n' "$*"; }
lack() {
    printf 'LACK  %s\n' "$*"
    lacks=$((lacks + 1))
}

# shellcheck disable=SC1091
[ ! -r /etc/os-release ] || ok "system: $(. /etc/os-release && echo "$PRETTY_NAME"), $(uname -srm)"
[ "$(uname -sm)" = "Linux x86_64" ] || lack "only Linux x86_64 is set up by itself; elsewhere give -DMLX_ROOT= (see README.md)"
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2)
if [ -z "$glibc" ]; then
    lack "no GNU C library: MLX's wheel needs glibc 2.35 or later (musl is not supported)"
elif [ "$(printf '%s\n2.35\n' "$glibc" | sort -V | head -n 1)" = 2.35 ]; then
    ok "glibc $glibc"
else
    lack "glibc $glibc: MLX's wheel needs 2.35 or later"
fi
flags=$(sed -n 's/^flags[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
set=baseline
for flag in avx2 fma f16c avx512f avx512bw avx512vl avx512_vnni avx512_bf16 amx_int8; do
    case " $flags " in *" $flag "*) set="$set $flag" ;; esac
done
ok "cpu: $(nproc) cores, $set"
case "$set" in *avx2*) ;; *) note "without AVX2 the portable kernels run, which are slow" ;; esac
ok "memory: $(awk '/^MemTotal/ { t = $2 } /^MemAvailable/ { a = $2 } END { printf "%.1f GiB, %.1f GiB available", t / 1048576, a / 1048576 }' /proc/meminfo)"
ok "disk: $(df -h . | awk 'NR == 2 { print $4 }') free here (a build takes about 300 MB)"

if command -v dpkg-query >/dev/null; then
    for group in build check; do
        absent=
        for name in $(sed 's/#.*//' tools/packages.debian.txt | awk -v g=$group '$2 == g { print $1 }'); do
            dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || absent="$absent $name"
        done
        if [ -z "$absent" ]; then
            ok "Debian packages for $group"
        elif [ $group = build ]; then
            lack "Debian packages:$absent (make setup installs them)"
        else
            note "for make check, fuzz: Debian packages missing:$absent (tools/setup.sh check installs them)"
        fi
    done
fi
if [ -e .deps/mlx/mlx/lib/libmlx.so ]; then ok "MLX in .deps/mlx"; else lack "MLX is not in .deps/mlx (make setup fetches it)"; fi
if [ -e .deps/yyjson/yyjson.c ]; then ok "yyjson in .deps/yyjson"; else lack "yyjson is not in .deps/yyjson (make setup fetches it)"; fi
if [ -e zoo/pocket-llm/config.json ]; then
    ok "pocket model in zoo/pocket-llm ($(du -sh zoo/pocket-llm | cut -f1))"
else
    lack "no pocket model in zoo/pocket-llm: the checkout is incomplete (git checkout -- zoo)"
fi
if [ -x "$tree/bin/mlxengine" ]; then
    if said=$("$tree/bin/mlxengine" version 2>&1); then
        ok "built: $(echo "$said" | head -n 1)"
    else
        lack "$tree/bin/mlxengine does not start: $said"
    fi
else
    note "not built yet (make build)"
fi
if command -v nvidia-smi >/dev/null; then note "an NVIDIA GPU is here; the GPU plugins are not built yet"; fi
if [ $lacks = 0 ]; then
    echo "doctor: nothing is missing"
else
    echo "doctor: $lacks missing"
    exit 1
fi
