#!/bin/sh
# calls.sh: what the library promises to a process that it is a guest in, read from its objects:
#   no call that ends the process, prints, installs handlers or depends on the locale;
#   no mutable global but the process runtime's, each named in tools/check/globals.txt with its reason;
#   the environment is read in one place only.
set -u
. tools/check/common.inc
gcc_tree || exit 1
list=$(objects $tree | grep -E '^CMakeFiles/mlxe_objects.dir/')
# shellcheck disable=SC2086
ninja -C $tree -j "$jobs" $list >$tree/build.log 2>&1 || {
    echo "the objects do not compile (see warnings)"
    exit 1
}
found=$(mktemp)
trap 'rm -f "$found"' EXIT
banned='^(_?exit|_Exit|quick_exit|abort|printf|vprintf|puts|putchar|perror|fprintf|fputs|stdout|stderr'
banned="$banned"'|signal|sigaction|setlocale|system|popen|fork|atexit|rand|srand|random|gets|strcpy'
banned="$banned"'|strcat|sprintf|vsprintf|strtok|strtod|strtof|strtold|atof|atoi|atol|strerror|localtime'
banned="$banned"'|gmtime|asctime|ctime|__printf_chk|__fprintf_chk|__sprintf_chk|__strcpy_chk|__strcat_chk)$'
environment=
for object in $list; do
    short=${object#CMakeFiles/mlxe_objects.dir/}
    nm -u "$tree/$object" | sed 's/^ *[Uw] //' | grep -E "$banned" | sed "s,^,$short: calls ,"
    nm -u "$tree/$object" | grep -qE ' (secure_)?getenv$' && environment="$environment $short"
    objdump -t "$tree/$object" |
        awk 'NF >= 4 && $(NF-2) ~ /^\.(data|bss|tbss|tdata)(\.|$)/ && $(NF-2) !~ /rel\.ro/ && $(NF-1) !~ /^0+$/ { print $NF }' |
        sed 's/\.[0-9]*$//' | while read -r symbol; do
        grep -qE "^$symbol([[:space:]]|\$)" tools/check/globals.txt ||
            echo "$short: mutable global $symbol, not in tools/check/globals.txt"
    done
done >"$found"
# shellcheck disable=SC2086
set -- $environment
[ $# -le 1 ] || echo "the environment is read in $# files, at most one:$environment" >>"$found"
cat "$found" >&2
echo "$(echo "$list" | grep -c .) objects, $(wc -l <"$found") findings"
[ ! -s "$found" ]
