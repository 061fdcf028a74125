#!/usr/bin/env python3
"""Writes tests/text/data/tok_settings.jsonl: settings of special tokens, and what transformers makes of them.

    python settings_vectors.py ../../../tests/text/data/tok_files ../../../tests/text/data/tok_settings.jsonl

A line is [folder of tok_files, {file: content}, [question, answer], ...]: the folder's vocabulary with these
files beside it; the folder "" has none, "@NAME" the tokenizer.json tests/text/data/tok/NAME.json. CASES were differences once; DRAWN more of each folder are drawn."""
import json
import os
import random
import shutil
import sys
import tempfile

import settings
import cases
import tokenizers
import transformers

SEED, DRAWN, TEXTS = 7, 3, 3
SMALL = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [
    {"id": 0, "content": "<unk>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
     "special": True}], "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<unk>": 0, "a": 1, "b": 2, "the": 7}}}


def saved(content, **flags):
    return {"__type": "AddedToken", "content": content, **flags}


def config(cls, **more):
    return {"tokenizer_config.json": {"tokenizer_class": cls, **more}}


CASES = [
    ("camembert_small", config("CamembertTokenizer", unk_token="<pad>")),
    ("camembert_small", config("CamembertTokenizer", unk_token=None)),
    ("t5_small", config("T5Tokenizer", additional_special_tokens=["<a1>"], extra_special_tokens={"foo_token": "<e1>"})),
    ("t5_small", config("T5Tokenizer", additional_special_tokens=["<a1>"], extra_special_tokens=["<e1>"])),
    ("t5_small", config("T5Tokenizer", additional_special_tokens=["<a1>"], extra_special_tokens=[])),
    ("t5_small", config("T5Tokenizer", extra_special_tokens=None)),
    ("xlmr_small", config("XLMRobertaTokenizer", pad_token=None, image_token="<i>", sep_token="the")),
    ("xlmr_small", config("XLMRobertaTokenizer", split_special_tokens=True)),
    ("mbart50_german", config("MBart50Tokenizer", extra_special_tokens=[], cls_token=saved("the", lstrip=True))),
    ("pegasus_small", config("PegasusTokenizer", eos_token=None, mask_token_sent=None)),
    ("pegasus_small", config("PegasusTokenizer", mask_token="<m>", mask_token_sent="<n>")),
    ("big_bird_small", {**config("BigBirdTokenizer", foo_token="<x>", extra_special_tokens=["<x>"]),
                        "special_tokens_map.json": {"cls_token": {"content": "<x>", "lstrip": True}, "eos_token": "<x>"}}),
    ("deberta_v2_options", config("DebertaV2Tokenizer", unk_token="[SEP]", cls_token=None)),
    ("bert_cased", config("BertTokenizer", cls_token=None)),
    ("bert", {**config("BertTokenizer"), "added_tokens.json": {"Xy": 900, "[MASK]": 4},
              "special_tokens_map.json": {"mask_token": "[MASK]", "additional_special_tokens": ["<q>"], "pad_token": None}}),
    ("bert", config("MPNetTokenizer", mask_token="<mask>")),
    ("clip", {**config("CLIPTokenizer"), "added_tokens.json": {"[PAD]": 0}}),
    ("qwen2", config("Qwen2Tokenizer", add_prefix_space=True, pad_token=saved("<x>", lstrip=True, normalized=True))),
    ("rembert_lower", config("RemBertTokenizer", added_tokens_decoder={"5": {"content": "[MASK]", "rstrip": True}})),
    ("rembert_lower", config("RemBertTokenizer", mask_token=saved("the", single_word=True), add_eos_token=True)),
    ("code_llama", config("CodeLlamaTokenizer", prefix_token="<P>", eot_token=None, suffix_token=saved("<S>", rstrip=True))),
    ("llama", {**config("LlamaTokenizer", bos_token="</s>", add_bos_token=True),
               "special_tokens_map.json": {"bos_token": None, "extra_special_tokens": ["<y>"]}}),
    ("llama", config("LlamaTokenizer", added_tokens_decoder={"7": {"content": "ab", "special": True},
                                                             "3": {"content": "ab", "lstrip": True}})),
    ("code_llama", config("CodeLlamaTokenizer", add_bos_token=None)),
    ("gemma", config("GemmaTokenizer", unk_token="<x>", extra_special_tokens={"boi_token": saved("<i>", special=False)})),
    ("tiktoken", config("TokenizersBackend", extra_special_tokens=["<e2>", "<e1>"], pad_token="<e1>")),
    ("tiktoken", config("TokenizersBackend", added_tokens_decoder={"900": {"content": "<z>"}, "3": {"content": "<e1>"}})),
    ("", {**config("PreTrainedTokenizerFast", pad_token="<pad>", extra_special_tokens=["The", saved("B", normalized=True)]),
          "tokenizer.json": SMALL}),
    ("", {**config("TokenizersBackend", added_tokens_decoder={"9": {"content": "A", "normalized": True}}, unk_token="a"),
          "tokenizer.json": SMALL}),
    ("", {**config("NoSuchTokenizer", mask_token=saved("the", lstrip=True), split_special_tokens=True),
          "tokenizer.json": SMALL}),
    ("", {**config("PreTrainedTokenizerFast"), "added_tokens.json": {"Q": 0, "R": 5},
          "special_tokens_map.json": {"sep_token": "R", "pad_token": {"content": "P", "rstrip": True}}, "tokenizer.json": {
              **SMALL, "padding": {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None,
                                   "pad_id": 0, "pad_type_id": 0, "pad_token": "the"}}}),
]


def beside(name, model, cls, **more):
    """A tokenizer.json as repositories have it, with the class and the model_type that they name."""
    said = {"tokenizer_config.json": {**({"tokenizer_class": cls} if cls else {}), **more}}
    return "@" + name, {**said, **({"config.json": {"model_type": model}} if model else {})}


CASES += [
    beside("llama2", "llama", "LlamaTokenizer", legacy=False),
    beside("llama2", "llama", "LlamaTokenizerFast", legacy=True, add_bos_token=False),
    beside("llama2", "", "LlamaTokenizer", add_prefix_space=False),
    beside("llama2", "llama", ""),
    beside("llama2", "phi3", "LlamaTokenizer", legacy=False),
    beside("llama2", "mistral", "LlamaTokenizer", legacy=False),
    beside("llama2", "gemma", ""),
    beside("llama2", "llama", "CodeLlamaTokenizer"),
    beside("llama3", "llama", "LlamaTokenizerFast", unk_token=None),
    beside("llama3", "llama", "PreTrainedTokenizerFast", pad_token="<pad>"),
    beside("starcoder", "llama", "GPT2Tokenizer"),
    beside("starcoder", "granite", "GPT2Tokenizer"),
    beside("starcoder", "starcoder2", ""),
    beside("starcoder", "cohere", "CohereTokenizerFast"),
    beside("deepseek3", "deepseek_v3", "LlamaTokenizerFast", add_bos_token=True),
    beside("deepseek3", "qwen2", "LlamaTokenizerFast"),
    beside("qwen2", "qwen2", "Qwen2Tokenizer", add_bos_token=False, bos_token=None),
    beside("qwen2", "qwen3", "Qwen2TokenizerFast", additional_special_tokens=["<|im_start|>", "<tool_call>"]),
    beside("qwen35", "qwen3_5", "Qwen2Tokenizer"),
    beside("qwen35", "qwen3_5_text", "TokenizersBackend", added_tokens_decoder={}),
    beside("gemma", "gemma3_text", "GemmaTokenizerFast"),
    beside("gemma", "paligemma", "GemmaTokenizer", extra_special_tokens={"image_token": "<image>"}),
    beside("t5", "t5", "T5TokenizerFast", extra_ids=7),
    beside("t5", "umt5", "T5Tokenizer"),
    beside("xlmr", "xlm-roberta", "XLMRobertaTokenizerFast", mask_token=saved("<mask>", lstrip=True)),
    beside("xlmr", "camembert", "CamembertTokenizer"),
    beside("xlmr", "", "XLNetTokenizer"),
    beside("xlmr", "deberta-v2", "DebertaV2Tokenizer", split_by_punct=True, unk_token="<unk>"),
    beside("bert_cased", "bert", ""),
    beside("bert_cased", "bert", "BertTokenizer", do_lower_case=False),
    beside("bert", "nomic_bert", "", strip_accents=False),
    beside("bert", "mpnet", "MPNetTokenizer", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]"),
    beside("clip", "clip_text_model", "CLIPTokenizer"),
    beside("roberta", "bart", "BartTokenizerFast", add_prefix_space=True, trim_offsets=False),
    beside("gpt2", "opt", "GPT2Tokenizer", add_bos_token=True),
    beside("gpt2", "gpt_neox", "GPTNeoXTokenizerFast", add_bos_token=True),
    beside("gpt2", "olmo2", "GPT2Tokenizer", add_prefix_space=True),
    beside("tekken", "mistral3", "LlamaTokenizer"),
    beside("falcon", "falcon", ""),
]

SPEECH = {str(900 + i): {"content": x, "special": True} for i, x in enumerate(
    ["<|startoftranscript|>", "<|en|>", "<|zh|>", "<|de|>", "<|translate|>", "<|transcribe|>", "<|notimestamps|>"])}
AMINO = "<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B U Z O . - | <mask>".split()
CASES += [
    beside("roberta", "whisper", "WhisperTokenizer", added_tokens_decoder=SPEECH),
    beside("roberta", "whisper", "WhisperTokenizerFast", added_tokens_decoder=SPEECH, language="German", task="translate"),
    beside("roberta", "", "WhisperTokenizer", added_tokens_decoder=SPEECH, language="mandarin", predict_timestamps=True),
    beside("roberta", "whisper", "WhisperTokenizer", language="en", add_prefix_space=True, eos_token="the"),
    beside("roberta", "layoutlmv3", "LayoutLMv3TokenizerFast", trim_offsets=False),
    beside("roberta", "layoutlmv3", "", add_prefix_space=False, cls_token="the"),
    beside("roberta", "luke", "LukeTokenizer", entity_1_token="<e1>"),
    beside("gpt2", "luke", "LukeTokenizer", extra_special_tokens=["<e1>", saved("<ent2>", lstrip=True)]),
    beside("roberta", "markuplm", "MarkupLMTokenizer", tags_dict={"a": 0}, add_prefix_space=True),
    beside("bert_cased", "funnel", "FunnelTokenizer", unk_token="[UNK]", clean_text=False, wordpieces_prefix="a"),
    beside("bert_cased", "layoutlmv2", "LayoutLMv2Tokenizer", do_lower_case=False),
    beside("bert", "splinter", "SplinterTokenizer"),
    beside("bert", "splinter", "SplinterTokenizer", padding_side="left", question_token=saved("the", lstrip=True)),
    beside("t5", "udop", "UdopTokenizerFast"),
    beside("t5", "udop", "", unk_token="the"),
    beside("t5", "lasr_ctc", "LasrTokenizer", extra_ids=7),
    beside("t5", "videoprism", "VideoPrismTokenizer"),
    beside("t5", "t5", "T5Tokenizer", additional_special_tokens=["the"], extra_special_tokens={"z_token": "y"}),
    ("@t5", {**config("LasrTokenizer", extra_ids=1), "special_tokens_map.json": {"additional_special_tokens": ["<extra_id_3>", "the"]}}),
    beside("bert", "splinter", "SplinterTokenizer", sep_token=None),
    beside("xlmr", "layoutxlm", "LayoutXLMTokenizer", add_prefix_space=False),
    beside("xlmr", "layoutxlm", "LayoutXLMTokenizerFast", mask_token=saved("<mask>", rstrip=True)),
    beside("xlmr", "luke", "MLukeTokenizer"),
    beside("xlmr", "", "MLukeTokenizer", extra_special_tokens=["[UNK]", "<e1>"], entity_2_token="<x>"),
    beside("gemma", "siglip2", "GemmaTokenizer"),
    beside("gemma", "siglip2", "", extra_special_tokens=[saved("THE", normalized=True), saved("é A", normalized=True)]),
    beside("gemma", "tipsv2", "Tipsv2Tokenizer", do_lower_case=False),
    beside("llama2", "tipsv2", ""),
    beside("gemma", "seamless_m4t", "SeamlessM4TTokenizer"),
    beside("llama2", "seamless_m4t_v2", "", added_tokens_decoder={"900": {"content": "__deu__", "special": True}}, tgt_lang="deu"),
    ("", {**config("NougatTokenizer"), "tokenizer.json": {**SMALL, "model": {
        "type": "BPE", "merges": [], "vocab": {x: i for i, x in enumerate(["<s>", "<pad>", "</s>", "<unk>", *"abthe", "Ġ", "1"])}}}}),
    ("", {**config("EsmcTokenizer"), "tokenizer.json": {**SMALL, "model": {
        "type": "BPE", "merges": [], "vocab": {x: i for i, x in enumerate(AMINO)}}}}),
]


def small(**parts):
    return "", {**config("PreTrainedTokenizerFast"), "tokenizer.json": {**SMALL, **parts}}


def template(single, pair):
    """Pieces as words: A, B, or a token"""
    def items(words):
        return [{"Sequence": {"id": x, "type_id": i}} if x in "AB" else {"SpecialToken": {"id": x, "type_id": i}}
                for i, x in enumerate(words.split())]
    return {"type": "TemplateProcessing", "single": items(single), "pair": items(pair),
            "special_tokens": {"the": {"id": "the", "ids": [7], "tokens": ["the"]}}}


CASES += [
    # a template behind another
    small(post_processor={"type": "Sequence", "processors": [template("the", "the"), template("A the", "A the B the")]}),
    # a file alone has no pad_token of its padding
    ("", {"tokenizer.json": {**SMALL, "padding": {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None,
                                                  "pad_id": 0, "pad_type_id": 0, "pad_token": "zz"}}}),
    # parts whose type is no string: their keys tell
    small(normalizer={"type": True, "prepend": "a"}),
    small(normalizer={"type": 3, "pattern": {"String": "b"}, "content": "a"}),
    small(normalizer={"type": None, "normalizers": [{"type": "Lowercase"}, {"type": 1, "prepend": "the "}]}),
    # no tokenizer.json: the ranks' tokens come before the settings'
    ("tiktoken", config("TokenizersBackend", extra_special_tokens=["<e2>", "the"], bos_token="<e2>")),
    ("tiktoken", config("TokenizersBackend", additional_special_tokens=["<a1>"], extra_special_tokens=["<e1>"])),
    ("rembert_lower", config("RemBertTokenizer", cls_token=saved("<x>", lstrip=True), extra_special_tokens=["the"])),
    ("qwen2", config("CohereTokenizer", bos_token=saved("<BOS_TOKEN>", rstrip=True))),
    ("nllb_small", config("NllbTokenizer", mask_token=saved("the", lstrip=True), src_lang="deu_Latn")),
]


def answers(folder, files, base, texts):
    """-> [[question, answer], ...]; None: the package refuses it"""
    for name, content in files.items():
        settings.files.save(folder, name, content)
    if base[1].startswith("@"):
        shutil.copy(os.path.join(base[0], "..", "tok", base[1][1:] + ".json"), os.path.join(folder, "tokenizer.json"))
    for name in os.listdir(os.path.join(base[0], base[1])) if base[1] and base[1][0] != "@" else []:
        if name not in files and name != "tokenizer_config.json":
            shutil.copy(os.path.join(base[0], base[1], name), folder)
    try:
        if list(files) == ["tokenizer.json"]:
            backend = tokenizers.Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        else:
            backend = transformers.AutoTokenizer.from_pretrained(folder).backend_tokenizer
        rows = [[q, cases.answer(backend, q["text"], q.get("pair"), q["add_special_tokens"])] for q in texts]
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        return None
    return [r for r in rows if "error" not in r[1]] or None


def main():
    top, out = sys.argv[1:3]
    rng = random.Random(SEED)
    drawn = []
    for name in sorted(os.listdir(top)):
        path = os.path.join(top, name, "tokenizer_config.json")
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as f:
            base = json.load(f)
        if "tokenizer_class" in base:
            drawn += [(name, settings.settings(rng, base, False)[0]) for _ in range(DRAWN)]
    drawn = [x for x in drawn if not x[0].startswith("nllb")]  # most roles of others are refused there
    with open(out, "w", encoding="utf-8") as f:
        for name, files in CASES + drawn:
            said = json.dumps(files)
            pool = [x for x in settings.TEXTS + ["<i>", "<y>", "<z>", "<q>", "Xy", "zz", "The", "B", "P", "Q", "R", "A"]
                    if json.dumps(x)[1:-1] in said] or ["<x>"]
            texts = [{"text": x, "add_special_tokens": i != 1} for i, x in enumerate(
                ["a " + " b ".join(pool) + " a", "x".join(pool) + " the", "<s> A É 123 </s><mask> the[MASK] <|endoftext|>don't\n"][:TEXTS])]
            texts[0]["pair"] = "the"
            with tempfile.TemporaryDirectory() as folder:
                rows = answers(folder, files, (top, name), texts)
            if rows and len(rows[0][1]["ids"]) > 1000:  # padded
                rows = rows[:1]
            if rows:
                f.write(json.dumps([name, files, *rows], separators=(",", ":")) + "\n")
            elif (name, files) in CASES:
                print("the package refuses", name, said)


if __name__ == "__main__":
    main()
