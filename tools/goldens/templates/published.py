"""published.py: templates that somebody has on disk, with our 40 conversations, against transformers.

    python published.py FOLDER [--driver "PROGRAM WORD..."] [--show N]

Every *.jinja under FOLDER is rendered with each request of conversations.py by template_oracle.py
and by a program of the `template --lines` protocol (driver.c, or the command, which is the default).
Text has to be equal byte for byte, an error has to be an error. Published templates belong to their
authors: they are read where they are, and nothing of them is stored in the project.
Exit 1: a difference, or no template.
"""
import argparse
import os
import pathlib
import shlex
import sys

import conversations
import line_driver
import template_oracle

COMMAND = pathlib.Path(__file__).resolve().parents[3] / "build/bin/mlxengine"


def differences(driver, source, requests, seen):
    """(number of the request, expected, got) of each that differs; seen counts what was expected."""
    for number, request in enumerate(requests):
        line = dict(request, template=source)
        want = template_oracle.render(line)
        got = driver.render(line)
        seen[want[0]] += 1
        if want[0] != got[0] or (want[0] == "text" and want[1] != got[1]):
            yield number, want, got


def main():
    p = argparse.ArgumentParser()
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--driver", default=shlex.join([str(COMMAND), "template", "--lines"]))
    p.add_argument("--show", type=int, default=10)
    o = p.parse_args()
    driver = line_driver.Driver(shlex.split(o.driver))
    requests = conversations.build()
    files = sorted(o.folder.rglob("*.jinja"))
    seen = {"text": 0, "error": 0}
    wrong = 0
    for file in files:
        source = file.read_text(encoding="utf-8")
        for number, want, got in differences(driver, source, requests, seen):
            wrong += 1
            if wrong <= o.show:
                start = len(os.path.commonprefix([want[1], got[1]]))
                print(f"{file.relative_to(o.folder)}, request {number}, from character {start}:\n"
                      f"  want {want[0]} {want[1][start:start + 200]!r}\n"
                      f"  got  {got[0]} {got[1][start:start + 200]!r}", flush=True)
    print(f"{len(files)} templates x {len(requests)} conversations: {seen['text']} texts, "
          f"{seen['error']} errors, {wrong} differences")
    sys.exit(wrong > 0 or not files)


if __name__ == "__main__":
    main()
