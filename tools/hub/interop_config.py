"""Asks Python's huggingface_hub what tests/hub/config.case says of the environment.

usage: python interop_config.py MLXENGINE

MLXENGINE is not run: test_config.c reads the same file. Cases with an "ours" line are left out. Prints
what differs; exit status 1 when something does.
"""

import json
import pathlib
import shutil
import subprocess
import sys

from common import check, run, work

ASK = """
import json
from huggingface_hub import constants, get_token
print(json.dumps({"cache": constants.HF_HUB_CACHE, "token": get_token() or "none", "endpoint": constants.ENDPOINT,
                  "offline": "1" if constants.HF_HUB_OFFLINE else "0",
                  "timeouts": f"{constants.HF_HUB_ETAG_TIMEOUT} {constants.HF_HUB_DOWNLOAD_TIMEOUT}"}))
"""


def put_in(text, home):
    for code, letter in (("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t")):
        text = text.replace(code, letter)
    return text.replace("{h}", str(home))


def read_cases(path):
    cases = []
    for line in path.read_text().splitlines():
        key, _, value = line.partition(" ")
        if key == "case":
            cases.append((value, []))
        elif line and not line.startswith("#"):
            cases[-1][1].append((key, value))
    return cases


def ask(title, lines):
    home = work / "config"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    env = {"HF_HUB_DISABLE_TELEMETRY": "1"}
    for key, value in lines:
        if key == "env":
            name, _, text = put_in(value, home).partition("=")
            env[name] = text
        elif key == "file":
            name, _, text = value.partition(" ")
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(put_in(text, home))
    done = subprocess.run([sys.executable, "-c", ASK], env=env, capture_output=True, text=True)
    if not check(f"{title}: Python answers", done.returncode == 0, done.stderr[-300:]):
        return
    said = json.loads(done.stdout)
    for key, value in lines:
        want = put_in(value, home)
        if key == "endpoint" and want == "none":
            want = "https://huggingface.co"
        if key in said:
            check(f"{title}: {key}", said[key] == want, f"Python {said[key]}, the case {want}")


def main(command, options):
    del command, options
    path = pathlib.Path(__file__).parents[2] / "tests" / "hub" / "config.case"
    for title, lines in read_cases(path):
        if "ours" not in dict(lines):
            ask(title, lines)


if __name__ == "__main__":
    run(main)
