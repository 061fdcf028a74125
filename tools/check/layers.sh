#!/bin/sh
# layers.sh: data flows one way. A file of src/A/ includes files of src/A/ and of folders that
# src/LAYERS names before A. The command and the examples include no header of src/. MLX's headers are
# seen by src/mx/mlx/ only, and C++ is found nowhere else.
set -u
. tools/check/common.inc
found=$(mktemp)
trap 'rm -f "$found"' EXIT
layers=$(sed 's/#.*//' src/LAYERS | grep .)

files 'src/*.c' 'src/*.h' 'src/*.cpp' | while read -r file; do
    own=${file#src/}
    own=${own%%/*}
    echo "$layers" | grep -qx "$own" || echo "$file: src/LAYERS does not name $own"
    allowed=$(echo "$layers" | sed "/^$own\$/q")
    grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$file" |
        sed -E 's/^([0-9]+):[^"]*"([^"]*)".*/\1 \2/' | while read -r line path; do
        case "$path" in
        *..*) echo "$file:$line: includes $path: name the folder instead of .." ;;
        mlxengine.h) ;;
        */*)
            to=${path%%/*}
            if [ -e "src/$path" ] && ! echo "$allowed" | grep -qx "$to"; then
                echo "$file:$line: $own may not include $path (src/LAYERS: $to comes after $own)"
            elif [ ! -e "src/$path" ] && [ ! -e "${file%/*}/$path" ]; then
                echo "$file:$line: no such header of ours: $path"
            fi
            ;;
        *)
            [ -e "${file%/*}/$path" ] ||
                echo "$file:$line: $path is not in ${file%/*}: include it as FOLDER/$path"
            ;;
        esac
    done
    case "$file" in
    src/mx/mlx/* | src/engines/*.cpp) ;;
    *.cpp) echo "$file: C++ is for src/mx/mlx/ and src/engines/ only" ;;
    *) grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]mlx/' "$file" |
        sed "s,^,$file: MLX's headers are for src/mx/mlx/ only: ," ;;
    esac
done >"$found"
files 'cli/*.c' 'cli/*.h' 'server/*.c' 'server/*.h' 'examples/*.c' | while read -r file; do
    grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$file" |
        sed -E 's/^([0-9]+):[^"]*"([^"]*)".*/\1 \2/' | while read -r line path; do
        case "$path" in
        mlxengine.h) ;;
        *..*) echo "$file:$line: includes $path" ;;
        *)
            top=${file%%/*}
            [ -e "${file%/*}/$path" ] || [ -e "$top/$path" ] ||
                echo "$file:$line: includes $path: only mlxengine.h and files of $top/ are allowed"
            ;;
        esac
    done
done >>"$found"
cat "$found" >&2
echo "$(files 'src/*.c' 'src/*.h' 'src/*.cpp' 'cli/*.c' 'cli/*.h' | wc -l) files, $(wc -l <"$found") includes against the order"
[ ! -s "$found" ]
