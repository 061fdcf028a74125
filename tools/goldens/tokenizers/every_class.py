#!/usr/bin/env python3
"""Every tokenizer class of transformers on folders without tokenizer.json: what a built command makes of them.

    python every_class.py --command 'build/mlxengine' [--seed N] [--only "CLASS CLASS"] [--strings 60] [--saved]

Each class is given the files that it names, filled with a model trained on the spot (SentencePiece unigram
and BPE, byte-level vocab.json and merges.txt, vocab.txt). With --saved the folder is what the class then saves:
a tokenizer.json. One line a class and kind of file: equal, refused (by
name), differs, or that the package itself does not open it. The exit status is 1 when one differs."""
import argparse
import inspect
import json
import os
import random
import shutil
import sys
import tempfile
import time

import files  # noqa: E402  (sets the environment of transformers)
import cases  # noqa: E402
import transformers  # noqa: E402
from fresh import ask  # noqa: E402

SKIP = {"PreTrainedTokenizer", "PreTrainedTokenizerFast", "PythonBackend", "SentencePieceBackend",
        "AutoTokenizer", "MistralCommonBackend", "MistralCommonTokenizer", "TokenizersBackend"}


def classes():
    yield "TokenizersBackend", transformers.TokenizersBackend
    for name in sorted(x for x in dir(transformers) if "Tokenizer" in x):
        if name in SKIP or name.endswith("Fast"):
            continue
        try:
            cls = getattr(transformers, name)
            named = inspect.isclass(cls) and getattr(cls, "vocab_files_names", None)
        except Exception:  # it wants a package that is not here
            continue
        if named:
            yield name, cls


def kinds(names, lines, rng):
    """-> kind, files, for the names of files that a class asks for"""
    vocab, merges = names.get("vocab_file", ""), names.get("merges_file", "")
    if vocab.endswith(".model"):
        file = vocab
        special = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
        for kind in ("unigram", "bpe"):
            yield kind, {file: files.spm(lines, kind, 600)}
            yield kind + "_padded", {file: files.spm(lines, kind, 600, normalization_rule_name="identity", **special)}
        yield "llama_bpe", {file: files.spm(lines, "bpe", 700, **files.LLAMA)}
    elif merges and vocab:
        model = files.byte_bpe(lines)
        n = len(model["vocab"])
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>", "<|startoftext|>"]
        words = {**model["vocab"], **{x: n + i for i, x in enumerate(special)}}
        yield "merges", {vocab: words, merges: "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in model["merges"])}
    elif vocab.endswith(".txt"):
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<unk>", "<pad>", "<mask>"]
        words += sorted({w for x in lines for w in x.lower().split()})[:300] + ["##" + chr(c) for c in range(97, 123)]
        words += [chr(c) for c in range(33, 127)]
        yield "words", {vocab: "".join(w + "\n" for w in words)}


def answer(t, q):
    backend = getattr(t, "backend_tokenizer", None) or getattr(t, "_tokenizer", None)
    if backend is not None and hasattr(backend, "no_padding"):
        backend.no_truncation()
        backend.no_padding()
        return cases.answer(backend, q["text"], None, q["add_special_tokens"])
    return {"ids": t(q["text"], add_special_tokens=q["add_special_tokens"])["input_ids"]}


def saved(cls, folder):
    """The same folder as the class saves it; False: not with a tokenizer.json"""
    with tempfile.TemporaryDirectory() as to:
        try:
            cls.from_pretrained(folder).save_pretrained(to)
        except BaseException:
            return False
        if not os.path.exists(os.path.join(to, "tokenizer.json")):
            return False
        shutil.rmtree(folder)
        shutil.copytree(to, folder)
    return True


def verdict(command, folder, questions):
    try:
        t = transformers.AutoTokenizer.from_pretrained(folder)
        wanted = [answer(t, q) for q in questions]
    except BaseException as error:
        wanted = "the package does not open it: " + str(error).replace("\n", " ")[:80]
    rc, got, err = ask(command, "tokenize", folder, questions)
    if rc or len(got) != len(questions):
        said = "refused" if rc == 8 else f"failed ({rc})"
        why = err.strip().split("\n")[0].split(folder)[-1][-100:]
        return said, why + (f"; {wanted}" if isinstance(wanted, str) else "")
    if isinstance(wanted, str):
        return "ours alone", wanted
    for q, w, g in zip(questions, wanted, got):
        if "error" not in w and {k: g.get(k) for k in w} != w:
            return "differs", f"({type(t).__name__}) {q['text']!r}\n    want {w}\n    got  {g}"
    return "equal", type(t).__name__


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--command", default="build/mlxengine")
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--strings", type=int, default=60)
    p.add_argument("--only", default="")
    p.add_argument("--saved", action="store_true")
    a = p.parse_args()
    rng = random.Random(a.seed)
    lines = [x.strip() for x in cases.corpus(rng, 400)]
    texts = [x for x in list(cases.FIXED) + [cases.random_string(rng) for _ in range(a.strings)] if "\0" not in x]
    questions = [{"text": x, "add_special_tokens": i % 3 != 1} for i, x in enumerate(texts)]
    totals, made = {}, {}
    for name, cls in classes():
        if a.only and name not in a.only.split():
            continue
        names = {k: v for k, v in cls.vocab_files_names.items() if isinstance(v, str) and v}
        if list(names) == ["tokenizer_file"]:  # a SentencePiece model is found by its usual names
            names = {"vocab_file": "tokenizer.model"}
        key = json.dumps(names, sort_keys=True)
        if key not in made:
            made[key] = list(kinds(names, lines, rng))
        if name == "TokenizersBackend":
            made[key] = list(kinds({"vocab_file": "tokenizer.model"}, lines, rng))
        for kind, content in made[key] or [("", {})]:
            with tempfile.TemporaryDirectory() as folder:
                for file, value in {**content, "tokenizer_config.json": {"tokenizer_class": name}}.items():
                    files.save(folder, file, value)
                drawn = content and (not a.saved or saved(cls, folder))
                said, why = verdict(a.command, folder, questions) if drawn else ("not drawn", str(names))
            totals[said] = totals.get(said, 0) + 1
            print(f"{name:32} {kind:16} {said:10} {why}", flush=True)
    print(f"seed {a.seed}: {totals}")
    sys.exit(1 if totals.get("differs") else 0)


if __name__ == "__main__":
    main()
