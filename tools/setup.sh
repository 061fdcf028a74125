#!/bin/sh
# setup.sh [build|check|neon|goldens]: gets what the source needs and is not there yet.
#
#   build (default)  Debian packages, MLX and yyjson, as make run and make test need them
#   check            that, and the tools of make check and make fuzz
#   neon             that, a cross compiler and an emulator for 64-bit Arm
#   goldens          that, and what golden making needs of Debian (its Python packages: tools/goldens/make.sh)
#
# Debian packages come from tools/packages.debian.txt by apt-get (sudo when not root). MLX's wheel
# and yyjson's source come by pip, pinned with hashes in tools/requirements/, into .deps/. Python is
# used here and for golden making, never at run time. When everything is there this says nothing,
# needs no network and takes some 50 ms; a run that was cut short is simply run again.
set -eu
cd "$(dirname "$0")/.."
group=${1:-build}
deps=.deps
say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

packages() { # the packages of the group, one a line
    sed 's/#.*//' tools/packages.debian.txt |
        while read -r name kind; do
            if [ "$kind" = build ] || [ "$kind" = "$group" ]; then echo "$name"; fi
        done
}
missing() { # of the arguments, those that dpkg does not have
    dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
        sed -n 's/ installed$//p' | sort -u >"$scratch/have"
    for name in "$@"; do
        grep -qx -- "$name" "$scratch/have" || printf '%s ' "$name"
    done
}
apt_install() {
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "need root or sudo for: apt-get install $*"
        sudo=sudo
    fi
    say "installing Debian packages: $*"
    $sudo apt-get -qq update >"$scratch/log" 2>&1 || {
        cat "$scratch/log" >&2
        say "apt-get update failed; going on with the lists that are there"
    }
    # dpkg's chatter is kept back unless it fails.
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" \
        </dev/null >"$scratch/log" 2>&1 || {
        cat "$scratch/log" >&2
        die "apt-get install failed for: $*"
    }
}
fetch() { # pip, pinned and hash-checked, without other Python packages getting in the way
    python3 -m pip --disable-pip-version-check --no-input "$@" >"$scratch/log" 2>&1 </dev/null || {
        cat "$scratch/log" >&2
        die "pip failed: $*"
    }
}

case "$group" in build | check | neon | goldens) ;; *) die "usage: tools/setup.sh [build|check|neon|goldens]" ;; esac
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# ---- Debian packages ----------------------------------------------------------------------------
# shellcheck disable=SC2046 # names without blanks, one argument each
set -- $(packages)
if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    absent=$(missing "$@")
    # shellcheck disable=SC2086
    [ -z "$absent" ] || apt_install $absent
else
    absent=
    for tool in cmake cc c++ make pkg-config; do
        command -v $tool >/dev/null || absent="$absent $tool"
    done
    for module in libpcre2-8 libutf8proc libcurl libcrypto libmicrohttpd cmocka libedit; do
        pkg-config --exists $module 2>/dev/null || absent="$absent $module"
    done
    if [ -n "$absent" ]; then
        say "this is not a Debian system; missing:$absent"
        say "install what these Debian packages hold, then run this again:"
        printf '  %s\n' "$@" >&2
        exit 1
    fi
fi

# ---- MLX and yyjson into .deps ------------------------------------------------------------------
layout=1 # of .deps; a new number fetches anew
key=$({ cat tools/requirements/*.txt && echo $layout; } | sha256sum | cut -d' ' -f1)
if [ "$(cat $deps/complete 2>/dev/null)" = "$key" ] && [ -e $deps/mlx/mlx/lib/libmlx.so ] &&
    [ -e $deps/yyjson/yyjson.c ]; then
    exit 0
fi
machine=$(uname -sm)
[ "$machine" = "Linux x86_64" ] ||
    die "the pinned MLX is for Linux x86_64, this is $machine: give CMake -DMLX_ROOT=FOLDER and -DYYJSON_ROOT=FOLDER yourself"
if ! python3 -m pip --version >/dev/null 2>&1; then
    command -v apt-get >/dev/null || die "missing: python3 with pip"
    apt_install python3 python3-pip
fi
new=$deps/new
rm -rf $new
mkdir -p $new
say "fetching MLX and yyjson into $deps"
fetch install --no-deps --only-binary :all: --require-hashes --no-compile --no-warn-script-location \
    --target $new/mlx -r tools/requirements/mlx-cpu.txt
fetch install --no-deps --only-binary :all: --require-hashes --no-compile --no-warn-script-location \
    --target "$scratch/unpack" -r tools/requirements/unpack.txt
PYTHONPATH=$scratch/unpack fetch download --no-deps --no-binary yyjson --no-build-isolation \
    --require-hashes -d "$scratch/yyjson" -r tools/requirements/yyjson.txt
tar -xzf "$scratch"/yyjson/yyjson-*.tar.gz -C "$scratch/yyjson" --strip-components=1
mkdir $new/yyjson
cp "$scratch/yyjson/yyjson/yyjson.c" "$scratch/yyjson/yyjson/yyjson.h" "$scratch/yyjson/LICENSE" $new/yyjson/
# pip's clock stamps would rebuild nothing useful: files get one fixed, old time.
find $new -type f -exec touch -d '2020-01-01 00:00:00 UTC' {} +
rm -rf $deps/mlx $deps/yyjson $deps/complete
mv $new/mlx $new/yyjson $deps/
rmdir $new
echo "$key" >$deps/complete
say "complete"
