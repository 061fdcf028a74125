#!/usr/bin/env python3
"""Opening large tokenizer.json files: one of each shape that published models have, made up on the spot.

    python bench/text/large.py --bench build/bench/bench_tokenizer [--only SHAPE] [--turns 3]

Strings are put together from others as merges do it, the script of a string at random, so that lengths and
letters are near those of real vocabularies. Times are CPU time of one thread, the least of the turns, and per
11 MB of the file."""
import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile

BYTES = [chr(c) for c in [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]]
BYTES += [chr(256 + i) for i in range(256 - len(BYTES))]
SCRIPTS = ["etaoinshrdlcumwfgypbvk", "ETAOINSHRDLC", "абвгдежзиклмнопрстуя", "αβγδεικλμνοπρστ", "的一是不了人我在有他这中大来上国",
           "あいうえおかきくけこ", "가나다라마바사아", "אבגדהוזחטיכל", "0123456789", "_-=/.,:;()[]{}", "हिन्दीकखगत"]
WEIGHTS = [50, 8, 10, 3, 9, 4, 4, 2, 3, 4, 3]


def merges(rng, alphabet, starts, count, longest):
    """-> tokens in the order of their ids, merges: pairs of them"""
    tokens, pairs, known = list(alphabet), [], set(alphabet)
    pools = [list(x) for x in starts]
    while len(pairs) < count:
        pool = pools[rng.choices(range(len(pools)), WEIGHTS[:len(pools)])[0]]
        left = pool[int(len(pool) * rng.random() ** 2)]
        right = pool[int(len(pool) * rng.random() ** 3)]
        text = left + right
        if text in known or len(text) > longest or "\u2581" in right or "\u0120" in right:
            continue
        known.add(text)
        tokens.append(text)
        pool.append(text)
        pairs.append((left, right))
    return tokens, pairs


def byte_bpe(rng, count, as_pairs):
    def level(text):
        table = dict(zip([*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)], BYTES))
        rest = [b for b in range(256) if b not in table]
        table.update({b: chr(256 + i) for i, b in enumerate(rest)})
        return "".join(table[b] for b in text.encode())
    starts = [[level(c) for c in x] + ["\u0120" + level(c) for c in x] for x in SCRIPTS]
    alphabet = list(dict.fromkeys(BYTES + [c for x in starts for c in x]))
    tokens, pairs = merges(rng, alphabet, starts, count, 40)
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
            "vocab": {t: i for i, t in enumerate(tokens)}, "merges": pairs if as_pairs else [" ".join(p) for p in pairs]}


def spm_bpe(rng, count, as_pairs):
    starts = [list(x) + ["\u2581" + c for c in x] for x in SCRIPTS]
    special = ["<pad>", "<eos>", "<bos>", "<unk>"] + [f"<0x{i:02X}>" for i in range(256)]
    tokens, pairs = merges(rng, [c for x in starts for c in x], starts, count, 16)
    tokens = special + [x for x in tokens if len(x) > 1] + [x for x in tokens if len(x) == 1]  # characters come last
    return {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
            "vocab": {t: i for i, t in enumerate(tokens)}, "merges": pairs if as_pairs else [" ".join(p) for p in pairs]}


def unigram(rng, count):
    starts = [list(x) + ["\u2581" + c for c in x] for x in SCRIPTS]
    tokens, _ = merges(rng, [c for x in starts for c in x], starts, count, 16)
    rng.shuffle(tokens)
    vocab = [[t, 0.0] for t in ("<s>", "<pad>", "</s>", "<unk>")]
    vocab += [[t, -math.log(i + 3) - 3 - rng.random() * 1e-3] for i, t in enumerate(tokens)] + [["<mask>", 0.0]]
    return {"type": "Unigram", "unk_id": 3, "vocab": vocab}


def word_piece(rng, count):
    starts = [list(x) + ["##" + c for c in x] for x in SCRIPTS]
    words = {}
    while len(words) < count:
        chars = rng.choices(SCRIPTS, WEIGHTS)[0]
        word = "".join(chars[int(len(chars) * rng.random() ** 2)] for _ in range(rng.randint(1, 10)))
        words[("##" if rng.random() < 0.3 else "") + word] = len(words)
    return {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": {**{x: i for i, x in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + sorted(
                x for c in starts for x in c if x not in words))}, **{x: 10000 + i for x, i in words.items()}}}


SHAPES = {  # name: model, indented as transformers saves it
    "llama3_strings": (lambda r: byte_bpe(r, 280000, False), True),
    "llama3_pairs": (lambda r: byte_bpe(r, 128000, True), True),
    "qwen_strings": (lambda r: byte_bpe(r, 151000, False), False),
    "o200k_strings": (lambda r: byte_bpe(r, 199000, False), True),
    "o200k_pairs": (lambda r: byte_bpe(r, 199000, True), False),
    "xlmr_unigram": (lambda r: unigram(r, 250000), False),
    "xlmr_unigram_indented": (lambda r: unigram(r, 250000), True),
    "gemma_strings": (lambda r: spm_bpe(r, 256000, False), True),
    "gemma_pairs": (lambda r: spm_bpe(r, 256000, True), True),
    "mbert_wordpiece": (lambda r: word_piece(r, 120000), True),
    "wordpiece_400k": (lambda r: word_piece(r, 400000), True),
}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bench", default="build/bench/bench_tokenizer")
    p.add_argument("--only", default="")
    p.add_argument("--turns", type=int, default=3)
    p.add_argument("--keep", default="", help="folder for the files, which are used again")
    a = p.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory() as top:
        for name, (make, indented) in SHAPES.items():
            if a.only and name not in a.only.split():
                continue
            folder = os.path.join(a.keep or top, name)
            path = os.path.join(folder, "tokenizer.json")
            if not os.path.exists(path):
                os.makedirs(folder, exist_ok=True)
                with open(path, "w", encoding="utf-8") as f:
                    json.dump({"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
                               "post_processor": None, "decoder": None, "model": make(random.Random(7))},
                              f, ensure_ascii=False, indent=2 if indented else None,
                              separators=None if indented else (",", ":"))
            size = os.path.getsize(path) / 1e6
            best = 1e9
            for _ in range(a.turns):
                out = subprocess.run([a.bench, folder, "/dev/null"], capture_output=True, text=True, check=True).stdout
                best = min(best, float(out.split()[1]))
            worst = max(worst, best * 11 / size)
            print(f"{name:22} {size:5.1f} MB  {best:6.1f} ms   {best * 11 / size:6.1f} ms for 11 MB", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}, worst {worst:.1f} ms for 11 MB")
    sys.exit(0)


main()
