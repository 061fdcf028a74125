#!/bin/sh
# full_faults.sh SOURCE BUILD: what goes wrong around a download: kill -9, a planted link, a read-only
# cache, a full disk, no sockets. Each against the real command and our mirror; HUB_KILLS says how many
# kills (200). What cannot be made here (no root, no compiler) is counted as skipped and named.
set -u
source=$1 build=$2 kills=${HUB_KILLS:-200}
engine=$build/bin/mlxengine
work=$(mktemp -d) || exit 1
mirror='' mounted='' failed=0 skipped=0
finish() {
    [ -z "$mirror" ] || kill "$mirror" 2>/dev/null
    [ -z "$mounted" ] || umount "$mounted" 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
fail() {
    echo "FAIL  $*"
    failed=$((failed + 1))
}
skip() {
    echo "skipped: $*"
    skipped=$((skipped + 1))
}

# A repository of five shards of 4 MB and some small files.
repo=$work/root/org/sharded
mkdir -p "$repo/sub" "$work/home"
for n in 1 2 3 4 5; do
    head -c 4000000 /dev/urandom >"$repo/model-0000$n-of-00005.safetensors"
done
for n in 1 2 3 4 5 6 7 8; do
    head -c 3000 /dev/urandom >"$repo/sub/file$n.txt"
done
(cd "$repo" && find . -type f -exec sha256sum {} + | sort) >"$work/sums"
all=$(cat "$repo"/*.safetensors "$repo"/sub/* | wc -c)
"$engine" hub serve --root "$work/root" --port 0 --hash-file "$work/hashes" --verbose >"$work/listening" 2>"$work/requests" &
mirror=$!
n=0
while ! grep -q listening "$work/listening"; do
    n=$((n + 1))
    [ $n -lt 100 ] || { echo "the mirror does not listen"; exit 1; }
    sleep 0.1
done
unset HF_HUB_OFFLINE HF_TOKEN HF_HUB_CACHE XDG_CACHE_HOME HUGGINGFACE_HUB_CACHE
HF_ENDPOINT=$(sed 's/listening //' "$work/listening")
HOME=$work/home HF_HOME=$work/hf HF_HUB_DOWNLOAD_TIMEOUT=5
export HF_ENDPOINT HOME HF_HOME HF_HUB_DOWNLOAD_TIMEOUT
cache=$HF_HOME/hub
pull() { "$engine" pull org/sharded --quiet; }
whole() { # the snapshot has all files with the right bytes
    (cd "$cache"/models--org--sharded/snapshots/* 2>/dev/null && find . -type l -exec sha256sum {} + | sort) | cmp -s - "$work/sums"
}

# ---- kill -9 -------------------------------------------------------------------------------------
# Random moments of a pull, whose length is measured first. Whenever all is there, the next one starts
# with an empty cache, so that the kills go on falling into downloads.
now() { date +%s%N; }
begin=$(now)
pull >/dev/null || fail "pull"
length=$((($(now) - begin) / 1000000))
whole || fail "wrong bytes"
rm -rf "$cache"
n=0 finished=0 begun=0
while [ $n -lt "$kills" ]; do
    n=$((n + 1))
    "$engine" pull org/sharded --quiet >/dev/null 2>&1 & # not pull: its shell would take the signal
    child=$!
    sleep "$(awk -v n="$n" -v ms="$length" 'BEGIN { srand(n); printf "%.3f", rand() * ms / 1000 }')"
    kill -9 $child 2>/dev/null
    if wait $child 2>/dev/null; then
        finished=$((finished + 1))
        whole || fail "kill $n: a pull that ended has wrong bytes"
    fi
    ls "$cache"/models--org--sharded/blobs/*.incomplete >/dev/null 2>&1 && begun=$((begun + 1))
    [ -z "$(find "$cache" -path '*/refs/*' -type f ! -size 40c 2>/dev/null)" ] || fail "kill $n: a torn ref"
    find "$cache" -path '*/blobs/*' -type f ! -name '*.incomplete' 2>/dev/null | while read -r blob; do
        name=${blob##*/}
        if [ ${#name} -eq 64 ]; then
            [ "$(sha256sum <"$blob" | cut -c1-64)" = "$name" ] || echo torn
        fi
    done | grep -q torn && fail "kill $n: a blob with wrong bytes"
    [ "$n" = "$kills" ] || ! whole || rm -rf "$cache"
done
# One more that surely leaves something half done; then what is there is not fetched again, but for
# what was in a buffer of each transfer.
rm -rf "$cache"
"$engine" pull org/sharded --quiet >/dev/null 2>&1 &
child=$!
n=0
while [ $n -lt 1000 ] && [ -z "$(find "$cache"/models--org--sharded/blobs -size +256k 2>/dev/null)" ]; do
    n=$((n + 1))
    sleep 0.005
done
kill -9 $child 2>/dev/null
wait $child 2>/dev/null
had=$(find "$cache" -path '*/blobs/*' -type f -exec cat {} + | wc -c)
told=$("$engine" pull org/sharded --json | tail -n 1) || fail "the pull after $kills kills failed"
whole || fail "after $kills kills: wrong bytes"
[ "$had" -gt 0 ] || fail "the last kill left nothing to go on from"
came=$(echo "$told" | sed 's/.*"downloaded_bytes":\([0-9]*\).*/\1/')
[ "$came" -le $((all - had + 5 * 65536)) ] || fail "after the kills $came bytes came, $had of $all were there"
pull >/dev/null || fail "a lock is stale"
[ -z "$(find "$cache" -path '*/refs/*' ! -name main -type f)" ] || fail "refs/ has temporary files"
echo "kill -9: $kills rounds in pulls of $length ms, $finished ended before, $begun left partial files; the last pull fetched $came of $all bytes, $had were there"

# ---- a link planted where a folder belongs --------------------------------------------------------
mkdir "$work/outside"
rm -rf "$cache"
pull >/dev/null || fail "pull"
commit=$(cat "$cache/models--org--sharded/refs/main")
rm -r "$cache/models--org--sharded/snapshots/$commit/sub"
ln -s "$work/outside" "$cache/models--org--sharded/snapshots/$commit/sub"
pull >/dev/null 2>"$work/message" && fail "planted link: a pull went through it"
[ -z "$(ls -A "$work/outside")" ] || fail "planted link: written outside the cache"
"$engine" verify org/sharded --json >/dev/null && fail "planted link: verify says ok"

# ---- a read-only cache ----------------------------------------------------------------------------
rm -rf "$cache"
pull >/dev/null || fail "pull"
if [ "$(id -u)" = 0 ] && mkdir "$work/ro" && mount --bind "$cache" "$work/ro" 2>/dev/null &&
    mounted=$work/ro && mount -o remount,ro,bind "$work/ro" 2>/dev/null; then
    HF_HUB_CACHE=$work/ro "$engine" pull org/sharded --quiet >/dev/null || fail "read-only cache: what is there cannot be opened"
    echo '{}' >"$repo/new.json" # a new commit
    HF_HUB_CACHE=$work/ro "$engine" pull org/sharded --quiet >/dev/null 2>"$work/message" && fail "read-only cache: a new file was fetched"
    grep -q "$work/ro" "$work/message" || fail "read-only cache: the message does not name the path: $(cat "$work/message")"
    rm "$repo/new.json"
    umount "$work/ro" && mounted=''
else
    skip "a read-only cache needs root and mount"
    [ -z "$mounted" ] || umount "$mounted"
    mounted=''
fi

# ---- a full disk ----------------------------------------------------------------------------------
mkdir "$work/small"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=70m tmpfs "$work/small" 2>/dev/null; then
    mounted=$work/small
    HF_HUB_CACHE=$work/small "$engine" pull org/sharded --quiet >/dev/null 2>"$work/message"
    status=$?
    [ $status = 6 ] || fail "full disk: exit $status, want 6: $(cat "$work/message")"
    [ -z "$(find "$work/small" -path '*/snapshots/*' -name '*.safetensors')" ] || fail "full disk: a pointer was made"
    umount "$work/small" && mounted=''
else
    skip "a full disk needs root and tmpfs"
fi
# A limit of the file's size ends in the same way and not by SIGXFSZ.
rm -rf "$work/limited"
# shellcheck disable=SC3045 # where ulimit -f is not known, the test is skipped
if (ulimit -f 1000) 2>/dev/null; then
    (
        ulimit -f 1000
        HF_HUB_CACHE=$work/limited "$engine" pull org/sharded --quiet >/dev/null 2>&1
    )
    status=$?
    [ $status = 6 ] || fail "file size limit: exit $status, want 6"
else
    skip "ulimit -f"
fi

# ---- no sockets -----------------------------------------------------------------------------------
if command -v cc >/dev/null && cc -shared -fPIC -o "$work/nosockets.so" "$source/tests/hub/no_sockets.c" 2>/dev/null; then
    case $(ldd "$engine" 2>/dev/null) in
    *asan* | *tsan*) skip "no sockets: a preloaded library and a sanitizer" ;;
    *)
        LD_PRELOAD=$work/nosockets.so HF_HUB_OFFLINE=1 "$engine" pull org/sharded --quiet >/dev/null ||
            fail "no sockets: offline, a complete copy cannot be opened"
        commit=$(cat "$cache/models--org--sharded/refs/main")
        LD_PRELOAD=$work/nosockets.so "$engine" pull "org/sharded@$commit" --quiet >/dev/null ||
            fail "no sockets: a commit that is complete asks the network"
        LD_PRELOAD=$work/nosockets.so HF_HUB_OFFLINE=1 "$engine" pull org/other --quiet >/dev/null 2>&1
        [ $? = 5 ] || fail "no sockets: offline without a copy is not exit 5"
        LD_PRELOAD=$work/nosockets.so "$engine" verify org/sharded --quiet >/dev/null || fail "no sockets: verify asks the network"
        ;;
    esac
else
    skip "no sockets needs cc"
fi
echo "faults: $failed failed, $skipped skipped"
[ $failed = 0 ]
