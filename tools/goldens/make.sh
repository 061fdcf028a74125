#!/bin/sh
# make.sh [--only SUBSTRING]: rebuilds the goldens under tests/ with the reference packages.
#
# Runs every golden_*.py of this folder as `golden_X.py OUT [--only SUBSTRING]`; without --only also
# the makers in the folders below, whose vectors lie beside the tests that read them. The packages
# go into a virtual environment of their own, made once: .deps/goldens, or $GOLDENS_VENV (an
# existing one is used as it is). $GOLDENS_OUT writes elsewhere than tests/.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${GOLDENS_VENV:-$root/.deps/goldens}
out=${GOLDENS_OUT:-$root/tests}
case "$out" in /*) ;; *) out=$PWD/$out ;; esac
LC_ALL=C # the makers run in this order of their names
PYTHONDONTWRITEBYTECODE=1
PYTHONHASHSEED=0
HF_HUB_OFFLINE=1
export LC_ALL PYTHONDONTWRITEBYTECODE PYTHONHASHSEED HF_HUB_OFFLINE

setup() {
    for tool in python3 cc nm readelf; do
        command -v "$tool" >/dev/null || { echo "goldens: $tool is missing" >&2; exit 1; }
    done
    echo "goldens: installing the reference packages into $venv"
    python3 -m venv "$venv"
    set -- "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir
    "$@" -r "$here/requirements.txt"
    "$@" --no-deps -r "$here/requirements-torch.txt"
    if [ "$(uname -m)" = x86_64 ]; then
        "$venv/bin/python" "$here/torch_without_gpu.py" \
            "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    fi
    "$venv/bin/python" -c 'import torch, transformers, mlx.core'
    : > "$venv/READY"
}

[ -e "$venv/READY" ] || setup
mkdir -p "$out/golden"
cd "$here"
for maker in golden_*.py; do
    "$venv/bin/python" "$maker" "$out/golden" "$@"
done
[ $# = 0 ] || exit 0
mkdir -p "$out/base" "$out/files" "$out/kernels/golden" "$out/text"
"$venv/bin/python" json/make.py "$out/base"
"$venv/bin/python" safetensors/make.py "$out/files"
"$venv/bin/python" kernels/affine_vectors.py >"$out/kernels/golden/affine.txt"
for asked in jinja.case tmpl_templates.case; do # its questions: read there, answered in place
    [ -e "$out/text/$asked" ] || cp "$root/tests/text/$asked" "$out/text/"
done
"$venv/bin/python" templates/make_vectors.py "$out/text"
"$venv/bin/python" tokenizers/make_vectors.py "$out/text/data/tok"
"$venv/bin/python" tokenizers/files.py --seed 20 --strings 100 --write "$out/text/data/tok_files"
