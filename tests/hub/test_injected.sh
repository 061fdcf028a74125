#!/bin/sh
# test_injected.sh SOURCE BUILD: a pull on a system that fails: locks that lock nothing or do not exist,
# a write that finds no room, each rename, link and sync failing in turn, a process killed in the middle
# of a file and two that take over what it left. The numbers are those of the protocol's conformance
# table. Needs cc, and a build without sanitizers: they do not get along with a preloaded library.
set -u
command=$2/bin/mlxengine
[ -x "$command" ] || exit 77
case $(ldd "$command" 2>/dev/null) in
*asan* | *tsan*) echo 'skipped: a preloaded library and a sanitizer' && exit 77 ;;
esac
scratch=$(mktemp -d) || exit 1
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$scratch"' EXIT
if ! cc -shared -fPIC -o "$scratch/faults.so" "$1/tests/hub/preload_faults.c" -ldl 2>"$scratch/message"; then
    echo "skipped: needs cc: $(head -3 "$scratch/message")" && exit 77
fi
failed=0
fail() {
    echo "FAIL  $*"
    failed=$((failed + 1))
}
root=$scratch/root/org/two
mkdir -p "$root" "$scratch/home"
head -c 3000000 /dev/urandom >"$root/model.safetensors"
head -c 500 /dev/urandom >"$root/config.json"
"$command" hub serve --root "$scratch/root" --port 0 --hash-file "$scratch/hashes" --verbose >"$scratch/url" 2>"$scratch/log" &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    grep -q '^listening ' "$scratch/url" && break
    sleep 0.3
done
HF_ENDPOINT=$(sed -n 's/^listening //p' "$scratch/url") HF_HOME=$scratch/hf HOME=$scratch/home
export HF_ENDPOINT HF_HOME HOME
unset HF_HUB_CACHE HF_TOKEN HF_HUB_OFFLINE XDG_CACHE_HOME
cache=$HF_HOME/hub repo=$HF_HOME/hub/models--org--two
pull() { "$command" pull org/two "$@"; }
broken() { # NAME=VALUE ARGUMENT...: a pull with a fault
    fault=$1
    shift
    env "$fault" LD_PRELOAD="$scratch/faults.so" "$command" pull org/two "$@"
}
gets() { grep -c "GET .*/resolve/.*/$1 " "$scratch/log"; }
fresh() {
    rm -rf "$cache"
    : >"$scratch/log"
}
whole() {
    for name in model.safetensors config.json; do
        cmp -s "$root/$name" "$repo"/snapshots/*/$name || return 1
    done
}
# Whatever failed: a ref is a commit, what a snapshot shows is right, no temporary name lies about.
left_by_kill=no # yes: a killed process leaves its temporary name, for a day
sound() {
    # shellcheck disable=SC2044 # names without blanks
    for ref in $(find "$repo/refs" -type f 2>/dev/null); do
        grep -qxE '[0-9a-f]{40}' "$ref" && [ -d "$repo/snapshots/$(cat "$ref")" ] || fail "$1: the ref is torn"
    done
    # shellcheck disable=SC2044
    for file in $(find "$repo/snapshots" ! -type d 2>/dev/null); do
        cmp -s "$file" "$root/${file##*/}" || fail "$1: $file is not what it should be"
    done
    [ "$left_by_kill" = yes ] || [ -z "$(find "$repo/.partial" -name 't-*' 2>/dev/null)" ] || fail "$1: a temporary name is left"
}

# 74: locks that everybody gets: more is fetched, the blob is right.
fresh
pids=
for _ in 1 2 3 4; do
    broken FAULT_FLOCK=always --quiet >/dev/null 2>>"$scratch/message" &
    pids="$pids $!"
done
for pid in $pids; do wait "$pid" || fail "74: a process that shares its lock failed: $(cat "$scratch/message")"; done
whole || fail '74: wrong bytes'
sound 74

# 76: no locks at all.
fresh
broken FAULT_FLOCK=ENOSYS --quiet >/dev/null || fail '76: without flock nothing is fetched'
whole || fail '76: wrong bytes'

# 77, 79: killed in the middle; two processes whose locks lock nothing take over what is there: one wins,
# and both end with the right bytes.
fresh
broken FAULT_PWRITE=1500000:KILL --quiet >/dev/null 2>&1 && fail '79: not killed'
left=$(find "$repo/blobs" -name '*.incomplete' -size +1000k | wc -l)
[ "$left" = 1 ] || fail "79: $left partial files after the kill, want 1"
: >"$scratch/log"
broken FAULT_FLOCK=always --json >"$scratch/one" 2>&1 &
one=$!
broken FAULT_FLOCK=always --json >"$scratch/two" 2>&1 &
two=$!
wait $one || fail "79: one adopter failed: $(cat "$scratch/one")"
wait $two || fail "79: the other adopter failed: $(cat "$scratch/two")"
whole || fail '79: wrong bytes'
left_by_kill=yes # the small file may have been on its way when the first process died
sound 79
left_by_kill=no
[ -z "$(find "$repo" -name '*.incomplete*')" ] || fail '79: a partial file is left'
came=$(cat "$scratch/one" "$scratch/two" | sed -n 's/.*"downloaded_bytes":\([0-9]*\).*/\1/p' | sort -n | head -1)
[ "$came" -lt 2000000 ] || fail "79: nobody went on from the partial file: $came bytes at least"

# 83: no room in the middle of a file.
fresh
broken FAULT_PWRITE=1000000:ENOSPC --json >"$scratch/out" 2>&1
status=$?
[ $status = 6 ] || fail "83: exit status $status, want 6: $(cat "$scratch/out")"
grep -q '"code":"MLXE_E_FIT"' "$scratch/out" || fail '83: no MLXE_E_FIT'
[ -z "$(find "$repo/snapshots" -name model.safetensors)" ] || fail '83: a link was made'
[ -z "$(find "$repo/blobs" -name '*.incomplete')" ] || fail '83: a small partial file was kept on a full disk'
sound 83
pull --quiet >/dev/null && whole || fail '83: the next pull'

# 89: modes come from the umask.
fresh
(umask 037 && pull --quiet >/dev/null) || fail '89: pull'
for file in "$repo"/blobs/*; do
    [ "$(stat -c %a "$file")" = 640 ] || fail "89: $file is $(stat -c %a "$file"), want 640"
done
[ "$(stat -c %a "$repo/blobs")" = 740 ] || fail "89: a folder is $(stat -c %a "$repo/blobs"), want 740"
[ "$(stat -c %a "$cache"/.locks/models--org--two/*.lock | sort -u)" = 664 ] || fail '89: a lock file is not 664'

# 90: each rename, link and sync fails in turn, until none is left to fail.
for what in RENAME FSYNC SYMLINK; do
    n=0 status=1 hits=0
    while [ $n -lt 40 ]; do
        n=$((n + 1))
        fresh
        broken "FAULT_$what=$n" --json >"$scratch/out" 2>&1
        status=$?
        sound "90: $what $n"
        if [ $status = 0 ]; then
            whole || fail "90: $what $n: wrong bytes"
        else
            hits=$((hits + 1))
            [ $status = 1 ] && grep -q '"code":"MLXE_E_IO"' "$scratch/out" ||
                fail "90: $what $n: exit status $status, want 1 and MLXE_E_IO: $(cat "$scratch/out")"
        fi
        pull --quiet >/dev/null 2>"$scratch/message" && whole || fail "90: $what $n: the next pull: $(cat "$scratch/message")"
        sound "90: after $what $n"
        # Once as many calls have gone well as a pull makes, the fault is not reached any more.
        [ $status = 0 ] && [ $n -gt 15 ] && break
    done
    [ $status = 0 ] || fail "90: $what: still failing after $n"
    [ $hits -ge 2 ] || fail "90: $what: only $hits faults were felt"
    echo "$what: $hits of $n faults ended a pull"
done

# 81: killed at each rename and sync in turn, those of the ref and of the listing among them: whatever is
# seen is whole, and the next pull ends well.
rounds=0 left_by_kill=yes
for what in RENAME FSYNC SYMLINK; do
    n=0 killed=0
    while [ $n -lt 12 ]; do
        n=$((n + 1)) rounds=$((rounds + 1))
        fresh
        broken "FAULT_$what=$n:KILL" --quiet >/dev/null 2>&1
        [ $? != 137 ] || killed=$((killed + 1))
        # shellcheck disable=SC2044
        for file in $(find "$repo/refs" "$repo/trees" "$repo/snapshots" -type f 2>/dev/null); do
            case $file in
            */refs/*) grep -qxE '[0-9a-f]{40}' "$file" || fail "81: $what $n: $file is torn" ;;
            */trees/*) grep -q '}}$' "$file" || fail "81: $what $n: $file is torn" ;;
            esac
        done
        [ -z "$(find "$repo/refs" -name 't-*' 2>/dev/null)" ] || fail "81: $what $n: a temporary name among the refs"
        pull --quiet >/dev/null 2>"$scratch/message" && whole || fail "81: after $what $n: $(cat "$scratch/message")"
        sound "81: after $what $n"
    done
    [ $killed -ge 3 ] || fail "81: $what: only $killed kills were felt"
done
left_by_kill=no
echo "81: $rounds kills at renames, syncs and links"

# 84: a disk too small for the file: nothing is asked for.
if [ "$(id -u)" = 0 ] && mkdir "$scratch/small" && mount -t tmpfs -o size=300k tmpfs "$scratch/small" 2>/dev/null; then
    : >"$scratch/log"
    HF_HUB_CACHE=$scratch/small "$command" pull org/two --json >"$scratch/out" 2>&1
    status=$?
    [ $status = 6 ] || fail "84: exit status $status, want 6: $(cat "$scratch/out")"
    [ "$(gets model.safetensors)" = 0 ] || fail '84: the file was asked for'
    umount "$scratch/small"
else
    echo 'without root, or tmpfs, a disk that is too small is not tried'
fi

# 64: names that differ in their case only, where the file system does not tell it: nothing is written,
# unless only one of them is wanted. Folders may differ so: what is in them does not.
names=$scratch/root/org/names cased=$scratch/hf/hub/models--org--names
mkdir -p "$names/Sub" "$names/sub"
for name in config.json README.md ReadMe.md Sub/x sub/y; do echo "$name" >"$names/$name"; done
rm -rf "$cache"
FAULT_NAMES=fold LD_PRELOAD=$scratch/faults.so "$command" pull org/names --json >"$scratch/out" 2>&1
status=$?
[ $status = 7 ] || fail "64: exit status $status, want 7: $(cat "$scratch/out")"
grep -q 'README.md and ReadMe.md' "$scratch/out" || fail "64: the names are not said: $(cat "$scratch/out")"
[ ! -e "$cache" ] || fail "64: something was written: $(find "$cache" | head -5)"
FAULT_NAMES=fold LD_PRELOAD=$scratch/faults.so "$command" pull org/names --exclude ReadMe.md --quiet >/dev/null ||
    fail '64: with one of them only'
[ "$(cat "$cased"/snapshots/*/sub/y)" = sub/y ] || fail '64: a folder'
rm -rf "$cache"
mkdir -p "$scratch/folder"
FAULT_NAMES=fold LD_PRELOAD=$scratch/faults.so "$command" pull org/names --local-dir "$scratch/folder" --quiet >/dev/null 2>&1
status=$?
[ $status = 7 ] || fail "64: into a folder: exit status $status, want 7"
[ -z "$(ls -A "$scratch/folder")" ] || fail "64: a folder: something was written: $(ls -A "$scratch/folder")"
"$command" pull org/names --quiet >/dev/null || fail '64: where case counts'
[ "$(cat "$cased"/snapshots/*/ReadMe.md)" = ReadMe.md ] && [ "$(cat "$cased"/snapshots/*/README.md)" = README.md ] ||
    fail '64: two files where case counts'
echo "injected: $failed failed"
[ $failed = 0 ]
