#!/usr/bin/env python3
"""Encoding speed against the tokenizers package, in turns, one thread, CPU time.

    python compare.py --bench build/bench/bench_tokenizer [--folder TOKENIZER]... [--megabytes 10]

Without --folder tokenizers are trained on the spot from the same text: code and prose of this
Python installation, and words in many scripts. A document has about 8 KB."""
import argparse
import os
import pathlib
import random
import subprocess
import sys
import sysconfig
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../tools/goldens/tokenizers"))
import cases  # noqa: E402
from tokenizers import (Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers,  # noqa: E402
                        trainers)


def documents(megabytes, rng):
    files = sorted(pathlib.Path(sysconfig.get_paths()["stdlib"]).rglob("*.py"))
    files = [f for f in files if "site-packages" not in str(f)]
    rng.shuffle(files)
    out, size = [], 0
    for f in files * 3:
        text = f.read_text(encoding="utf-8", errors="ignore").replace("\0", "")
        for i in range(0, len(text), 8000):
            part = text[i:i + 8000]
            if rng.random() < 0.35:
                words = " ".join(cases.SCRIPTS).split() + cases.WORDS
                part = " ".join(rng.choice(words) for _ in range(900))
            out.append(part)
            size += len(part.encode())
            if size > megabytes * 1e6:
                return out
    return out


def split(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def trained(texts):
    sample = texts[:300]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    for name, pre in (("gpt2", pre_tokenizers.ByteLevel(add_prefix_space=False)),
                      ("llama3", split(cases.LLAMA3)), ("o200k", split(cases.O200K))):
        t = Tokenizer(models.BPE())
        t.pre_tokenizer = pre
        t.decoder = decoders.ByteLevel()
        t.train_from_iterator(sample, trainers.BpeTrainer(
            vocab_size=16000, show_progress=False, initial_alphabet=alphabet))
        yield name, t
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(sample, trainers.WordPieceTrainer(
        vocab_size=16000, show_progress=False, special_tokens=["[UNK]"]))
    yield "bert", t
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.train_from_iterator(sample[:150], trainers.UnigramTrainer(
        vocab_size=8000, show_progress=False, unk_token="<unk>", special_tokens=["<unk>"]))
    yield "unigram", t
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    t.train_from_iterator(sample, trainers.BpeTrainer(
        vocab_size=8000, show_progress=False, limit_alphabet=1000,
        special_tokens=["<unk>"] + cases.BYTE_TOKENS))
    yield "spm", t


def ours(bench, folder, text):
    out = subprocess.run([bench, folder, text], capture_output=True, text=True, check=True).stdout
    lines = {x.split()[0]: x.split() for x in out.splitlines()}
    return float(lines["encode"][1]), int(lines["encode"][5]), lines["open"][1], lines["detokenize"][1]


def theirs(t, texts):
    from_ = time.thread_time()
    n = sum(len(t.encode(x, add_special_tokens=False).ids) for x in texts)
    return time.thread_time() - from_, n


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bench", default="build/bench/bench_tokenizer")
    p.add_argument("--folder", action="append", default=[])
    p.add_argument("--megabytes", type=float, default=10)
    p.add_argument("--turns", type=int, default=3)
    a = p.parse_args()
    texts = documents(a.megabytes, random.Random(7))
    size = sum(len(x.encode()) for x in texts)
    with tempfile.TemporaryDirectory() as top:
        path = os.path.join(top, "text")
        with open(path, "wb") as f:
            f.write(b"\0".join(x.encode() for x in texts))
        rows = ([(os.path.basename(x), Tokenizer.from_file(x + "/tokenizer.json"), x) for x in a.folder]
                or [(name, t, "") for name, t in trained(texts)])
        print(f"{size / 1e6:.1f} MB, {len(texts)} documents, load {os.getloadavg()[0]:.1f}")
        for name, t, folder in rows:
            if not folder:
                folder = os.path.join(top, name)
                os.makedirs(folder)
                t.save(folder + "/tokenizer.json")
            we, they = [], []
            for _ in range(a.turns):
                seconds, n, opened, detokenized = ours(a.bench, folder, path)
                spent, m = theirs(t, texts)
                we.append(seconds)
                they.append(spent)
                if n != m:
                    print(f"{name}: {n} tokens, tokenizers gives {m}")
            print(f"{name:10} ours {min(we):7.3f} s {size / 1e6 / min(we):7.1f} MB/s   tokenizers "
                  f"{min(they):7.3f} s   {min(they) / min(we):5.2f} x   open {opened} ms, "
                  f"detokenize {detokenized} us/token", flush=True)


main()
