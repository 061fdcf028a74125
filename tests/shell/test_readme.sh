#!/bin/sh
# test_readme.sh SOURCE BUILD: what the README shows is what there is (full_readme.sh also runs it).
. "$(dirname "$0")/common.inc"
cd "$source"
# The first C program is examples/first.c, letter by letter.
sed -n '/^```c$/,/^```$/p' README.md | sed '1d;$d' >"$work/first.c"
diff "$work/first.c" examples/first.c >&2 || fail "README.md's C program is not examples/first.c"
# Every target that make's help lists exists, and the documents name no other.
make help | sed -n 's/^  \([a-z]*\) .*/\1/p' | while read -r target; do
    grep -qE "^$target:" Makefile || fail "make help lists $target, which does not exist"
done
cat ./*.md docs/*.md | grep -oE '(^|`|    )make [a-z]+' | awk '{ print $NF }' | sort -u | while read -r target; do
    grep -qE "^$target:" Makefile || fail "a document says make $target, which does not exist"
done
# Every verb that the documents show exists.
cat ./*.md docs/*.md | grep -oE '(^|`)mlxengine [a-z]+' | awk '{ print $NF }' | sort -u | while read -r verb; do
    "$build/bin/mlxengine" help "$verb" >/dev/null 2>&1 || fail "a document says mlxengine $verb, which does not exist"
done
# The manual page is what the program says of itself.
sh tools/manual.sh "$build" | diff docs/mlxengine.1 - >&2 || fail 'docs/mlxengine.1 is not of this program: tools/manual.sh build >docs/mlxengine.1'
# The completions take their words from the program: bash is asked here.
if command -v bash >/dev/null; then
    words=$(PATH=$build/bin:$PATH bash -c '. "$1"; COMP_WORDS=(mlxengine run --tempe); COMP_CWORD=2; _mlxengine; echo "${COMPREPLY[@]}"' bash tools/completions/mlxengine.bash)
    [ "$words" = --temperature ] || fail "bash completes 'mlxengine run --tempe' to '$words'"
fi
# Every folder that CONTRIBUTING.md walks through exists, and it leaves out none of src/.
grep -oE '`(src|cli|tests|tools|zoo|cmake|include|bench|examples)/[A-Za-z0-9_./-]*`' CONTRIBUTING.md | tr -d '`' | grep -v NAME | sort -u |
    while read -r path; do
        [ -e "$path" ] || fail "CONTRIBUTING.md names $path, which does not exist"
    done
for folder in src/*/; do
    ls "$folder"*.[ch] >/dev/null 2>&1 || continue
    grep -qF "\`$folder" CONTRIBUTING.md || fail "CONTRIBUTING.md says nothing of $folder"
done
