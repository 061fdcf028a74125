#!/bin/sh
# full_neon.sh SOURCE BUILD: the kernels for 64-bit Arm under an emulator (tools/neon.sh).
set -eu
cd "$1"
exec tools/neon.sh "$2/neon"
