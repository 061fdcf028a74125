#!/usr/bin/env python3
"""Random regular expressions: the cuts of a built command against those of the tokenizers package.

    python fresh_regex.py --command 'build/mlxengine' --count 300 [--seed N]

A pattern that the command refuses, or whose limit it reports, is counted: the package answers such
a limit with "no match", we with an error. Any other difference is printed; the exit status is 1."""
import argparse
import json
import os
import random
import sys
import tempfile
import time

os.environ["RUST_BACKTRACE"] = "0"
import cases  # noqa: E402
from fresh import ask  # noqa: E402
from tokenizers import Regex, Tokenizer, models, pre_tokenizers  # noqa: E402

CHARACTERS = list("abcdeé中 1._xA")
ESCAPES = (r"\w \W \s \S \d \D \h \H \p{L} \P{L} \p{Lu} \p{N} \p{^N} \p{M} \p{Han} . \R \N \O \n "
           r"\t \x41 \u00e9 \x{4e2d} \/ \-").split()
ITEMS = (r"a-f A-Z 0-9 é \w \s \d \p{L} \P{N} \p{Lu} _ \- \] x [:alpha:] [:^digit:] [b-d] [^a-m] "
         r"&&a-z &&[^aeiou] \h 中-龥 \S \W").split()
ANCHORS = r"\b \B ^ $ \A \z \Z (?<=a) (?<!\s) (?<=\p{L})".split()
REPEATS = ["", "", "", "?", "*", "+", "??", "*?", "+?", "?+", "*+", "++", "{2}", "{1,3}", "{,2}",
           "{2,}", "{1,2}?", "{2}?", "{1,2}+", "{0}+"]


def atom(rng, depth):
    """-> text, whether it can be repeated"""
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(CHARACTERS).replace(".", r"\."), True
    if kind < 0.5:
        return rng.choice(ESCAPES), True
    if kind < 0.75:
        items = "".join(rng.choice(ITEMS) for _ in range(rng.randint(1, 4)))
        if items.startswith("&&"):
            items = "a-z" + items
        return "[" + rng.choice(["", "", "^"]) + items + "]", True
    if kind < 0.85 and depth < 3:
        return rng.choice(["(?:", "(", "(?>", "(?i:", "(?m:"]) + pattern(rng, depth + 1) + ")", True
    if kind < 0.93 and depth < 3:
        return rng.choice(["(?=", "(?!"]) + pattern(rng, depth + 1) + ")", False
    return rng.choice(ANCHORS), False


def pattern(rng, depth=0):
    branches = []
    for _ in range(rng.choice([1, 1, 2, 3])):
        text = ""
        for _ in range(rng.randint(1, 4)):
            piece, repeats = atom(rng, depth)
            text += piece + (rng.choice(REPEATS) if repeats else "")
        branches.append(text)
    return "|".join(branches)


def with_groups(rng):
    """References to groups, by name and by number."""
    shape = rng.choice([r"(?<n>%s)%s\k<n>", r"(?<n>%s)%s\g<n>", r"(%s)%s\g<1>", r"(%s)%s\k<-1>",
                        r"(?'n'%s)(?:%s)\k'n'", r"(%s)%s\k<1>"])
    return shape % (pattern(rng, 1), pattern(rng, 1))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--command", default="build/mlxengine")
    p.add_argument("--count", type=int, default=300)
    p.add_argument("--seed", type=int, default=int(time.time()))
    a = p.parse_args()
    totals = {"equal": 0, "differs": 0, "refused": 0, "limit": 0, "not drawn": 0}
    for i in range(a.count):
        rng = random.Random(a.seed * 1000003 + i)
        regex = ("(?i)" if rng.random() < 0.1 else "")
        regex += with_groups(rng) if rng.random() < 0.1 else pattern(rng)
        t = Tokenizer(models.WordLevel(vocab={"<unk>": 0, "x": 1}, unk_token="<unk>"))
        try:
            t.pre_tokenizer = pre_tokenizers.Split(Regex(regex), "isolated")
        except BaseException:
            totals["not drawn"] += 1
            continue
        texts = [cases.random_string(rng, 25) for _ in range(12)] + rng.sample(cases.FIXED, 12)
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
                f.write(t.to_str())
            rc, got, err = ask(a.command, "tokenize", folder, [{"text": x} for x in texts])
        verdict = "refused" if rc == 8 else "equal"
        for text, g in zip(texts, got):
            w = cases.answer(t, text)
            if "error" in w or g == w:
                continue
            verdict = "limit" if "limit" in json.dumps(g.get("error", "")) else "differs"
            if verdict == "differs":
                print(f"[{i}] {regex!a} on {text!a}\n  want {w['offsets']}\n  got  {g}", flush=True)
            break
        totals[verdict] += 1
    print(f"seed {a.seed}: {totals}")
    sys.exit(1 if totals["differs"] else 0)


main()
