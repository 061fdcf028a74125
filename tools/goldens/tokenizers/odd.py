#!/usr/bin/env python3
"""Tokenizers written by hand as JSON, without a trainer: unusual orders, nested Sequences, fields
that are absent, null or of old names, added tokens that overlap, truncation and padding of every kind.

    python odd.py --command 'build/mlxengine' --count 300 [--seed N] [--strings 40] [--keep FOLDER]

What the package refuses has to be refused; what it opens has to be opened, with equal answers. A
file that only the package refuses is counted as "only we open". The exit status is 1 on a difference."""
import argparse
import base64
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time

os.environ["RUST_BACKTRACE"] = "0"
import cases  # noqa: E402
from fresh import ask  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

CHARS = list("abcdeXYZ019 .,'-_▁Ġé中\n\t👍ß") + ["e\u0301", "İ", "ﬁ", "\u0301", "\u00a0", "Σ", "ς"]
PARTS = ["the", "in", "##a", "a</w>", "ab", "abc", "bc", "cab", "aa", "aaa", "aaaa", "▁a", "▁", "▁▁", "ing",
         "Ġa", "Ġ", "é", "中文", "<0x41>", "  ", " a", "e ", "THE", "a\n", "\n\n"]
BYTES = cases.BYTE_TOKENS


def maybe(rng, p, a, b=None):
    return a if rng.random() < p else b


# ---- models --------------------------------------------------------------------------------------
def strings(rng, n):
    out = set(rng.sample(CHARS, rng.randint(8, len(CHARS)))) | set(rng.sample(PARTS, rng.randint(3, len(PARTS))))
    while len(out) < n:
        out.add("".join(rng.choice(rng.choice([CHARS, PARTS, "ab", "abc "])) for _ in range(rng.randint(1, 4))))
    return sorted(out, key=lambda _: rng.random())


def numbered(rng, words):
    """{word: id}: dense, with gaps, or in another order."""
    ids = list(range(len(words)))
    kind = rng.random()
    if kind < 0.3:
        rng.shuffle(ids)
    elif kind < 0.5:
        ids = sorted(rng.sample(range(3 * len(words)), len(words)))
    return dict(zip(words, ids))


def bpe(rng):
    prefix = rng.choice([None, None, "", "##", "@@"])
    suffix = rng.choice([None, None, "", "</w>", "@"])
    alphabet = list(cases.pre_tokenizers.ByteLevel.alphabet()) if rng.random() < 0.4 else CHARS
    words = list(dict.fromkeys(c for c in alphabet if len(c) == 1))
    words += [f"{prefix}{w}" for w in list(words) if prefix]
    words += [f"{w}{suffix}" for w in list(words) if suffix]
    words = rng.sample(words, max(8, int(len(words) * rng.uniform(0.6, 1))))
    merges = []
    for _ in range(rng.randint(5, 120)):
        a = rng.choice(words + list("abc") * 3)
        b = rng.choice(words + list("abc") * 3)
        if a not in words or b not in words or " " in a + b or "\n" in a + b:
            continue
        joined = a + (b[len(prefix):] if prefix and b.startswith(prefix) else b)
        if prefix and not b.startswith(prefix):
            continue
        merges.append((a, b))
        if joined not in words:
            words.append(joined)
    if rng.random() < 0.4:
        words += [b for b in BYTES if rng.random() < rng.choice([1, 1, 0.9])]
    unk = rng.choice([None, None, "<unk>", "a", "absent"])
    if unk == "<unk>":
        words.append(unk)
    model = {"type": "BPE", "dropout": None, "unk_token": unk, "continuing_subword_prefix": prefix,
             "end_of_word_suffix": suffix, "fuse_unk": rng.random() < 0.5, "byte_fallback": rng.random() < 0.5,
             "ignore_merges": rng.random() < 0.4, "vocab": numbered(rng, list(dict.fromkeys(words))),
             "merges": [f"{a} {b}" for a, b in merges] if rng.random() < 0.5 else [list(m) for m in merges]}
    if rng.random() < 0.1:
        model["merges"].insert(0, "#version: 0.2")
    if rng.random() < 0.15:
        model["dropout"] = rng.choice([0.0, 0, 1.0, 0.1])
    return model


def unigram(rng):
    words = strings(rng, rng.randint(20, 120))
    scores = rng.choice([
        lambda: rng.uniform(-12, -1), lambda: -float(rng.randint(1, 4)), lambda: 0.0, lambda: rng.uniform(-2, 2),
        lambda: rng.choice([-1, 0, 1, -100.5, 1e-3, -1e30])])
    vocab = [[w, scores()] for w in words]
    if rng.random() < 0.4:
        vocab += [[b, scores()] for b in BYTES if rng.random() < rng.choice([1, 1, 0.95])]
    if rng.random() < 0.2:
        vocab.append([rng.choice(words), scores()])  # one string, two ids
    unk = rng.choice([0, None, rng.randrange(len(vocab)), len(vocab) - 1])
    if rng.random() < 0.05:
        unk = len(vocab)
    model = {"type": "Unigram", "unk_id": unk, "vocab": vocab, "byte_fallback": rng.random() < 0.5}
    if rng.random() < 0.2:
        del model["byte_fallback"]
    if rng.random() < 0.1:
        model["fuse_unk"] = False
    return model


def wordpiece(rng):
    prefix = rng.choice(["##", "##", "", "▁", "@@"])
    words = strings(rng, rng.randint(30, 150))
    words += [prefix + w for w in words if rng.random() < 0.6]
    unk = rng.choice(["[UNK]", "[UNK]", "a", "absent"])
    if unk == "[UNK]":
        words.append(unk)
    return {"type": "WordPiece", "unk_token": unk, "continuing_subword_prefix": prefix,
            "max_input_chars_per_word": rng.choice([0, 1, 3, 5, 20, 100]),
            "vocab": numbered(rng, list(dict.fromkeys(words)))}


def wordlevel(rng):
    words = strings(rng, rng.randint(30, 150))
    unk = rng.choice(["<unk>", "<unk>", "a", "absent", ""])
    if unk == "<unk>":
        words.append(unk)
    return {"type": "WordLevel", "vocab": numbered(rng, words), "unk_token": unk}


# ---- the steps around a model: names and options of every version -----------------------------------
def chance(rng):
    return rng.random() < 0.5


def normalizer(rng, depth=0):
    kind = rng.choice(["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "Strip", "Replace",
                       "Prepend", "BertNormalizer", "Precompiled", "ByteLevel", *(["Sequence"] * 5 if depth < 3 else [])])
    n = {"type": kind}
    if kind == "Sequence":
        n["normalizers"] = [normalizer(rng, depth + 1) for _ in range(rng.choice([0, 1, 2, 2, 3, 4]))]
    elif kind == "Strip":
        n |= {"strip_left": chance(rng), "strip_right": chance(rng)}
    elif kind == "Replace":
        pattern = rng.choice([{"String": rng.choice(["a", " ", "", "aa", "é", "\n", "▁", "e\u0301", "."])},
                              {"Regex": rng.choice([r"\s+", r"a*", r"(?i)the", r"^", r"$", r"(?<=a)", r"\p{M}", r".",
                                                    r"[^a-z]", r"\n*\z", r" {2,}", r"(a|b)+"])}])
        n |= {"pattern": pattern, "content": rng.choice(["", " ", "▁", "aé中", "$0", "\\1", "\u0301"])}
    elif kind == "Prepend":
        n["prepend"] = rng.choice(["▁", " ", "ab", "", "\u0301"])
    elif kind == "BertNormalizer":
        n |= {"clean_text": chance(rng), "handle_chinese_chars": chance(rng),
              "strip_accents": rng.choice([None, True, False]), "lowercase": chance(rng)}
    elif kind == "Precompiled":
        rules = dict(rng.sample(sorted(cases.NMT_RULES.items()), rng.randint(1, len(cases.NMT_RULES))))
        rules |= rng.choice([{}, {"a": "", "b": "aaaa"}, {"ab": "中", "abc": ""}, {" ": "▁"}])
        n["precompiled_charsmap"] = cases.charsmap(rules)
    return n


def pre_tokenizer(rng, depth=0):
    kind = rng.choice(["ByteLevel", "ByteLevel", "Whitespace", "WhitespaceSplit", "Metaspace", "Metaspace", "Split",
                       "Split", "Digits", "Punctuation", "BertPreTokenizer", "CharDelimiterSplit", "UnicodeScripts",
                       "FixedLength", *(["Sequence"] * 6 if depth < 3 else [])])
    p = {"type": kind}
    if kind == "Sequence":
        p["pretokenizers"] = [pre_tokenizer(rng, depth + 1) for _ in range(rng.choice([0, 1, 2, 2, 3, 4]))]
    elif kind == "ByteLevel":
        p |= {"add_prefix_space": chance(rng), "trim_offsets": chance(rng), "use_regex": chance(rng)}
    elif kind == "Metaspace":
        p |= metaspace(rng)
    elif kind == "Split":
        pattern = rng.choice([{"String": rng.choice(["a", " ", "", "aa", "é", "\n", "▁"])},
                              {"Regex": rng.choice(cases.PATTERNS + ["", "a|", "(?=b)", "^|$", r"\b"])}])
        p |= {"pattern": pattern, "behavior": rng.choice(["Removed", "Isolated", "MergedWithPrevious",
                                                          "MergedWithNext", "Contiguous"]), "invert": chance(rng)}
    elif kind == "Digits":
        p["individual_digits"] = chance(rng)
    elif kind == "Punctuation":
        p["behavior"] = rng.choice(["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"])
    elif kind == "CharDelimiterSplit":
        p["delimiter"] = rng.choice(" ae,é中")
    elif kind == "FixedLength":
        p["length"] = rng.randint(1, 6)
    return p


def metaspace(rng):
    """Its three generations of fields."""
    old = {"add_prefix_space": chance(rng)}
    new = {"prepend_scheme": rng.choice(["always", "never", "first"]), "split": chance(rng)}
    fields = rng.choice([new, new, old, old | new, {"prepend_scheme": new["prepend_scheme"]}, {"split": new["split"]}, {}])
    out = {"replacement": rng.choice("▁▁▁_aé")} | fields
    if rng.random() < 0.3:
        out["str_rep"] = out["replacement"]
    return out


def decoder(rng, depth=0):
    kind = rng.choice(["ByteLevel", "ByteFallback", "Fuse", "Replace", "Metaspace", "WordPiece", "BPEDecoder", "CTC",
                       "Strip", *(["Sequence"] * 6 if depth < 3 else [])])
    d = {"type": kind}
    if kind == "Sequence":
        d["decoders"] = [decoder(rng, depth + 1) for _ in range(rng.choice([0, 1, 2, 3, 4]))]
    elif kind == "ByteLevel":
        d |= {"add_prefix_space": chance(rng), "trim_offsets": chance(rng), "use_regex": chance(rng)}
    elif kind == "Replace":
        d |= {"pattern": rng.choice([{"String": rng.choice(["▁", "a", "", "##", "aa"])},
                                     {"Regex": rng.choice(["▁", "a+", "^.", "b*", r"\s"])}]),
              "content": rng.choice([" ", "", "é", "xx"])}
    elif kind == "Metaspace":
        d |= metaspace(rng)
    elif kind == "WordPiece":
        d |= {"prefix": rng.choice(["##", "", "a", "▁"]), "cleanup": chance(rng)}
    elif kind == "BPEDecoder":
        d["suffix"] = rng.choice(["</w>", "", "a", "@"])
    elif kind == "CTC":
        d |= {"pad_token": rng.choice(["<pad>", "a", ""]), "word_delimiter_token": rng.choice(["|", "▁", ""]),
              "cleanup": chance(rng)}
    elif kind == "Strip":
        d |= {"content": rng.choice(" ▁aé"), "start": rng.randint(0, 3), "stop": rng.randint(0, 3)}
    return d


def post_processor(rng, vocab, depth=0):
    ids = list(vocab.items()) or [("a", 0)]
    kind = rng.choice(["TemplateProcessing", "TemplateProcessing", "BertProcessing", "RobertaProcessing", "ByteLevel",
                       *(["Sequence"] * 2 if depth < 2 else [])])
    p = {"type": kind}
    if kind == "Sequence":
        p["processors"] = [post_processor(rng, vocab, depth + 1) for _ in range(rng.choice([0, 1, 2, 3]))]
    elif kind == "ByteLevel":
        p |= {"add_prefix_space": chance(rng), "trim_offsets": chance(rng), "use_regex": chance(rng)}
    elif kind in ("BertProcessing", "RobertaProcessing"):
        p |= {"sep": list(rng.choice(ids)), "cls": list(rng.choice(ids))}
        if kind == "RobertaProcessing":
            p |= {"trim_offsets": chance(rng), "add_prefix_space": chance(rng)}
    else:
        special, row = {}, lambda name: {"SpecialToken": {"id": name, "type_id": rng.randint(0, 3)}}
        for name in rng.sample(["[X]", "<s>", "[Y]", "a"], rng.randint(1, 3)):
            n = rng.choice([1, 1, 1, 2, 3])
            chosen = [rng.choice(ids) for _ in range(n)]
            special[name] = {"id": name, "ids": [i + maybe(rng, 0.1, 1000, 0) for _, i in chosen],
                             "tokens": [w for w, _ in chosen]}
        side = lambda name: {"Sequence": {"id": name, "type_id": rng.randint(0, 3)}}  # noqa: E731
        used = list(special) if rng.random() < 0.97 else [*special, "undeclared"]
        single = [side("A")] + [row(rng.choice(used)) for _ in range(rng.randint(0, 3))]
        pair = [side("A"), side("B")] + [row(rng.choice(used)) for _ in range(rng.randint(0, 4))]
        if rng.random() < 0.15:
            single.append(side("A"))
        if rng.random() < 0.15:
            pair.append(side(rng.choice("AB")))
        rng.shuffle(single)
        rng.shuffle(pair)
        if rng.random() < 0.1:
            pair = []
        p |= {"single": single, "pair": pair, "special_tokens": special}
    return p


ADDED = ["ab", "abc", "bc", "b", " a", "a ", " ", "  ", "\n", "▁", "▁a", "é", "e\u0301", "İ", "ß", "THE", "the", "<s>",
         "</s>", "<|x|>", "<|xy|>", "<|x", "|>", "[MASK]", "a b", "a\nb", "中", "中文", "👍", "\u0301", "##a", "Ġ", "ab",
         "'s", "0", "01", "<0x41>", "ﬁ", "fi", "Σ", "\u00a0", "_", "", "X Y", "aaaa", "<unk>", "[UNK]"]


def added_tokens(rng, vocab):
    out, at = [], 1 + max(vocab.values(), default=-1)
    for name in rng.sample(ADDED, rng.choice([0, 0, 2, 5, 9, 14])):
        t = {"id": vocab.get(name, at), "content": name}
        at += name not in vocab
        for key, p in (("single_word", 0.2), ("lstrip", 0.3), ("rstrip", 0.3), ("normalized", 0.5), ("special", 0.5)):
            t[key] = rng.random() < p
        out.append(t)
    kind = rng.random()
    if kind < 0.1:
        rng.shuffle(out)
    elif kind < 0.15 and out:
        out.append(dict(rng.choice(out), special=chance(rng)))
    elif kind < 0.2 and out:
        rng.choice(out)["id"] += rng.randint(1, 5)
    return out


def truncation(rng):
    length = rng.choice([0, 1, 2, 3, 5, 8, 20])
    out = {"max_length": length, "stride": rng.choice([0, 0, 1, 2, 4]),
           "strategy": rng.choice(["LongestFirst", "OnlyFirst", "OnlySecond"]),
           "direction": rng.choice(["Left", "Right"])}
    if rng.random() < 0.2:
        del out["direction"]
    return out


def padding(rng):
    return {"strategy": rng.choice(["BatchLongest", {"Fixed": rng.randint(0, 15)}]),
            "direction": rng.choice(["Left", "Right"]), "pad_to_multiple_of": rng.choice([None, 0, 1, 4, 8]),
            "pad_id": rng.randint(0, 9), "pad_type_id": rng.randint(0, 3), "pad_token": rng.choice(["<pad>", "a"])}


# ---- fields that are absent, null or otherwise ------------------------------------------------------
def objects(v, path=()):
    if isinstance(v, dict):
        yield path, v
        for k, x in v.items():
            if k not in ("vocab", "merges"):
                yield from objects(x, path + (k,))
    elif isinstance(v, list):
        for i, x in enumerate(v):
            yield from objects(x, path + (i,))


def bent(rng, t):
    """One field is dropped, null, of another type, or there is one that nobody knows."""
    path, o = rng.choice(list(objects(t)))
    kind = rng.random()
    keys = [k for k in o if k not in ("vocab", "merges")]
    if kind < 0.4 and keys:
        k = rng.choice(keys)
        del o[k]
        return f"{path}: without {k}"
    if kind < 0.65 and keys:
        k = rng.choice(keys)
        o[k] = None
        return f"{path}: {k} null"
    if kind < 0.85 and keys:
        k = rng.choice(keys)
        o[k] = rng.choice([True, 0, 1, -1, 1.5, "", "x", [], {}, "ByteLevel", 70000])
        return f"{path}: {k} = {o[k]!r}"
    o["novelty"] = rng.choice([None, 1, "x"])
    return f"{path}: novelty"


def draw(rng):
    model = rng.choice([bpe, bpe, unigram, wordpiece, wordlevel])(rng)
    vocab = model["vocab"] if isinstance(model["vocab"], dict) else \
        {w: i for i, (w, _) in enumerate(model["vocab"])}
    t = {"version": "1.0", "truncation": maybe(rng, 0.25, truncation(rng)), "padding": maybe(rng, 0.25, padding(rng)),
         "added_tokens": added_tokens(rng, vocab), "normalizer": maybe(rng, 0.6, normalizer(rng)),
         "pre_tokenizer": maybe(rng, 0.75, pre_tokenizer(rng)),
         "post_processor": maybe(rng, 0.5, post_processor(rng, vocab)), "decoder": maybe(rng, 0.8, decoder(rng)),
         "model": model}
    name = model["type"]
    if rng.random() < 0.35:
        name += " " + bent(rng, t)
    return name, t


def text(rng):
    if rng.random() < 0.3:
        return cases.random_string(rng)
    if rng.random() < 0.1:
        return rng.choice(cases.FIXED)
    pools = [ADDED, CHARS, PARTS, [" ", "  ", "\n", "a", "ab"], BYTES[60:70]]
    return "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(0, 14)))


def answer(t, q):
    """{"ids", "type_ids", "offsets"}, or None where the package panics. A place is given twice, in bytes
    of the text and in bytes of the pair: where a template repeats a text, or stands behind another,
    the package cannot say which one a token is of."""
    try:
        e = t.encode(q["text"], q.get("pair"), add_special_tokens=q["add_special_tokens"])
    except BaseException:
        return None
    sides = [cases.places(q["text"]), cases.places(q.get("pair") or "")]
    return {"ids": e.ids, "type_ids": e.type_ids,
            "offsets": [[[of[min(i, len(of) - 1)] for i in at] for of in sides] for at in e.offsets]}


def is_equal(want, got):
    return (got.get("ids") == want["ids"] and got.get("type_ids") == want["type_ids"]
            and all(x in both for x, both in zip(got["offsets"], want["offsets"])))


def wavers(data, texts):
    """Whether the package itself answers one way now and another way then (two added tokens that the
    normalizer makes equal), or panics on text outside ASCII (one of which it leaves nothing)."""
    t = Tokenizer.from_str(data)
    if t.normalizer and any(a.normalized and not t.normalizer.normalize_str(a.content)
                            for a in t.get_added_tokens_decoder().values()):
        return True
    answers = set()
    for _ in range(8):
        t = Tokenizer.from_str(data)
        answers.add(json.dumps([answer(t, {"text": x, "add_special_tokens": False}) for x in texts]))
    return len(answers) > 1


def compare(command, name, state, texts, rng, folder):
    data = json.dumps(state, ensure_ascii=chance(rng))
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
        f.write(data)
    try:
        t = Tokenizer.from_str(data)
    except BaseException as error:  # the package panics on some
        t = None
        refusal = str(error)
    questions = [{"text": x, "add_special_tokens": i % 3 != 1,
                  **({"pair": rng.choice(texts)} if i % 4 == 3 else {})} for i, x in enumerate(texts)]
    rc, got, err = ask(command, "tokenize", folder, questions)
    if rc and "is not declared" in err:  # the package panics when it encodes with it
        return "both refuse", "", 0
    if rc == 8:
        return "unsupported" if t else "both refuse", f"{name}: {err.strip()}", 0
    if t is None:
        if rc:
            return "both refuse", "", 0
        return "only we open", f"{name}: {refusal}", 0
    if rc or len(got) != len(questions):
        return "failed", f"{name}: exit {rc}, {len(got)} answers of {len(questions)}: {err.strip()}", 0
    wanted = [answer(t, q) for q in questions]
    checked = 0
    for q, w, g in zip(questions, wanted, got):
        if w is None:
            continue
        checked += 1
        if not is_equal(w, g) and wavers(data, texts):
            return "wavers", "", checked
        if not is_equal(w, g):
            return "differs", f"{name} {json.dumps(q, ensure_ascii=False)}\n  want {w}\n  got  {g}", checked
    size = 1 + max([*t.get_vocab().values(), 0])
    lists = [w["ids"] for w in wanted if w]
    lists += [[rng.randrange(size + 3) for _ in range(rng.randint(0, 12))] for _ in texts]
    questions = [{"ids": ids, "skip_special_tokens": i % 2 == 0} for i, ids in enumerate(lists)]
    rc, got, err = ask(command, "detokenize", folder, questions)
    if rc or len(got) != len(questions):
        return "failed", f"{name}: detokenize: exit {rc}, {len(got)} answers: {err.strip()}", checked
    for q, g in zip(questions, got):
        try:
            w = t.decode(q["ids"], skip_special_tokens=q["skip_special_tokens"])
        except BaseException:
            continue
        checked += 1
        if g.get("text") != w:
            tokens = [t.id_to_token(i) for i in q["ids"]]
            return "differs", f"{name} {q} {tokens}\n  want {w!r}\n  got  {g}", checked
    return "equal", "", checked


def guarded(asked, died, *given, gigabytes=3, seconds=120):
    """asked(*given) in a process of its own, where some files make the package ask for all memory;
    died: the second of its three answers when that process ended."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (gigabytes << 30, gigabytes << 30))
        signal.alarm(seconds)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with os.fdopen(writable, "w") as f:
            json.dump(asked(*given), f)
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as f:
        told = f.read()
    os.waitpid(child, 0)
    return json.loads(told) if told else ("package died", died, 0)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--command", default="build/mlxengine")
    p.add_argument("--count", type=int, default=300)
    p.add_argument("--strings", type=int, default=40)
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--one", type=int, default=None, help="only this one of them")
    p.add_argument("--keep", default="", help="folder for tokenizers that differ")
    p.add_argument("--all", action="store_true", help="tell what is refused or opened by one alone, too")
    a = p.parse_args()
    totals, answers, bad = {}, 0, 0
    for i in range(a.count) if a.one is None else [a.one]:
        rng = random.Random(a.seed * 100003 + i)
        name, state = draw(rng)
        texts = [text(rng) for _ in range(a.strings)]
        with tempfile.TemporaryDirectory() as folder:
            verdict, why, checked = guarded(compare, name, a.command, name, state, texts, rng, folder)
        totals[verdict] = totals.get(verdict, 0) + 1
        answers += checked
        wrong = verdict in ("differs", "failed")
        bad += wrong
        if wrong or (a.all and why):
            print(f"[{i}] {verdict}: {why}", flush=True)
        if wrong and a.keep:
            os.makedirs(a.keep, exist_ok=True)
            with open(os.path.join(a.keep, f"{a.seed}-{i}.json"), "w", encoding="utf-8") as f:
                json.dump(state, f, ensure_ascii=False, indent=1)
    print(f"seed {a.seed}: {totals}, {answers} answers compared")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
