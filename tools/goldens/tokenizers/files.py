#!/usr/bin/env python3
"""Tokenizers without tokenizer.json: folders of every form, and what transformers makes of them.

    python files.py [--command 'build/mlxengine'] [--seed N] [--strings 200] [--odd N] [--write FOLDER]

Each folder is trained on the spot (sentencepiece, tokenizers) and opened by the class that its
tokenizer_config.json names; without a class, by sentencepiece itself. --write keeps small ones as
test data: FOLDER/NAME/* and FOLDER/NAME.jsonl, one question with its answer a line. --odd opens each folder N
times more, with settings drawn at random; what either side refuses is counted."""
import argparse
import base64
import importlib.util
import io
import json
import os
import random
import sys
import tempfile
import time

os.environ["RUST_BACKTRACE"] = "0"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_OFFLINE"] = "1"
import cases  # noqa: E402
import sentencepiece  # noqa: E402
import transformers  # noqa: E402
from fresh import ask  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # noqa: E402


def save(folder, name, content):
    mode = "wb" if isinstance(content, bytes) else "w"
    with open(os.path.join(folder, name), mode, **({} if mode == "wb" else {"encoding": "utf-8"})) as f:
        f.write(content if isinstance(content, (bytes, str)) else json.dumps(content, ensure_ascii=False))


def spm(lines, kind, size, **options):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type=kind, vocab_size=size,
        character_coverage=0.995, minloglevel=2, hard_vocab_limit=False, num_threads=1, **options)
    return out.getvalue()


LLAMA = {"byte_fallback": True, "normalization_rule_name": "identity", "split_digits": True,
         "remove_extra_whitespaces": False, "allow_whitespace_only_pieces": True}


def byte_bpe(lines, size=500):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(False)
    t.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return json.loads(t.to_str())["model"]


def ranks(model):
    """Byte strings in the order of their ids, the 256 bytes first."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    back = {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}
    return [bytes(back[c] for c in token)
            for token, _ in sorted(model["vocab"].items(), key=lambda x: x[1])]


def added(*rows):
    return {str(i): {"content": c, "lstrip": False, "normalized": False, "rstrip": False,
                     "single_word": False, "special": s} for i, c, s in rows}


def folders(rng, lines):
    """-> name, files, class name or None"""
    size = rng.randint(520, 700)
    llama = spm(lines, "bpe", size, **LLAMA)
    count = sentencepiece.SentencePieceProcessor(model_proto=llama).GetPieceSize()
    base = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>",
            "unk_token": "<unk>", "add_bos_token": True, "add_eos_token": False}
    decoder = added((0, "<unk>", True), (1, "<s>", True), (2, "</s>", True), (count, "<|im_start|>", True),
                    (count + 1, "<tool>", False))
    yield "llama", {"tokenizer.model": llama, "tokenizer_config.json": {
        **base, "legacy": False, "added_tokens_decoder": decoder}}, "LlamaTokenizer"
    yield "llama_legacy", {"tokenizer.model": llama, "tokenizer_config.json": {
        **base, "legacy": True, "add_eos_token": True, "added_tokens_decoder": decoder}}, "LlamaTokenizer"
    yield "llama_old", {"tokenizer.model": llama, "tokenizer_config.json": {
        k: v for k, v in base.items() if not k.endswith("_token") or k.startswith("add")},
        "special_tokens_map.json": {"bos_token": "<s>", "eos_token": {
            "content": "</s>", "lstrip": False, "normalized": True, "rstrip": False,
            "single_word": False}, "unk_token": "<unk>", "pad_token": "<pad>"},
        "added_tokens.json": {"<pad>": count, "<x>": count + 1}}, "LlamaTokenizer"
    yield "llama_no_prefix", {"tokenizer.model": llama, "tokenizer_config.json": {
        **base, "add_prefix_space": False}}, "LlamaTokenizer"
    gemma = spm(lines, "bpe", size, byte_fallback=True, normalization_rule_name="identity",
                add_dummy_prefix=False, remove_extra_whitespaces=False, pad_id=0, eos_id=1, bos_id=2,
                unk_id=3, pad_piece="<pad>", bos_piece="<bos>", eos_piece="<eos>",
                user_defined_symbols=["<mask>", "[toxicity=0]", "\n", "\n\n", "▁▁", "▁▁▁", "<table>"])
    yield "gemma", {"tokenizer.model": gemma, "tokenizer_config.json": {
        "tokenizer_class": "GemmaTokenizer", "add_bos_token": True}}, "GemmaTokenizer"
    t5 = spm(lines, "unigram", 700, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>")
    yield "t5", {"spiece.model": t5, "tokenizer_config.json": {
        "tokenizer_class": "T5Tokenizer", "extra_ids": 100}}, "T5Tokenizer"
    yield "t5_small", {"spiece.model": spm(
        lines, "unigram", 700, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>",
        normalization_rule_name="identity"), "tokenizer_config.json": {
        "tokenizer_class": "T5TokenizerFast"}}, "T5Tokenizer"
    yield "xlmr_small", {"sentencepiece.bpe.model": spm(
        lines, "unigram", 700, normalization_rule_name="identity"), "tokenizer_config.json": {
        "tokenizer_class": "XLMRobertaTokenizer"}}, "XLMRobertaTokenizer"
    xlmr = spm(lines, "unigram", 700)
    yield "xlmr", {"sentencepiece.bpe.model": xlmr, "tokenizer_config.json": {
        "tokenizer_class": "XLMRobertaTokenizer"}}, "XLMRobertaTokenizer"
    yield from unigram_classes(rng, lines, xlmr)
    nllb = spm(lines, "bpe", size)
    yield "nllb", {"sentencepiece.bpe.model": nllb, "tokenizer_config.json": {
        "tokenizer_class": "NllbTokenizer"}}, "NllbTokenizer"
    count = sentencepiece.SentencePieceProcessor(model_proto=nllb).GetPieceSize()
    yield "nllb_small", {"sentencepiece.bpe.model": spm(
        lines, "bpe", size, normalization_rule_name="identity"), "tokenizer_config.json": {
        "tokenizer_class": "NllbTokenizer"}}, "NllbTokenizer"
    yield "nllb_languages", {"sentencepiece.bpe.model": nllb, "tokenizer_config.json": {
        "tokenizer_class": "NllbTokenizer", "src_lang": "deu_Latn", "legacy_behaviour": rng.random() < 0.5,
        "additional_special_tokens": ["deu_Latn", "eng_Latn", "<mask>"]}}, "NllbTokenizer"
    yield "plain_unigram", {"tokenizer.model": spm(lines, "unigram", 700, byte_fallback=rng.random() < 0.5)}, None
    yield "plain_bpe", {"tokenizer.model": spm(lines, "bpe", size, byte_fallback=rng.random() < 0.5)}, None
    yield "plain_identity", {"tokenizer.model": spm(
        lines, rng.choice(["unigram", "bpe"]), 700, normalization_rule_name="identity",
        add_dummy_prefix=rng.random() < 0.5, remove_extra_whitespaces=rng.random() < 0.5)}, None
    model = byte_bpe(lines, size)
    n = len(model["vocab"])
    merges = "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in model["merges"])
    files = {"vocab.json": {**model["vocab"], "<|endoftext|>": n}, "merges.txt": merges}
    yield "gpt2", {**files, "tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer"}}, "GPT2Tokenizer"
    yield "gpt2_prefix", {**files, "tokenizer_config.json": {
        "tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True, "add_bos_token": True}}, "GPT2Tokenizer"
    yield "qwen2", {**files, "tokenizer_config.json": {
        "tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
        "added_tokens_decoder": added((n, "<|endoftext|>", True), (n + 1, "<|im_start|>", True),
                                      (n + 2, "<|im_end|>", True), (n + 3, "<tool_call>", False))}}, "Qwen2Tokenizer"
    special = {"<s>": n, "<pad>": n + 1, "</s>": n + 2, "<unk>": n + 3, "<mask>": n + 4}
    yield "roberta", {"vocab.json": {**model["vocab"], **special}, "merges.txt": merges,
                      "tokenizer_config.json": {"tokenizer_class": "RobertaTokenizer"}}, "RobertaTokenizer"
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator([x.lower() for x in lines], trainers.WordPieceTrainer(
        vocab_size=400, show_progress=False, limit_alphabet=150,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    vocab = "".join(w + "\n" for w, _ in sorted(t.get_vocab().items(), key=lambda x: x[1]))
    yield "bert", {"vocab.txt": vocab, "tokenizer_config.json": {
        "tokenizer_class": "BertTokenizer", "do_lower_case": True}}, "BertTokenizer"
    yield "bert_cased", {"vocab.txt": vocab, "tokenizer_config.json": {
        "tokenizer_class": "BertTokenizer", "do_lower_case": False, "strip_accents": rng.random() < 0.5,
        "tokenize_chinese_chars": rng.random() < 0.5}}, "BertTokenizer"
    more = {"vocab.json": {**files["vocab.json"], **special, "<|padding|>": n + 10, "<|startoftext|>": n + 11,
                           "[CLS]": n + 12, "[SEP]": n + 13, "[UNK]": n + 14}, "merges.txt": merges}
    for cls in ("GPTNeoXTokenizer", "CohereTokenizer", "BlenderbotTokenizer",
                "DebertaTokenizer", "CLIPTokenizer", "OpenAIGPTTokenizer", "HerbertTokenizer", "BartTokenizer"):
        yield cls[:-9].lower(), {**more, "tokenizer_config.json": {"tokenizer_class": cls}}, cls
    words = ranks(model)
    lines_of = "".join(f"{base64.b64encode(w).decode()} {i}\n" for i, w in enumerate(words))
    yield "tiktoken", {"tokenizer.model": lines_of, "tokenizer_config.json": {
        "tokenizer_class": "TokenizersBackend", "bos_token": "<|begin_of_text|>", "add_bos_token": True,
        "added_tokens_decoder": added((n, "<|begin_of_text|>", True), (n + 3, "<|eot_id|>", True))}}, \
        "TokenizersBackend"
    tekken = {"config": {"pattern": cases.TEKKEN, "num_vocab_tokens": n, "default_vocab_size": n + 30 - 7,
                         "default_num_special_tokens": 30, "version": "v3"},
              "vocab": [{"rank": i, "token_bytes": base64.b64encode(w).decode(), "token_str": None}
                        for i, w in enumerate(words)]}
    tekken["special_tokens"] = [{"rank": i, "token_str": x, "is_control": True}
                                for i, x in enumerate(["<unk>", "<s>", "</s>", "[INST]", "[/INST]"])]
    yield "tekken", {"tekken.json": tekken}, "tekken"
    if importlib.util.find_spec("mistral_common"):  # which knows the list that older files leave out
        old = {k: v for k, v in tekken.items() if k != "special_tokens"}
        yield "tekken_old", {"tekken.json": old}, "tekken"


def unigram_classes(rng, lines, model):
    """The classes that number a unigram model's pieces in ways of their own. model: with <s> </s>"""
    def row(name, file, content, cls, **settings):
        return name, {file: content, "tokenizer_config.json": {"tokenizer_class": cls, **settings}}, cls

    albert = spm(lines, "unigram", 700, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, pad_piece="<pad>",
                 control_symbols=["[CLS]", "[SEP]"], user_defined_symbols=["[MASK]", "(", ")", "-"])
    yield row("albert", "spiece.model", albert, "AlbertTokenizer")
    yield row("albert_cased", "spiece.model", albert, "AlbertTokenizer", do_lower_case=False,
              keep_accents=True)
    yield row("camembert", "sentencepiece.bpe.model", model, "CamembertTokenizer")
    identity = spm(lines, "unigram", 500, normalization_rule_name="identity")
    bpe = spm(lines, "bpe", 600)
    yield row("reformer", "spiece.model", bpe, "ReformerTokenizer")
    yield row("xglm", "tokenizer.model", rng.choice([model, identity]), "XGLMTokenizer")
    yield row("fnet", "spiece.model", albert, "FNetTokenizer")
    yield row("backend", "tokenizer.model", rng.choice([model, identity, bpe]), "TokenizersBackend")
    yield row("backend_bytes", "tokenizer.model", spm(lines, "bpe", 700, **LLAMA), "TokenizersBackend",
              add_bos_token=True)
    yield row("code_llama", "tokenizer.model", spm(lines, "bpe", 700, **LLAMA), "CodeLlamaTokenizer")
    yield row("camembert_small", "sentencepiece.bpe.model", identity, "CamembertTokenizer")
    yield row("mbart", "sentencepiece.bpe.model", identity, "MBartTokenizer")
    yield row("mbart_french", "sentencepiece.bpe.model", model, "MBartTokenizer", src_lang="fr_XX")
    yield row("mbart50", "sentencepiece.bpe.model", model, "MBart50Tokenizer")
    yield row("mbart50_german", "sentencepiece.bpe.model", identity, "MBart50Tokenizer", src_lang="de_DE")
    xlnet = {"bos_id": 1, "eos_id": 2, "unk_id": 0,
             "control_symbols": ["<cls>", "<sep>", "<pad>", "<mask>", "<eod>"],
             "user_defined_symbols": ["<eop>", ".", "("]}
    yield row("xlnet", "spiece.model", spm(lines, "unigram", 700, **xlnet), "XLNetTokenizer")
    yield row("xlnet_small", "spiece.model", spm(
        lines, "unigram", 500, normalization_rule_name="identity", **xlnet), "XLNetTokenizer",
        do_lower_case=True)
    deberta = spm(lines, "unigram", 500, normalization_rule_name="identity", pad_id=0, bos_id=1, eos_id=2,
                  unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]")
    yield row("deberta_v2", "spm.model", deberta, "DebertaV2Tokenizer")
    yield row("deberta_v2_options", "spm.model", deberta, "DebertaV2Tokenizer", do_lower_case=True,
              split_by_punct=True)
    pegasus = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "pad_piece": "<pad>"}
    yield row("pegasus", "spiece.model", spm(lines, "unigram", 700, **pegasus), "PegasusTokenizer")
    yield row("pegasus_small", "spiece.model", spm(
        lines, "unigram", 500, normalization_rule_name="identity", **pegasus), "PegasusTokenizer",
        mask_token="<mask_2>", mask_token_sent="<mask_1>")
    barthez = {"bos_id": 0, "pad_id": 1, "eos_id": 2, "unk_id": 3, "user_defined_symbols": ["<mask>"]}
    yield row("barthez", "sentencepiece.bpe.model", spm(lines, "unigram", 500, **barthez), "BarthezTokenizer")
    yield row("barthez_no_prefix", "sentencepiece.bpe.model", spm(
        lines, "unigram", 500, normalization_rule_name="identity", **barthez), "BarthezTokenizer",
        add_prefix_space=False)
    bird = {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 100, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]}
    yield row("big_bird", "spiece.model", spm(lines, "unigram", 500, **bird), "BigBirdTokenizer")
    yield row("big_bird_small", "spiece.model", spm(
        lines, "unigram", 500, normalization_rule_name="identity", **bird), "BigBirdTokenizer")
    rembert = {"pad_id": 0, "unk_id": 2, "bos_id": -1, "eos_id": 1, "eos_piece": "[SEP]",
               "control_symbols": ["[CLS]", "[MASK]"]}
    yield row("rembert", "sentencepiece.model", spm(lines, "unigram", 500, **rembert), "RemBertTokenizer")
    yield row("rembert_lower", "sentencepiece.model", spm(
        lines, "unigram", 500, normalization_rule_name="identity", **rembert), "RemBertTokenizer",
        do_lower_case=True, keep_accents=False)


def odd(rng, config):
    """The settings with one to four more, at random."""
    config = json.loads(json.dumps(config))
    token = rng.choice(["<new>", "the", "a b", "</s>", "<unk>", "<pad>", "[MASK]", "<mask>", " x"])

    def flag():
        return rng.random() < 0.5

    def spec(text):
        if flag():
            return text
        return {"__type": "AddedToken", "content": text, "lstrip": flag(), "rstrip": flag(),
                "normalized": flag(), "single_word": flag(), "special": True}
    for _ in range(rng.randint(1, 4)):
        key = rng.choice(["add_prefix_space", "add_bos_token", "add_eos_token", "legacy", "do_lower_case", "keep_accents",
                          "split_by_punct", "strip_accents", "tokenize_chinese_chars", "trim_offsets", "token", "token",
                          "list", "decoder", "extra_ids", "src_lang", "legacy_behaviour", "sp_model_kwargs", "other"])
        if key == "token":
            config[rng.choice(["unk_token", "pad_token", "mask_token", "eos_token", "bos_token", "sep_token",
                               "cls_token"])] = spec(token)
        elif key == "list":
            config["additional_special_tokens"] = [spec(token), "<extra>", "Ω"]
        elif key == "decoder":
            config["added_tokens_decoder"] = {**config.get("added_tokens_decoder", {}), str(rng.choice(
                [0, 1, 2, 3, 5, 4000])): {"content": token, "lstrip": flag(), "rstrip": flag(), "normalized": flag(),
                                          "single_word": flag(), "special": flag()}}
        elif key == "extra_ids":
            config[key] = rng.choice([0, 1, 5, 100])
        elif key == "src_lang":
            config[key] = rng.choice(["fr_XX", "deu_Latn", "xx"])
        elif key == "sp_model_kwargs":
            config[key] = {"enable_sampling": False}
        elif key == "other":
            config[rng.choice(["clean_up_tokenization_spaces", "model_max_length", "use_default_system_prompt",
                               "padding_side"])] = rng.choice([None, True])
        else:
            config[key] = rng.choice([True, False, None])
    return config


def oracle(folder, kind):
    if kind is None:
        return None
    if kind == "tekken":
        from transformers.integrations.mistral.tokenizer import MistralConverter
        return transformers.TokenizersBackend(tokenizer_object=MistralConverter(
            os.path.join(folder, "tekken.json")).converted(), bos_token="<s>", add_bos_token=True)
    return getattr(transformers, kind, transformers.PreTrainedTokenizerFast).from_pretrained(folder)


def answers(folder, kind, questions, pieces):
    if kind is None:  # sentencepiece: ids alone; control tokens in a text are text there
        p = sentencepiece.SentencePieceProcessor(model_proto=pieces)
        return [{"ids": p.encode(q["text"])} for q in questions]
    t = oracle(folder, kind)
    backend = getattr(t, "backend_tokenizer", None) or t._tokenizer
    backend.no_truncation()
    backend.no_padding()
    return [cases.answer(backend, q["text"], q.get("pair"), q["add_special_tokens"]) for q in questions]


def compare(command, name, files, kind, texts, rng, folder):
    for file, content in files.items():
        save(folder, file, content)
    if kind is None:  # what control and unknown pieces look like is another matter
        texts = [x for x in texts if "<" not in x and "\0" not in x]
    questions = [{"text": x, "add_special_tokens": i % 3 != 1,
                  **({"pair": rng.choice(texts)} if i % 7 == 3 and kind else {})}
                 for i, x in enumerate(texts)]
    pieces = next((c for f, c in files.items() if f.endswith(".model")), None)
    wanted = answers(folder, kind, questions, pieces)
    if not command:
        return "", len(questions), list(zip(questions, wanted))
    rc, got, err = ask(command, "tokenize", folder, questions)
    if rc or len(got) != len(questions):
        return f"exit {rc}, {len(got)} answers of {len(questions)}: {err.strip()}", 0, None
    for i, (q, w, g) in enumerate(zip(questions, wanted, got)):
        if "error" in w:
            continue
        if kind is None and sorted(g.get("ids", [])) == sorted(w["ids"]):
            continue  # paths of one score: float32 sums choose between them in their own way
        if {k: g.get(k) for k in w} != w:
            return f"{json.dumps(q, ensure_ascii=False)}\n  want {w}\n  got  {g}", i, None
    return "", len(questions), list(zip(questions, wanted))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--command", default="", help="left out: only the package is asked")
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--strings", type=int, default=200)
    p.add_argument("--only", default="")
    p.add_argument("--odd", type=int, default=0)
    p.add_argument("--write", default="")
    a = p.parse_args()
    rng = random.Random(a.seed)
    lines = [x.strip() for x in cases.corpus(rng, 600)]
    texts = list(cases.FIXED) + [cases.random_string(rng) for _ in range(a.strings)]
    bad = total = 0
    refused = {"by us": 0, "by the package": 0}

    def drawn():
        for name, files, kind in folders(rng, lines):
            if a.only and a.only != name:
                continue
            yield name, files, kind, False
            for _ in range(a.odd if kind and "tokenizer_config.json" in files else 0):
                yield name, {**files, "tokenizer_config.json": odd(rng, files["tokenizer_config.json"])}, kind, True
    for name, files, kind, is_odd in drawn():
        with tempfile.TemporaryDirectory() as top:
            folder = os.path.join(a.write, name) if a.write else top
            os.makedirs(folder, exist_ok=True)
            if a.write and sum(len(x) for x in files.values() if isinstance(x, bytes)) > 60000:
                os.rmdir(folder)
                continue  # a charsmap of 200 KB
            try:
                some = rng.sample(texts, min(len(texts), 40)) if is_odd else texts
                problem, n, rows = compare(a.command, name, files, kind, some, rng, folder)
            except BaseException as error:
                if not is_odd or isinstance(error, KeyboardInterrupt):
                    raise
                refused["by the package"] += 1
                continue
        if is_odd and problem.startswith("exit 8"):
            refused["by us"] += 1
            print(f"{name}: {problem} {files['tokenizer_config.json']}", flush=True)
            continue
        if is_odd and problem:
            problem = f"{json.dumps(files['tokenizer_config.json'], ensure_ascii=False)}\n  {problem}"
        total += n
        bad += bool(problem)
        if problem:
            print(f"{name}: differs: {problem}", flush=True)
        elif a.write:
            with open(folder + ".jsonl", "w", encoding="utf-8") as f:
                for q, w in rows[::8]:
                    if "error" not in w:
                        f.write(json.dumps([q, w], separators=(",", ":")) + "\n")
    print(f"seed {a.seed}: {total} answers compared, {bad} folders differ" + (f", refused: {refused}" if a.odd else ""))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
