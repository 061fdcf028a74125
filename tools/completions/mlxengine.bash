# mlxengine.bash: completion of verbs, options, pocket models and folders. The words come from
# `mlxengine help`, so that they are always those of the program that is installed.
_mlxengine() {
    local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} words
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$("$program" help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  *.*/\1/p')
    elif [ "$verb" = help ]; then
        words=$("$program" help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  *.*/\1/p')
    elif [ "${word#-}" != "$word" ]; then
        words=$("$program" help "$verb" 2>/dev/null | sed -n 's/^  \(-.,\)\{0,1\} *\(--[a-z-]*\).*/\2/p')
    else
        words=$(printf '%s\n' pocket-llm && compgen -d -- "$word")
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o filenames -o bashdefault -F _mlxengine mlxengine
