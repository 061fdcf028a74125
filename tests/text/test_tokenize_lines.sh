#!/bin/sh
# test_tokenize_lines.sh SOURCE BUILD: what a line of `tokenize --lines` can ask for beside ids: the
# special-tokens mask and offsets in characters, as transformers' BertTokenizer gives them.
set -eu
source=$1 build=$2
got=$(printf '%s\n' '{"text":"é the","pair":"a b","return_special_tokens_mask":true,"return_char_offsets":true}' |
    "$build/bin/mlxengine" tokenize "$source/tests/text/data/tok_files/bert" --lines)
for want in '"type_ids":[0,0,0,0,1,1,1]' '"offsets":[[0,0],[0,2],[3,6],[0,0],[0,1],[2,3],[0,0]]' \
    '"special_tokens_mask":[1,0,0,1,0,0,1]' \
    '"char_offsets":[[0,0],[0,1],[2,5],[0,0],[0,1],[2,3],[0,0]]'; do
    case "$got" in
    *"$want"*) ;;
    *) echo "want $want in $got"; exit 1 ;;
    esac
done
plain=$(printf '%s\n' '{"text":"a"}' | "$build/bin/mlxengine" tokenize "$source/tests/text/data/tok_files/bert" --lines)
case "$plain" in
*mask* | *char*) echo "not asked for: $plain"; exit 1 ;;
esac
