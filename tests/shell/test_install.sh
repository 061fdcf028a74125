#!/bin/sh
# test_install.sh SOURCE BUILD: the installed tree, moved to another place, runs without the source and
# the build tree, and C programs find it by pkg-config and by CMake.
. "$(dirname "$0")/common.inc"
[ -e "$source/zoo/pocket-llm/config.json" ] || skip 'zoo/pocket-llm has no weights'

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved"
tree=$work/moved
for file in bin/mlxengine include/mlxengine.h lib/libmlxengine.so lib/mlxengine/libmlxengine-mlx-cpu.so \
    lib/mlxengine/mlx/lib/libmlx.so lib/pkgconfig/mlxengine.pc lib/cmake/mlxengine/mlxengineConfig.cmake \
    share/man/man1/mlxengine.1 share/bash-completion/completions/mlxengine \
    share/zsh/site-functions/_mlxengine share/fish/vendor_completions.d/mlxengine.fish \
    share/doc/mlxengine/THIRD-PARTY-NOTICES share/mlxengine/zoo/pocket-llm/config.json; do
    [ -s "$tree/$file" ] || fail "$file is not installed"
done
sed -n 's,.*licences/\([a-z0-9.-]*\.txt\).*,\1,p' "$tree/share/doc/mlxengine/THIRD-PARTY-NOTICES" | while read -r text; do
    [ -s "$tree/share/doc/mlxengine/licences/$text" ] || fail "THIRD-PARTY-NOTICES names $text, which is not installed"
done

# Nothing that it loads lies in the source or the build tree...
run="$tree/bin/mlxengine run pocket-llm Hello --temperature 0 --max-tokens 8"
# shellcheck disable=SC2086 # words of a command
LD_DEBUG=files LD_DEBUG_OUTPUT=$work/ld $run >/dev/null 2>&1 || fail "$run"
if grep -hE "calling init: ($source|$build)" "$work"/ld.* >&2; then
    fail 'a library of the source or build tree was loaded'
fi
grep -qh "calling init: $tree/lib/mlxengine/mlx/lib/libmlx.so" "$work"/ld.* || fail "libmlx was not loaded from $tree"
# ... and it runs when both are out of sight.
# shellcheck disable=SC2086
if unshare -rm true 2>/dev/null; then
    hidden='mount -t tmpfs none "$1" && { [ ! -d "$2" ] || mount -t tmpfs none "$2"; } && shift 2 && cd / && exec "$@"'
    case "$work" in "$source"/* | "$build"/*) ;; *)
        ask unshare -rm sh -c "$hidden" sh "$source" "$build" $run ;;
    esac
else
    echo 'not run with the trees hidden: this system allows no mount namespaces'
fi

# A program that uses the library, by pkg-config.
cp "$source/examples/first.c" "$work/first.c"
cd "$work"
PKG_CONFIG_PATH=$tree/lib/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046 # options are words
cc first.c -o first $(pkg-config --cflags --libs mlxengine) "-Wl,-rpath,$tree/lib"
ask ./first 'Hello'

# The same by CMake.
mkdir project
cat >project/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.16)
project(first C)
find_package(mlxengine 0.1 REQUIRED)
add_executable(first ../first.c)
target_link_libraries(first mlxengine::mlxengine)
END
cmake -S project -B project/build -DCMAKE_PREFIX_PATH="$tree" >project.log 2>&1 || { cat project.log; fail 'find_package(mlxengine)'; }
cmake --build project/build >project.log 2>&1 || { cat project.log; fail 'the CMake project does not build'; }
ask project/build/first 'Hello'
echo "$answer"
