#!/bin/sh
# test_processes.sh SOURCE BUILD: `pull` as several processes see it: sixteen at once, one that may not
# write so much, one offline that may not open a socket; exit statuses and errors of the command.
set -eu
command=$2/bin/mlxengine
[ -x "$command" ] || exit 77
scratch=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$scratch"' EXIT
say() { echo "test_processes: $*" >&2; }
fail() { say "$@"; exit 1; }
mkdir -p "$scratch/root/org/eight" "$scratch/root/org/large"
for i in 1 2 3 4 5 6 7 8; do
    head -c $((100000 * i)) /dev/urandom >"$scratch/root/org/eight/f$i.safetensors"
done
head -c 9000000 /dev/urandom >"$scratch/root/org/large/model.safetensors"
"$command" hub serve --root "$scratch/root" --port 0 --verbose >"$scratch/url" 2>"$scratch/log" &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
    grep -q '^listening ' "$scratch/url" && break
    sleep 0.3
done
HF_ENDPOINT=$(sed -n 's/^listening //p' "$scratch/url")
HF_HOME=$scratch/home
export HF_ENDPOINT HF_HOME
unset HF_HUB_CACHE HF_TOKEN HF_HUB_OFFLINE 2>/dev/null || true

# Sixteen processes, eight files: the same snapshot for all, nothing left over.
pids=
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
    "$command" pull org/eight --quiet >"$scratch/path.$i" &
    pids="$pids $!"
done
for pid in $pids; do wait "$pid" || fail "a process of sixteen failed"; done
[ "$(sort -u "$scratch"/path.* | wc -l)" = 1 ] || fail 'sixteen processes, more than one path'
snapshot=$(cat "$scratch/path.1")
for i in 1 2 3 4 5 6 7 8; do
    cmp "$scratch/root/org/eight/f$i.safetensors" "$snapshot/f$i.safetensors"
    gets=$(grep -c "GET .*/resolve/.*/f$i.safetensors" "$scratch/log" || true)
    [ "$gets" = 1 ] || fail "f$i was fetched $gets times, want 1"
done
repo=$HF_HOME/hub/models--org--eight
[ "$(find "$repo/blobs" -name '*.incomplete' | wc -l)" = 0 ] || fail 'partial files are left'
[ -z "$(ls "$repo/.partial")" ] || fail 'sidecars are left'

# 71: two processes, one file: fetched once, one path.
rm -rf "$HF_HOME"
: >"$scratch/log"
"$command" pull org/large --quiet >"$scratch/path.1" &
first=$!
"$command" pull org/large --quiet >"$scratch/path.2" || fail '71: the second of two processes failed'
wait $first || fail '71: the first of two processes failed'
cmp "$scratch/path.1" "$scratch/path.2"
cmp "$scratch/root/org/large/model.safetensors" "$(cat "$scratch/path.1")/model.safetensors"
[ "$(grep -c 'GET .*/resolve/.*/model.safetensors' "$scratch/log")" = 1 ] || fail '71: fetched more than once'

# 46: Ctrl-C in the middle of a file: status 130, the lock is free, the next pull goes on from there.
rm -rf "$HF_HOME"
head -c 200000000 /dev/zero | tr '\0' x >"$scratch/root/org/large/more.safetensors"
"$command" pull org/large --quiet >/dev/null 2>&1 &
pull=$!
n=0
while [ $n -lt 500 ] && [ -z "$(find "$HF_HOME" -name '*.incomplete' -size +20000k 2>/dev/null)" ]; do
    n=$((n + 1))
    sleep 0.01
done
kill -INT $pull
status=0
wait $pull || status=$?
if [ "$status" = 130 ]; then
    for lock in "$HF_HOME"/hub/.locks/models--org--large/*.lock; do
        flock -n "$lock" true || fail "46: $lock is held after Ctrl-C"
    done
    came=$("$command" pull org/large --json | tail -1 | sed 's/.*"downloaded_bytes":\([0-9]*\).*/\1/')
    [ "$came" -lt 199000000 ] || fail "46: $came of 209000000 bytes came although many were there"
else
    [ "$status" = 0 ] || fail "46: Ctrl-C ended the pull with $status, want 130"
    say 'the pull was over before Ctrl-C'
fi
rm -rf "$scratch/root/org/large/more.safetensors" "$HF_HOME"
"$command" pull org/eight --quiet >/dev/null

# Offline, without a socket. LeakSanitizer ends a process that strace follows with an error.
if command -v strace >/dev/null 2>&1 && strace -o /dev/null true 2>/dev/null; then
    ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 HF_HUB_OFFLINE=1 strace -f -e trace=socket,connect -o "$scratch/calls" \
        "$command" pull org/eight --quiet >/dev/null
    ! grep -E 'socket\(|connect\(' "$scratch/calls" >&2 || fail 'a socket was opened offline'
else
    say 'without strace it is not looked at whether a socket is opened offline'
fi

# A limit on the size of files: exit status 6, and no signal ends the process.
status=0
(ulimit -f 2000 && "$command" pull org/large --json >"$scratch/out" 2>&1) || status=$?
[ "$status" = 6 ] || fail "with a limit of file sizes: exit status $status, want 6: $(cat "$scratch/out")"
grep -q '"code":"MLXE_E_FIT"' "$scratch/out" || fail 'no JSON error'
"$command" pull org/large --quiet >/dev/null

expect() {
    want=$1
    shift
    status=0
    "$command" "$@" >"$scratch/out" 2>&1 || status=$?
    [ "$status" = "$want" ] || fail "$*: exit status $status, want $want: $(cat "$scratch/out")"
}
expect 2 pull a/b/c
expect 3 pull org/none
expect 3 pull org/eight --revision none
expect 0 search eight --json
grep -q '^{"id":"org/eight",' "$scratch/out" || fail 'search: no line'
expect 0 search nothing-like-it --json
[ ! -s "$scratch/out" ] || fail 'search: a line although nothing fits'
HF_HUB_OFFLINE=1 expect 5 pull org/none
HF_ENDPOINT=http://127.0.0.1:1 expect 5 pull org/none
HF_ENDPOINT=http://127.0.0.1:1 expect 0 pull org/eight
