#!/bin/sh
# layers.sh: data flows one way. A file of src/A/ includes files of src/A/ and of folders that
# src/LAYERS names before A. The command and the examples include no header of src/. MLX's headers are
# seen by src/mx/mlx/ only, and C++ is found nowhere else.
set -u
. tools/check/common.inc
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sed 's/#.*//' src/LAYERS | grep . >"$scratch/layers"
files '*.h' '*.c' '*.cpp' >"$scratch/all"
# shellcheck disable=SC2046 # names without blanks
awk -v layers="$scratch/layers" -v all="$scratch/all" '
    BEGIN {
        while ((getline line <layers) > 0) rank[line] = ++n
        while ((getline line <all) > 0) there[line] = 1
    }
    function say(what) { print FILENAME ":" FNR ": " what }
    FNR == 1 {
        split(FILENAME, part, "/")
        top = part[1]
        own = part[2]
        folder = FILENAME
        sub(/\/[^\/]*$/, "", folder)
        if (top == "src" && !(own in rank)) say("src/LAYERS does not name " own)
        if (FILENAME ~ /\.cpp$/ && FILENAME !~ /^src\/(mx\/mlx|engines)\//)
            say("C++ is for src/mx/mlx/ and src/engines/ only")
    }
    /^[ \t]*#[ \t]*include[ \t]*[<"]mlx\// && folder != "src/mx/mlx" { say("MLX is for src/mx/mlx/ only") }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
        path = $0
        sub(/^[^"]*"/, "", path)
        sub(/".*/, "", path)
        if (path == "mlxengine.h") next
        if (path ~ /\.\./) { say("includes " path ": name the folder instead of .."); next }
        if ((folder "/" path) in there || ((top == "cli" || top == "server") && (top "/" path) in there)) next
        if (top != "src") { say("includes " path ": only mlxengine.h and files of " top "/ are allowed"); next }
        to = path
        sub(/\/.*/, "", to)
        if (!(("src/" path) in there)) say("no such header of ours: " path)
        else if (rank[to] > rank[own]) say(own " may not include " path " (src/LAYERS: " to " comes after " own ")")
    }' $(grep -E '^(src|cli|server|examples)/' "$scratch/all") >"$scratch/found"
cat "$scratch/found" >&2
echo "$(grep -cE '^(src|cli|server|examples)/' "$scratch/all") files, $(wc -l <"$scratch/found") includes against the order"
[ ! -s "$scratch/found" ]
