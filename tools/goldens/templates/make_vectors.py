"""make_vectors.py: writes the expected results of the chat template tests from transformers.

    python make_vectors.py ../../../tests/text    # in tools/goldens/templates, with the oracle environment

tests/text/jinja.case             templates with their context and what comes out; the `--- text` parts
                                  are filled in here, `--- error` parts keep the words that our own
                                  message has to hold
tests/text/tmpl_templates.case    templates by name
tests/text/tmpl_conversations.jsonl  conversations.py's requests
tests/text/tmpl_expected.txt      a line a template: its name, then for each conversation '!' (an error)
                                  or LENGTH.HASH of the bytes (FNV-1a, 64 bits)
Versions: transformers and jinja2 as printed; no randomness.
"""
import json
import os
import re
import sys

import jinja2
import transformers

import conversations
import template_oracle

TESTS = sys.argv[1]


def path(name):
    return os.path.join(TESTS, name)


def read(name):
    with open(path(name), encoding="utf-8", newline="") as f:
        return f.read()


def write(name, text):
    with open(path(name), "w", encoding="utf-8", newline="") as f:
        f.write(text)


def sections(text):
    """[(name, body)] of a file whose parts begin with `=== name`; the newline before a part is no text."""
    parts = re.split(r"(?:\A|\n)=== ?(.*)\n", text)[1:]
    return [(name, body) for name, body in zip(parts[::2], parts[1::2])]


def fnv(data):
    h = 0xcbf29ce484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return h


def vectors():
    requests = conversations.build()
    write("tmpl_conversations.jsonl", "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in requests))
    lines = []
    errors = 0
    for name, source in sections(read("tmpl_templates.case").rstrip("\n")):
        row = [name]
        for request in requests:
            kind, text = template_oracle.render(dict(request, template=source))
            data = text.encode()
            errors += kind == "error"
            row.append("!" if kind == "error" else f"{len(data)}.{fnv(data):016x}")
        lines.append(" ".join(row) + "\n")
    write("tmpl_expected.txt", "".join(lines))
    print(f"{len(lines)} templates x {len(requests)} conversations, {errors} errors")


def cases():
    parts = sections(read("jinja.case").rstrip("\n"))
    context = json.loads(parts[0][1])
    out = ["=== context\n" + parts[0][1]]
    for name, body in parts[1:]:
        source, *rest = re.split(r"\n--- (\w+)\n?", body)
        kind, text = template_oracle.render(dict(context, template=source))
        if kind == "error":
            kept = rest[1] if rest and rest[0] == "error" else ""
            text = kept
        out.append(f"=== {name}\n{source}\n--- {kind}" + (f"\n{text}" if text else ""))
    write("jinja.case", "\n".join(out) + "\n")
    print(f"{len(out) - 1} cases")


if __name__ == "__main__":
    print(f"transformers {transformers.__version__}, jinja2 {jinja2.__version__}")
    cases()
    vectors()
