#!/bin/sh
# bench.sh TREE: the speed figures of SPEED.md, measured here and now: every program bench/*/bench_*.c, then
# prefill and decode of the pocket model. Figures of a busy machine are not worth writing down.
set -eu
cd "$(dirname "$0")/.."
tree=$1
sed -n 's/^model name[^:]*: */cpu: /p' /proc/cpuinfo 2>/dev/null | head -n 1
echo "load: $(cut -d' ' -f1-3 /proc/loadavg 2>/dev/null)"
for program in "$tree"/bench/bench_*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    echo "==== ${program##*/}"
    "$program"
done
if [ -e zoo/pocket-llm/config.json ]; then
    echo '==== pocket-llm, greedy, 64 tokens: the best of 3'
    for _ in 1 2 3; do
        "$tree/bin/mlxengine" run pocket-llm 'Tell me a short story about a fox.' --temperature 0 \
            --max-tokens 64 --json --quiet | tail -n 1
    done
fi
