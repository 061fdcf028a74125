#!/usr/bin/env python3
"""check_goldens.py --mlxengine PATH: the committed goldens and config cases through the command.

The quick form of the C tests, for use while something is being changed: numpy only. Each golden
folder is answered by `logits MODEL --lines` (the whole pass, then the pass behind each greedy
token), bad configs must be refused with status 2, 7 or 8 and the given words, good ones must agree.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

import st

GOLDEN = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                       "../../tests/golden"))


def rel_rms(got, want):
    got, want = got.astype(np.float64), want.astype(np.float64)
    return float(np.sqrt(((got - want) ** 2).mean() / (want ** 2).mean()))


def run(binary, folder, lists, scratch):
    """-> (process, list of logits)"""
    files = [os.path.join(scratch, f"{i}.st") for i in range(len(lists))]
    text = "".join(json.dumps({"ids": ids, "out": f}) + "\n" for ids, f in zip(lists, files))
    p = subprocess.run([binary, "logits", folder, "--lines"], input=text, text=True,
                       capture_output=True, timeout=120)
    lines = [json.loads(line) for line in p.stdout.splitlines()] if p.returncode == 0 else []
    if len(lines) == len(lists) and all(line.get("ok") for line in lines):
        return p, [st.load(f)["logits"] for f in files]
    return p, None


def said(p):
    return f"status {p.returncode}: {(p.stderr or p.stdout).strip()[:200]}"


def golden(binary, folder, scratch):
    """-> (passed, text)"""
    want = st.load(os.path.join(folder, "expected.safetensors"))
    ids, greedy = want["ids"].tolist(), want["greedy_ids"].tolist()
    lists = [ids] + [ids + greedy[:n] for n in range(1, len(greedy))]
    p, got = run(binary, folder, lists, scratch)
    if got is None:
        return False, said(p)
    error = rel_rms(got[0], want["logits"])
    right = sum(int(x[-1].argmax()) == g for x, g in zip(got, greedy))
    return error <= 1e-4 and right == len(greedy), \
        f"relative RMS {error:.2e}, greedy {right}/{len(greedy)}"


def config_case(binary, file, base, scratch):
    """A folder of the base's weights and this config -> (process, logits, reference)"""
    folder = os.path.join(scratch, "model")
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    for name in os.listdir(base):
        if name.startswith("model"):
            os.symlink(os.path.realpath(os.path.join(base, name)), os.path.join(folder, name))
    os.symlink(file, os.path.join(folder, "config.json"))
    want = st.load(os.path.join(base, "expected.safetensors"))
    p, got = run(binary, folder, [want["ids"].tolist()], scratch)
    return p, got, want["logits"]


def configs(binary, kind, scratch):
    with open(os.path.join(GOLDEN, kind, "CASES.txt"), encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f]
    for file, base, words in rows:
        p, got, want = config_case(binary, os.path.join(GOLDEN, kind, file),
                                   os.path.join(GOLDEN, base), scratch)
        if kind == "good-config":
            error = rel_rms(got[0], want) if got else None
            yield f"{kind}/{file}", error is not None and error <= 1e-4, \
                said(p) if got is None else f"relative RMS {error:.2e}"
            continue
        missing = [w for w in words.split(",") if w != "-" and w not in p.stderr]
        yield f"{kind}/{file}", p.returncode in (2, 7, 8) and not missing, \
            said(p) + (f" (missing: {missing})" if missing else "")


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--mlxengine", required=True)
    args.add_argument("--verbose", action="store_true")
    args = args.parse_args()
    binary, bad, total = os.path.abspath(args.mlxengine), 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        with open(os.path.join(GOLDEN, "INDEX.txt"), encoding="utf-8") as f:
            names = f.read().split()
        rows = [(n, *golden(binary, os.path.join(GOLDEN, n), scratch)) for n in names]
        for kind in ("good-config", "bad-config"):
            rows += configs(binary, kind, scratch)
    for name, passed, text in rows:
        bad, total = bad + (not passed), total + 1
        if args.verbose or not passed:
            print(f"{'ok  ' if passed else 'FAIL'} {name}: {text}")
    print(f"{total - bad} of {total} pass")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
