# mlxengine.fish: completion of verbs, options, pocket models and folders, from `mlxengine help`.
function __mlxengine_verbs
    mlxengine help 2>/dev/null | string replace -rf '^  ([a-z]+)\s+(.*)$' '$1\t$2'
end
function __mlxengine_options
    set -l words (commandline -opc)
    mlxengine help $words[2] 2>/dev/null | string replace -rf '^  (?:-.,)? *(--[a-z-]+).*$' '$1'
end
function __mlxengine_first
    test (count (commandline -opc)) -eq 1
end
complete -c mlxengine -f
complete -c mlxengine -n __mlxengine_first -a '(__mlxengine_verbs)'
complete -c mlxengine -n 'not __mlxengine_first' -a '(__mlxengine_options) pocket-llm (__fish_complete_directories)'
