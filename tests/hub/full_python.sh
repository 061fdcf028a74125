#!/bin/sh
# full_python.sh SOURCE BUILD: Python's huggingface_hub (current release) against our mirror and our
# cache. Needs a Python that has it: GOLDENS_VENV, or what `make goldens` installs in .deps/goldens.
# HUB_OLDER_VENVS names more folders of virtual environments, with older releases.
set -u
python=${GOLDENS_VENV:-$1/.deps/goldens}/bin/python
if ! "$python" -c 'import huggingface_hub' 2>/dev/null; then
    echo "skipped: needs huggingface_hub: make goldens, or GOLDENS_VENV=FOLDER"
    exit 77
fi
failed=0
for script in "$1"/tools/hub/interop_*.py; do
    echo "== ${script##*/}"
    "$python" "$script" "$2/bin/mlxengine" || failed=1
done
echo "== test.hub.client, each case's cache scanned"
MLXE_TEST_SCAN=$python "$2/tests/test.hub.client" || failed=1
for venv in ${HUB_OLDER_VENVS:-}; do
    "$venv/bin/python" "$1/tools/hub/interop_older.py" "$2/bin/mlxengine" || failed=1
done
exit $failed
