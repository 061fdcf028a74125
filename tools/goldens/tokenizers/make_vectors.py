#!/usr/bin/env python3
"""Writes the tokenizer vectors: tests/text/data/tok/.

    python make_vectors.py ../../../tests/text/data/tok

strings.json   the hostile strings, one list
index.json     [{"name", "kind"}] and what made them
NAME.json      a tokenizer, trained here (tokenizer.json)
NAME.vec       {"full": [[string, ids, offsets, type_ids, text], ..], "hashes": ["..", ..]}

Row i of a vector encodes string i, with the pair (7 i + 3) mod n when i mod 8 is 5, with special
tokens unless i mod 3 is 1. A hash is FNV-1a 64 over "id,begin,end,type;" of every token, then the
text that the ids decode to, a NUL, and the text with special tokens skipped; "-" where the package
itself has no answer. Offsets are bytes. The strings follow from the seed; vocabularies do not: the
package's trainers break ties by hash order, so a new run gives others, as good. The committed files
are the record."""
import json
import os
import random
import sys

import tokenizers
from cases import (CL100K, DEEPSEEK, DEEPSEEK3, GPT2, KIMI, LLAMA3, NMT_RULES, O200K, QWEN2,
                   QWEN35, TEKKEN, AddedToken, Regex, Tokenizer, add_bytes, answer, charsmap, corpus,
                   decoders, draw, json as _json, models, normalizers, pre_tokenizers, processors,
                   rebuilt, strings, trainers)
import base64

SEED, STRINGS, DRAWN, FULL_EVERY = 20240607, 560, 40, 14
B, N, P, D = models.BPE, normalizers, pre_tokenizers, decoders


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def byte_bpe(lines, pre, size=400, **model):
    t = Tokenizer(B(**model))
    t.pre_tokenizer = pre
    t.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=P.ByteLevel.alphabet()))
    t.decoder = D.ByteLevel()
    return t


def split_bytes(*patterns, behavior="isolated"):
    steps = [P.Split(Regex(p), behavior) for p in patterns]
    return P.Sequence([*steps, P.ByteLevel(add_prefix_space=False, use_regex=False)])


def specials(t, *names, **flags):
    t.add_special_tokens([AddedToken(n, normalized=False, special=True, **flags) for n in names])


def gpt2(lines):
    t = byte_bpe(lines, P.ByteLevel(add_prefix_space=False))
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    specials(t, "<|endoftext|>")
    return t


def roberta(lines):
    t = byte_bpe(lines, P.ByteLevel(add_prefix_space=True))
    specials(t, "<s>", "</s>", "<pad>")
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    t.post_processor = processors.RobertaProcessing(("</s>", t.token_to_id("</s>")),
                                                    ("<s>", t.token_to_id("<s>")))
    return t


def llama3(lines):
    t = byte_bpe(lines, split_bytes(LLAMA3), ignore_merges=True)
    specials(t, "<|begin_of_text|>", "<|endoftext|>", "<|eot_id|>")
    bos = t.token_to_id("<|begin_of_text|>")
    template = processors.TemplateProcessing("<|begin_of_text|> $A",
                                             "<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
                                             [("<|begin_of_text|>", bos)])
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return t


def qwen(pattern):
    def make(lines):
        t = byte_bpe(lines, split_bytes(pattern))
        t.normalizer = N.NFC()
        specials(t, "<|endoftext|>", "<|im_start|>", "<|im_end|>")
        t.add_tokens([AddedToken(x, normalized=False) for x in ("<tool_call>", "<think>")])
        return t
    return make


def o200k(lines):
    t = byte_bpe(lines, split_bytes(O200K))
    specials(t, "<|endoftext|>", "<|start|>", "<|channel|>")
    return t


def deepseek2(lines):
    steps = [P.Split(Regex(p), "isolated") for p in DEEPSEEK]
    t = byte_bpe(lines, P.Sequence([*steps, P.Digits(True), P.ByteLevel(False, use_regex=False)]))
    specials(t, "<｜begin▁of▁sentence｜>", "<｜User｜>")
    return t


def deepseek3(lines):
    t = byte_bpe(lines, split_bytes(*DEEPSEEK3))
    t.normalizer = N.Sequence([])
    specials(t, "<｜begin▁of▁sentence｜>", "<｜User｜>")
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    return t


def tekken(lines):
    t = byte_bpe(lines, split_bytes(TEKKEN), ignore_merges=True)
    specials(t, "<s>", "</s>", "[INST]", "[/INST]")
    return t


def cl100k(lines):
    t = byte_bpe(lines, split_bytes(CL100K))
    specials(t, "<|endoftext|>", "<|fim_prefix|>")
    return t


def kimi(lines):
    t = byte_bpe(lines, split_bytes(KIMI))
    specials(t, "[BOS]", "<|im_end|>")
    return t


def starcoder(lines):
    t = byte_bpe(lines, P.Sequence([P.Digits(True), P.ByteLevel(False)]))
    specials(t, "<|endoftext|>", "<fim_prefix>")
    return t


def falcon(lines):
    return byte_bpe(lines, P.Sequence([P.Punctuation("contiguous"), P.ByteLevel(False), P.Digits(),
                                       P.Split(Regex("[0-9][0-9][0-9]"), "isolated")]))


def bloom(lines):
    t = byte_bpe(lines, P.Sequence([P.Split(Regex(r" ?[^(\s|[.,!?…。，、।۔،])]+"), "isolated"),
                                    P.ByteLevel(False, use_regex=False)]))
    t.normalizer = N.NFKC()
    return t


def clip(lines):
    t = Tokenizer(B(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    t.normalizer = N.Sequence([N.NFC(), N.Replace(Regex(r"\s+"), " "), N.Lowercase()])
    t.pre_tokenizer = P.Sequence([
        P.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", True),
        P.ByteLevel(False, use_regex=False)])
    t.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=450, show_progress=False, end_of_word_suffix="</w>",
        initial_alphabet=P.ByteLevel.alphabet(), special_tokens=["<|endoftext|>"]))
    t.decoder = D.Sequence([D.ByteLevel(), D.Replace("</w>", " "), D.Strip(" ", 0, 0)])
    end = t.token_to_id("<|endoftext|>")
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", end), ("<|endoftext|>", end),
                                                    trim_offsets=False)
    return t


def spm_bpe(lines, prepend=True, fuse=True, fallback=True):
    t = Tokenizer(B(unk_token="<unk>", fuse_unk=fuse, byte_fallback=fallback))
    t.pre_tokenizer = P.Metaspace("▁", "always", True)
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=420, show_progress=False,
                                                     limit_alphabet=110, special_tokens=["<unk>"]))
    t = rebuilt(t, pre_tokenizer=None)
    return add_bytes(t) if fallback else t


def llama2(lines):
    t = spm_bpe(lines)
    t.normalizer = N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])
    t.decoder = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    specials(t, "<s>", "</s>")
    s = t.token_to_id("<s>")
    t.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s>:1 $B:1", [("<s>", s)])
    return t


def metaspace_bpe(scheme, split):
    def make(lines):
        t = spm_bpe(lines)
        t.pre_tokenizer = P.Metaspace("▁", scheme, split)
        t.decoder = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse()]) \
            if scheme == "never" else D.Metaspace("▁", scheme)
        t.add_special_tokens([AddedToken("<s>", normalized=False), AddedToken("</s>", lstrip=True)])
        return t
    return make


def gemma(lines):
    t = spm_bpe(lines)
    t.normalizer = N.Replace(" ", "▁")
    t.pre_tokenizer = P.Split(" ", "merged_with_previous")
    t.decoder = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse()])
    specials(t, "<bos>", "<start_of_turn>", "<end_of_turn>")
    return t


def unknown_bpe(fuse):
    def make(lines):
        t = spm_bpe(lines, fuse=fuse, fallback=False)
        t.pre_tokenizer = P.Whitespace()
        t.decoder = D.BPEDecoder()
        return t
    return make


def prefix_bpe(lines):
    t = Tokenizer(B(unk_token="[UNK]", continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    t.pre_tokenizer = P.BertPreTokenizer()
    t.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=400, show_progress=False, special_tokens=["[UNK]"], limit_alphabet=80,
        continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    t.decoder = D.Sequence([D.WordPiece("##", False), D.Replace("</w>", "")])
    return t


def unigram(lines, size=300):
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = P.Metaspace()
    t.train_from_iterator(lines, trainers.UnigramTrainer(
        vocab_size=size, show_progress=False, unk_token="<unk>", special_tokens=["<unk>", "</s>"]))
    t.decoder = D.Metaspace()
    return t


def t5(lines):
    t = unigram(lines)
    t.normalizer = N.Precompiled(base64.b64decode(charsmap(NMT_RULES)))
    end = t.token_to_id("</s>")
    t.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", end)])
    return t


def xlmr(lines):
    t = unigram(lines)
    t.normalizer = N.Sequence([N.Precompiled(base64.b64decode(charsmap(NMT_RULES))),
                               N.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = P.Sequence([P.WhitespaceSplit(), P.Metaspace("▁", "always", True)])
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=True)])
    return t


def albert(lines):
    t = unigram(lines)
    t.normalizer = N.Sequence([N.Replace("``", '"'), N.Replace("''", '"'), N.NFKD(), N.StripAccents(),
                               N.Lowercase()])
    return t


def unigram_bytes(lines):
    t = add_bytes(unigram(lines))
    state = _json.loads(t.to_str())
    state["model"]["byte_fallback"] = True
    t = Tokenizer.from_str(_json.dumps(state))
    t.normalizer = N.Sequence([N.Nmt(), N.NFKC()])
    t.decoder = D.Sequence([D.ByteFallback(), D.Metaspace()])
    return t


def unigram_scripts(lines):
    t = unigram(lines)
    t.pre_tokenizer = P.Sequence([P.UnicodeScripts(), P.Metaspace("▁", "first", False)])
    return t


def bert(cased):
    def make(lines):
        t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        t.normalizer = N.BertNormalizer(lowercase=not cased)
        t.pre_tokenizer = P.BertPreTokenizer()
        t.train_from_iterator(lines, trainers.WordPieceTrainer(
            vocab_size=400, show_progress=False, limit_alphabet=150,
            special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
        t.decoder = D.WordPiece(cleanup=not cased)
        cls, sep = t.token_to_id("[CLS]"), t.token_to_id("[SEP]")
        t.post_processor = processors.TemplateProcessing(
            "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", cls), ("[SEP]", sep)])
        if cased:
            t.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
            t.enable_truncation(12)
            t.enable_padding(length=16, pad_id=0)
        return t
    return make


def wordlevel(pre, decoder):
    def make(lines):
        t = Tokenizer(models.WordLevel(unk_token="<unk>"))
        t.pre_tokenizer = pre
        t.train_from_iterator(lines, trainers.WordLevelTrainer(
            vocab_size=250, show_progress=False, special_tokens=["<unk>", "<pad>"]))
        t.decoder = decoder
        return t
    return make


def byte_normalized(lines):
    t = byte_bpe(lines, P.ByteLevel(False, use_regex=False))
    t = rebuilt(t, pre_tokenizer=None)
    t.normalizer = N.Sequence([N.NFD(), N.ByteLevel()])
    specials(t, "<|endoftext|>")
    return t


SHAPES = {
    "gpt2": gpt2, "roberta": roberta, "llama3": llama3, "qwen2": qwen(QWEN2), "qwen35": qwen(QWEN35),
    "o200k": o200k, "deepseek2": deepseek2, "deepseek3": deepseek3, "tekken": tekken, "kimi": kimi, "cl100k": cl100k,
    "starcoder": starcoder, "falcon": falcon, "bloom": bloom, "clip": clip, "byte_norm": byte_normalized,
    "llama2": llama2, "meta_first": metaspace_bpe("first", False),
    "meta_always": metaspace_bpe("always", True), "meta_never": metaspace_bpe("never", False),
    "gemma": gemma, "unk_fused": unknown_bpe(True), "unk_single": unknown_bpe(False),
    "bpe_prefix": prefix_bpe, "t5": t5, "xlmr": xlmr, "albert": albert,
    "unigram_bytes": unigram_bytes, "unigram_scripts": unigram_scripts, "bert": bert(False),
    "bert_cased": bert(True), "words": wordlevel(P.Whitespace(), None),
    "words_ctc": wordlevel(P.CharDelimiterSplit(" "), D.CTC()),
    "words_length": wordlevel(P.FixedLength(3), D.Fuse()),
}


def vector(t, texts):
    full, hashes = [], []
    for i, text in enumerate(texts):
        pair = texts[(7 * i + 3) % len(texts)] if i % 8 == 5 else None
        a = answer(t, text, pair, i % 3 != 1)
        if "error" in a:
            hashes.append("-")
            continue
        try:
            plain = t.decode(a["ids"], skip_special_tokens=False)
            short = t.decode(a["ids"], skip_special_tokens=True)
        except BaseException:
            hashes.append("-")
            continue
        rows = "".join(f"{x},{b},{e},{k};" for x, (b, e), k in
                       zip(a["ids"], a["offsets"], a["type_ids"]))
        hashes.append(f"{fnv(rows.encode() + plain.encode() + bytes(1) + short.encode()):x}")
        if i % FULL_EVERY == 0:
            full.append([i, a["ids"], sum(a["offsets"], []), a["type_ids"], plain])
    return {"full": full, "hashes": hashes}


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))
    rng = random.Random(SEED)
    texts = strings(rng, STRINGS)
    lines = corpus(random.Random(SEED + 1))
    made = []
    for name, make in SHAPES.items():
        made.append((name, make(lines)))
    seed = SEED
    while len(made) < len(SHAPES) + DRAWN:
        seed += 1
        try:
            kind, t = draw(random.Random(seed))
        except BaseException:  # the package refuses some combinations
            continue
        made.append((f"drawn_{kind}_{len(made) - len(SHAPES)}", t))

    def write(name, value):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(value, f, ensure_ascii=False, separators=(",", ":"))
            f.write("\n")

    index, answers = [], 0
    for name, t in made:
        t = Tokenizer.from_str(t.to_str())
        v = vector(t, texts)
        known = sum(h != "-" for h in v["hashes"])
        if known < 500:
            continue
        answers += known
        index.append({"name": name, "answers": known})
        with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as f:
            f.write(t.to_str() + "\n")
        write(name + ".vec", v)
    write("strings.json", texts)
    write("index.json", {"command": "python make_vectors.py ../../../tests/text/data/tok",
                         "tokenizers": tokenizers.__version__, "seed": SEED, "answers": answers,
                         "files": index})
    print(f"{len(index)} tokenizers, {answers} answers")


main()
