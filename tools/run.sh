#!/bin/sh
# run.sh TREE MODEL PROMPT [ARGS]: streams an answer; empty MODEL is the pocket model that ships here,
# empty PROMPT a question it can answer.
set -eu
cd "$(dirname "$0")/.."
tree=$1 model=$2 prompt=$3
shift 3
[ -n "$model" ] || model=pocket-llm
[ -n "$prompt" ] || prompt='Tell me a short story about a fox.'
printf '%s\n\n' "> $prompt" >&2
exec "$tree/bin/mlxengine" run "$model" "$prompt" "$@"
