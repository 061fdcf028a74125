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

CHARACTERS = list("abcdeé中 1._xA<$€")
# letters that fold to several, and texts that they fold to
FOLDING = ["s", "S", "\u017f", "\u00df", "\u1e9e", "f", "i", "l", "t", "\ufb00", "\ufb03", "\ufb06", "k",
           "\u212a", "\u0130", "\u0307", "I", "\u0345", "\u03b1", "\u03b9", "\u0391", "\u1fb3", "\u1f80",
           "\u1f88", "\u0149", "\u02bc", "n", "\u01c5", "\u01c4", "\u0587", "\u10d0", "\u1c90", "\u24d0", "\u1c89",
           "\u1c8a", "\ua7cb", "\u0264", "\U00010d51", "\U00010d71"]
# of every class of text segments
SEGMENTS = ["\u0301", "\u200d", "\u0903", "\u0600", "\r", "\n", "\u200b", "\u1100", "\u1161", "\u11a8",
            "\uac00", "\uac01", "\U0001f1e6", "\U0001f1e7", "\u263a", "\U0001f3fd", "\U0001f469", "a"]
ESCAPES = (r"\w \W \s \S \d \D \h \H \p{L} \P{L} \p{Lu} \p{N} \p{^N} \p{M} \p{Han} . \R \N \O \n "
           r"\t \x41 \u00e9 \x{4e2d} \/ \-").split()
ITEMS = (r"a-f A-Z 0-9 é \w \s \d \p{L} \P{N} \p{Lu} _ \- \] x [:alpha:] [:^digit:] [:punct:] [:^punct:] [:word:] [b-d] [^a-m] "
         r"&&a-z &&[^aeiou] \h 中-龥 \S \W").split()
ANCHORS = r"\b \B ^ $ \A \z \Z (?<=a) (?<!\s) (?<=\p{L})".split()
REPEATS = ["", "", "", "?", "*", "+", "??", "*?", "+?", "?+", "*+", "++", "{2}", "{1,3}", "{,2}",
           "{2,}", "{1,2}?", "{2}?", "{1,2}+", "{0}+"]
# bodies of bounded repeats that may be empty, first, last, in between, or alone
HOLLOW = ["%s|", "|%s", "%s||%s", "%s?", "%s*", "%s??", "%s*?%s?", "%s?%s?", "(?>%s?)", "(?>%s?)%s*", "(%s)?",
          r"\b|%s", "(?=%s)%s?", "%s?+", "%s?|%s*", "(?>|%s)", r"\b%s?", "(?:%s?){2}", "(?:%s?){1,2}?"]
COUNTS = ["{2}", "{3}", "{1,3}", "{,2}", "{2,}", "{2,3}", "{2,3}?", "{3}?", "{2}+", "{1,2}+", "{20}", "*", "+", "+?"]


def atom(rng, depth):
    """-> text, whether it can be repeated"""
    kind = rng.random()
    if kind < 0.03:
        return r"\X", True
    if kind < 0.05:
        return rng.choice([r"\y", r"\Y"]), False
    if kind < 0.07 and depth < 2:
        return "(?~" + pattern(rng, depth + 2) + ")", True
    if kind < 0.1 and depth < 2:
        body = rng.choice(HOLLOW)
        return "(?:" + body % tuple(atom(rng, 3)[0] for _ in range(body.count("%"))) + ")" + rng.choice(COUNTS), False
    if kind < 0.14:
        return rng.choice(FOLDING), True
    if kind < 0.3:
        return rng.choice(CHARACTERS).replace(".", r"\."), True
    if kind < 0.5:
        return rng.choice(ESCAPES), True
    if kind < 0.75:
        items = "".join(rng.choice(ITEMS) for _ in range(rng.randint(1, 4)))
        if rng.random() < 0.2:
            items += rng.choice(FOLDING)
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
                        r"(?'n'%s)(?:%s)\k'n'", r"(%s)%s\k<1>", r"(%s)?x?(?(1)%s|b)",
                        r"(?<n>%s)?(?(<n>)a|%s)", r"(?(%s)%s|c)", r"x?(?(%s)|%s)", r"(?:(%s)|%s\1)",
                        r"(?:(%s)?|%s)\1", r"(?:(a?)|%s\1){2}%s", r"(?y{g})%s%s", r"%s(?:%s\K|a)"])
    text = shape % (pattern(rng, 1), pattern(rng, 1))
    return "(?:" + text + ")" + rng.choice(COUNTS) if rng.random() < 0.3 and "<n>" not in text else text


def text_of(rng, letters):
    return "".join(rng.choice(letters) for _ in range(rng.randint(1, 12)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--command", default="build/mlxengine")
    p.add_argument("--count", type=int, default=300)
    p.add_argument("--seed", type=int, default=int(time.time()))
    a = p.parse_args()
    totals = {"equal": 0, "differs": 0, "refused": 0, "limit": 0, "not drawn": 0}
    for i in range(a.count):
        rng = random.Random(a.seed * 1000003 + i)
        regex = ("(?i)" if rng.random() < 0.3 else "")
        regex += with_groups(rng) if rng.random() < 0.15 else pattern(rng)
        t = Tokenizer(models.WordLevel(vocab={"<unk>": 0, "x": 1}, unk_token="<unk>"))
        try:
            t.pre_tokenizer = pre_tokenizers.Split(Regex(regex), "isolated")
        except BaseException:
            totals["not drawn"] += 1
            continue
        texts = [cases.random_string(rng, 25) for _ in range(12)] + rng.sample(cases.FIXED, 12)
        texts += [text_of(rng, FOLDING) for _ in range(12)] + [text_of(rng, SEGMENTS) for _ in range(8)]
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
                f.write(t.to_str())
            rc, got, err = ask(a.command, "tokenize", folder, [{"text": x} for x in texts])
        verdict = "refused" if rc == 8 else "equal"
        for text, g in zip(texts, got if rc != 8 else []):
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
