#!/bin/sh
# manual.sh TREE >docs/mlxengine.1: the manual page, from what the built command says of itself.
# tests/shell/test_readme.sh holds the committed page against it.
set -eu
program=$1/bin/mlxengine
version=$("$program" version | sed -n '1s/^mlxengine //p')
# roff: a leading dot or quote, a backslash and a minus sign need care.
roff() { sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^\\([.']\\)/\\\\\\&\\1/"; }
cat <<END
.\\" Written by tools/manual.sh from mlxengine help.
.TH MLXENGINE 1 "" "mlxengine $version" "User Commands"
.SH NAME
mlxengine \\- run language models on MLX
.SH SYNOPSIS
.B mlxengine
.I VERB
.RI [ ARGUMENTS "] [" OPTIONS ]
.SH DESCRIPTION
Runs a language model that lies in a folder as the Hugging Face Hub has it, or the pocket model that comes
with the program (pocket\\-llm). Results go to standard output, progress and messages to standard error.
An argument that starts with @ is read from that file; \\- is standard input.
.SH VERBS
END
"$program" help | sed -n 's/^  \([a-z][a-z]*\)  *.*/\1/p' | while read -r verb; do
    echo ".SS $verb"
    echo .nf
    "$program" help "$verb" | roff
    echo .fi
done
cat <<'END'
.SH EXIT STATUS
0 ok; 1 the operation failed; 2 wrong usage; 3 not found; 4 access denied; 5 offline; 6 does not fit; 7 corrupt;
8 not supported (the message says what); 130 stopped by Ctrl\-C.
.SH ENVIRONMENT
.TP
.B MLXE_THREADS
CPU threads; default: what affinity and quota allow.
.TP
.B MLXE_DEVICE
cpu or gpu.
.TP
.B MLXE_LOG
error, warn, info or debug.
.TP
.B MLXE_ISA
Forces a kernel set: generic, avx2, avx512, amx, neon or i8mm (for tests).
.SH FILES
share/mlxengine/zoo beside the program's bin holds the pocket models, lib/mlxengine the plugin and MLX.
END
