#compdef mlxengine
# mlxengine.zsh: completion of verbs, options, pocket models and folders, from `mlxengine help`.
_mlxengine() {
    local program=$words[1] verb=$words[2]
    local -a list
    if (( CURRENT == 2 )) || [[ $verb == help ]]; then
        list=(${(f)"$($program help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  *\(.*\)/\1:\2/p')"})
        _describe verb list
    elif [[ $PREFIX == -* ]]; then
        list=(${(f)"$($program help $verb 2>/dev/null | sed -n 's/^  \(-.,\)\{0,1\} *\(--[a-z-]*\).*/\2/p')"})
        compadd -a list
    else
        compadd pocket-llm
        _files -/
    fi
}
_mlxengine "$@"
