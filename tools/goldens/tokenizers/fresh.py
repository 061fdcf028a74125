#!/usr/bin/env python3
"""Draws fresh tokenizers and strings and compares a built command with the tokenizers package.

    python fresh.py --command 'build/mlxengine' --count 200 [--seed N] [--strings 60] [--families]

--families: instead of options at random, --count tokenizers of each family in families.py.

The command is called as `COMMAND tokenize FOLDER --lines` and `COMMAND detokenize FOLDER --lines`.
A difference is printed with all that reproduces it; the exit status is 1."""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time

os.environ["RUST_BACKTRACE"] = "0"  # the package panics on some combinations; traces are slow
import cases  # noqa: E402
import families  # noqa: E402


def ask(command, verb, folder, lines):
    text = "".join(json.dumps(x) + "\n" for x in lines)
    done = subprocess.run([*command.split(), verb, folder, "--lines"], input=text.encode(),
                          capture_output=True)
    out = [json.loads(x) for x in done.stdout.split(b"\n") if x]
    return done.returncode, out, done.stderr.decode(errors="replace")


def compare(command, t, name, texts, rng, folder):
    t = cases.Tokenizer.from_str(t.to_str())  # as the file says, not as it was built
    path = os.path.join(folder, "tokenizer.json")
    with open(path, "w", encoding="utf-8") as f:
        f.write(t.to_str())
    questions, wanted = [], []
    for i, text in enumerate(texts):
        pair = rng.choice(texts) if i % 7 == 3 else None
        special = i % 3 != 1
        q = {"text": text, "add_special_tokens": special}
        if pair is not None:
            q["pair"] = pair
        questions.append(q)
        wanted.append(cases.answer(t, text, pair, special))
    rc, got, err = ask(command, "tokenize", folder, questions)
    if rc == 8:
        return "unsupported", err.strip(), 0
    if rc or len(got) != len(questions):
        return "failed", f"exit {rc}, {len(got)} answers of {len(questions)}: {err.strip()}", 0
    checked = 0
    for q, w, g in zip(questions, wanted, got):
        if "error" in w:
            continue  # the package has no answer
        g.pop("truncated", None)
        checked += 1
        if g != w:
            return "differs", f"{name} {json.dumps(q)}\n  want {w}\n  got  {g}", checked
    lists = [w["ids"] for w in wanted if "error" not in w]
    size = t.get_vocab_size()
    lists += [[rng.randrange(size + 3) for _ in range(rng.randint(0, 12))] for _ in range(len(texts))]
    questions = [{"ids": ids, "skip_special_tokens": i % 2 == 0} for i, ids in enumerate(lists)]
    rc, got, err = ask(command, "detokenize", folder, questions)
    if rc or len(got) != len(questions):
        return "failed", f"detokenize: exit {rc}, {len(got)} answers: {err.strip()}", checked
    for q, g in zip(questions, got):
        try:
            w = t.decode(q["ids"], skip_special_tokens=q["skip_special_tokens"])
        except BaseException:
            continue
        checked += 1
        if g.get("text") != w:
            return "differs", f"{name} {q}\n  want {w!r}\n  got  {g}", checked
    return "equal", "", checked


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--command", default="build/mlxengine")
    p.add_argument("--count", type=int, default=100)
    p.add_argument("--strings", type=int, default=60)
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--families", nargs="?", const=" ".join(families.FAMILIES), default="")
    p.add_argument("--keep", default="", help="folder for tokenizers that differ")
    a = p.parse_args()
    totals, bad, pairs = {}, 0, 0
    names = a.families.split()
    for i in range(a.count * max(1, len(names))):
        seed = a.seed * 100003 + i
        rng = random.Random(seed)
        kind = names[i % len(names)] if names else ""
        try:
            if kind:
                t = families.FAMILIES[kind](rng, cases.corpus(rng, 200))
            else:
                kind, t = cases.draw(rng)
        except BaseException as error:
            totals["not drawn"] = totals.get("not drawn", 0) + 1
            continue
        texts = rng.sample(cases.FIXED, min(len(cases.FIXED), a.strings // 2))
        texts += [cases.random_string(rng) for _ in range(a.strings - len(texts))]
        with tempfile.TemporaryDirectory() as folder:
            verdict, why, checked = compare(a.command, t, f"{kind} seed {seed}", texts, rng, folder)
        totals[verdict] = totals.get(verdict, 0) + 1
        pairs += checked
        if verdict != "equal":
            bad += verdict != "unsupported"
            print(f"[{i}] {verdict}: {why}", flush=True)
            if a.keep:
                os.makedirs(a.keep, exist_ok=True)
                with open(os.path.join(a.keep, f"{seed}.json"), "w", encoding="utf-8") as f:
                    f.write(t.to_str(pretty=True))
    print(f"seed {a.seed}: {totals}, {pairs} answers compared")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
