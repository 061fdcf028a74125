#!/bin/sh
# test_run_tools.sh SOURCE BUILD: what bounds the tools of `run --run-tools`: bytes and seconds of a
# call, and answers in a row that call. A template that hides results makes pocket-llm call for ever.
set -eu
source=$1 build=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# run_tools COMMAND OPTION...: the tool runs COMMAND; $folder/err is what stderr said
run_tools() {
    command=$1
    shift
    printf '%s' "[{\"type\":\"function\",\"command\":[\"sh\",\"-c\",\"$command\"],\"function\":{
        \"name\":\"distance\",\"description\":\"Distance between two cities\",\"parameters\":{
        \"type\":\"object\",\"properties\":{\"start\":{\"type\":\"string\"},
        \"destination\":{\"type\":\"string\"}},\"required\":[\"start\",\"destination\"]}}}]" \
        >"$folder/tools.json"
    "$build/bin/mlxengine" run "$source/zoo/pocket-llm" 'What is the distance from Lima to Haviss?' \
        --tools "$folder/tools.json" --run-tools --temperature 0 --max-tokens 60 "$@" \
        >"$folder/out" 2>"$folder/err" || { cat "$folder/err"; exit 1; }
}
said() {
    grep -qF "$1" "$folder/err" || { echo "want $1 in:"; cat "$folder/err"; exit 1; }
}

run_tools 'cat'
said 'distance {"start": "Lima", "destination": "Haviss"}: 42 bytes' # what it was given

# 100 bytes, and "\n[stopped: it wrote too much]"; the program that writes for ever is killed
run_tools 'cat >/dev/null; exec yes' --tool-bytes 100
said ': 129 bytes'

# nothing, and "\n[stopped: its time is up]"; a child that keeps the output open is killed as well
run_tools 'sleep 300 & sleep 300' --tool-seconds 1
said ': 26 bytes'
run_tools 'exec >&-; sleep 300' --tool-seconds 1 # its output is closed, but it goes on
said ': 26 bytes'

# "\n[exit status 3]", "\n[ended by signal 9]"
run_tools 'exit 3'
said ': 16 bytes'
run_tools 'kill -9 $$'
said ': 20 bytes'

{
    printf "{%%- set messages = messages|rejectattr('role', 'in', ['tool', 'assistant'])|list -%%}"
    cat "$source/zoo/pocket-llm/chat_template.jinja"
} >"$folder/hides.jinja"
for rounds in 1 3; do
    run_tools 'echo no >>'"$folder/ran" --chat-template "@$folder/hides.jinja" --tool-rounds $rounds
    said "tools were called in $rounds answers; --tool-rounds allows more"
    [ "$(wc -l <"$folder/ran")" -eq $rounds ] || { echo "$rounds rounds ran"; cat "$folder/ran"; exit 1; }
    rm "$folder/ran"
done
