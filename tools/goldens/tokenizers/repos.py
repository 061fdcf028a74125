#!/usr/bin/env python3
"""Folders as model repositories have them: a family's tokenizer.json, the class that its tokenizer_config.json
names, the model_type of its config.json, and the settings that go with them.

    python repos.py --command 'build/mlxengine' --count 200 [--seed N] [--only FAMILY] [--any]

A folder that AutoTokenizer of transformers opens has to be opened with equal answers, or be refused by name.
With --any class and model_type are drawn apart from the family. The exit status is 1 on a difference."""
import argparse
import json
import os
import random
import sys
import tempfile
import time

import settings  # noqa: E402  (sets the environment of transformers)
import cases
import families
import files

# family: model types, classes ("" : not said)
REPOS = {
    "gpt2": ("gpt2 opt phi gpt_neo gptj olmo2 phi3 llama codegen", "GPT2Tokenizer CodeGenTokenizer PreTrainedTokenizerFast"),
    "neox_olmo": ("gpt_neox olmo mamba rwkv olmoe mpt stablelm modernbert", "GPTNeoXTokenizer PreTrainedTokenizerFast GPT2Tokenizer"),
    "phi4_olmo2_granite4": ("phi3 olmo2 olmo3 granitemoehybrid granite llama", "GPT2Tokenizer PreTrainedTokenizerFast"),
    "llama3": ("llama smollm3 exaone mllama", "PreTrainedTokenizerFast LlamaTokenizer TokenizersBackend"),
    "gpt_oss_isolated": ("gpt_oss llama4", "PreTrainedTokenizerFast TokenizersBackend"),
    "qwen2": ("qwen2 qwen3 qwen2_moe qwen3_moe qwen2_vl qwen3_next", "Qwen2Tokenizer PreTrainedTokenizerFast TokenizersBackend"),
    "qwen35": ("qwen3_5 qwen3_5_moe qwen3_5_text", "Qwen2Tokenizer TokenizersBackend"),
    "glm4": ("glm glm4 glm4_moe chatglm", "PreTrainedTokenizerFast TokenizersBackend"),
    "minimax": ("minimax minimax_m2", "GPT2Tokenizer PreTrainedTokenizerFast"),
    "command_r": ("cohere cohere2", "CohereTokenizer PreTrainedTokenizerFast"),
    "starcoder_granite_smollm": ("llama starcoder2 granite gpt_bigcode granitemoe", "GPT2Tokenizer PreTrainedTokenizerFast"),
    "deepseek_coder": ("llama deepseek_v2", "LlamaTokenizer PreTrainedTokenizerFast"),
    "deepseek_v2": ("deepseek_v2 llama", "LlamaTokenizer PreTrainedTokenizerFast"),
    "deepseek_v3": ("deepseek_v3 kimi_k2 llama qwen2", "LlamaTokenizer PreTrainedTokenizerFast"),
    "falcon": ("falcon falcon_h1", "PreTrainedTokenizerFast"),
    "bloom": ("bloom", "BloomTokenizer PreTrainedTokenizerFast"),
    "tekken_nemotron": ("mistral mistral3 nemotron nemotron_h", "PreTrainedTokenizerFast LlamaTokenizer TokenizersBackend GPT2Tokenizer"),
    "roberta_whisper": ("roberta bart bert whisper", "RobertaTokenizer BartTokenizer PreTrainedTokenizerFast WhisperTokenizer WhisperTokenizer "
                        "LayoutLMv3Tokenizer LukeTokenizer MarkupLMTokenizer NougatTokenizer"),
    "clip": ("clip clip_text_model siglip", "CLIPTokenizer"),
    "llama2": ("llama mistral mixtral phi3 internlm2 gemma minicpm3 llava deepseek", "LlamaTokenizer LlamaTokenizer PreTrainedTokenizerFast CodeLlamaTokenizer"),
    "mistral_v3": ("mistral mixtral llama mistral3", "LlamaTokenizer PreTrainedTokenizerFast"),
    "yi_internlm": ("llama internlm2 internlm3", "LlamaTokenizer InternLM2Tokenizer PreTrainedTokenizerFast"),
    "gemma": ("gemma gemma2 gemma3 gemma3_text gemma3n paligemma t5gemma", "GemmaTokenizer GemmaTokenizer PreTrainedTokenizerFast "
              "Siglip2Tokenizer Tipsv2Tokenizer SeamlessM4TTokenizer"),
    "t5": ("t5 mt5 umt5 switch_transformers", "T5Tokenizer PreTrainedTokenizerFast LasrTokenizer VideoPrismTokenizer UdopTokenizer"),
    "xlm_roberta_bge": ("xlm-roberta gte new camembert", "XLMRobertaTokenizer XLMRobertaTokenizer CamembertTokenizer PreTrainedTokenizerFast "
                        "LayoutXLMTokenizer MLukeTokenizer UdopTokenizer"),
    "deberta_v2": ("deberta-v2", "DebertaV2Tokenizer"),
    "albert": ("albert yoso", "AlbertTokenizer"),
    "bert": ("bert distilbert nomic_bert electra mpnet new layoutlm", "BertTokenizer BertTokenizer DistilBertTokenizer MPNetTokenizer PreTrainedTokenizerFast "
             "LayoutLMv2Tokenizer FunnelTokenizer SplinterTokenizer"),
    "bert_cased": ("bert distilbert nomic_bert mobilebert", "BertTokenizer BertTokenizer DistilBertTokenizer"),
    "bert_multilingual": ("bert distilbert", "BertTokenizer"),
    "bert_plain": ("bert distilbert", "BertTokenizer"),
}
FLAGS = {"legacy": "llama2 mistral_v3 yi_internlm gemma", "add_prefix_space": "llama2 gpt2 neox_olmo qwen2 roberta_whisper t5 xlm_roberta_bge",
         "add_bos_token": "llama2 mistral_v3 deepseek_v3 gemma llama3 qwen2 gpt2", "add_eos_token": "llama2 gemma",
         "do_lower_case": "bert bert_cased bert_multilingual bert_plain albert deberta_v2",
         "strip_accents": "bert bert_cased", "tokenize_chinese_chars": "bert bert_plain", "clean_up_tokenization_spaces": "bert gpt2",
         "trim_offsets": "roberta_whisper", "keep_accents": "albert", "split_by_punct": "deberta_v2", "sp_model_kwargs": "albert"}
ROLE_TEXTS = {"bos_token": ["<s>", "<|endoftext|>", "[CLS]"], "eos_token": ["</s>", "<|im_end|>", "[SEP]", "<|endoftext|>"],
              "unk_token": ["<unk>", "[UNK]", "<|endoftext|>"], "pad_token": ["<pad>", "<|endoftext|>", "[PAD]", "</s>"],
              "mask_token": ["<mask>", "[MASK]"], "cls_token": ["<s>", "[CLS]"], "sep_token": ["</s>", "[SEP]"]}


WHISPER = ["<|startoftranscript|>", "<|en|>", "<|zh|>", "<|de|>", "<|translate|>", "<|transcribe|>", "<|notimestamps|>"]
# class: settings that it asks for, each drawn
OWN = {"WhisperTokenizer": {"language": ["English", "de", "Mandarin", None], "task": ["transcribe", "translate", None],
                            "predict_timestamps": [True, False]},
       "MarkupLMTokenizer": {"tags_dict": [{"a": 0, "b": 1}]},
       "SeamlessM4TTokenizer": {"tgt_lang": ["eng", "__the__", "</s>__"]},
       "FunnelTokenizer": {"unk_token": ["[UNK]"], "clean_text": [True, False], "wordpieces_prefix": ["##", "a"]},
       "SplinterTokenizer": {"padding_side": ["left", "right"], "question_token": ["the", {"__type": "AddedToken", "content": "of"}]},
       "LukeTokenizer": {"entity_1_token": ["<ent>", "<x>"], "extra_special_tokens": [["<y>"], ["<ent2>", "<z>"], []]},
       "MLukeTokenizer": {"entity_1_token": ["<ent>", "<x>"], "extra_special_tokens": [["<y>"], ["[UNK]", "<z>"], []]},
       "LasrTokenizer": {"extra_ids": [3, 100]}, "VideoPrismTokenizer": {"extra_ids": [3, 100]}}


def own_settings(rng, cls, config, state):
    """-> the tokenizer.json; some with the tokens that the class looks for"""
    for key, values in OWN.get(cls.removesuffix("Fast"), {}).items():
        if len(values) == 1 or rng.random() < 0.5:
            config[key] = rng.choice(values)
    if not cls.startswith("Whisper") or rng.random() < 0.2:
        return state
    first = 1 + max([t["id"] for t in state["added_tokens"]] + list(state["model"]["vocab"].values()))
    more = [{"id": first + i, "content": x, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True} for i, x in enumerate(WHISPER)]
    return {**state, "added_tokens": state["added_tokens"] + more}


def repo(rng, states, a):
    """-> its name, and its files"""
    family = rng.choice(a.only.split() if a.only else sorted(REPOS))
    models, classes = REPOS[family]
    state = states[family]
    model, cls = rng.choice(models.split() + [""]), rng.choice(classes.split() + [""])
    if a.any:
        model = rng.choice(sorted({x for m, _ in REPOS.values() for x in m.split()}))
    if cls and rng.random() < 0.3 and not cls.endswith("Fast"):
        cls += "Fast" if cls != "TokenizersBackend" else ""
    config = {"tokenizer_class": cls} if cls else {}
    state = own_settings(rng, cls, config, state)
    for flag, of in FLAGS.items():
        if family in of.split() and rng.random() < 0.3:
            config[flag] = {} if flag == "sp_model_kwargs" else rng.choice([True, False, False])
    have = {t["content"] for t in state["added_tokens"]} | {x[0] if isinstance(x, list) else x for x in state["model"]["vocab"]}
    for role, texts in ROLE_TEXTS.items():
        texts = [x for x in texts if x in have]
        if texts and rng.random() < 0.5:
            config[role] = rng.choice(texts) if rng.random() < 0.8 else {
                "__type": "AddedToken", "content": rng.choice(texts), "lstrip": role == "mask_token", "normalized": rng.random() < 0.3,
                "rstrip": False, "single_word": False}
    if rng.random() < 0.5:
        config["added_tokens_decoder"] = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in state["added_tokens"]}
    if rng.random() < 0.2:
        config["additional_special_tokens"] = rng.sample(["<|im_start|>", "<|im_end|>", "<image>"], rng.randint(1, 3))
    out = {"tokenizer.json": state, "tokenizer_config.json": config}
    if rng.random() < 0.2:
        out["special_tokens_map.json"] = {k: v for k, v in config.items() if k in ROLE_TEXTS}
    if model:
        out["config.json"] = {"model_type": model}
    return f"{family} {model or '-'} {cls or '-'}", out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--command", default="build/mlxengine")
    p.add_argument("--count", type=int, default=200)
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--only", default="")
    p.add_argument("--any", action="store_true")
    p.add_argument("--keep", default="", help="folder for repositories that differ")
    a = p.parse_args()
    rng = random.Random(a.seed)
    lines = [x.strip() for x in cases.corpus(rng, 400)]
    names = a.only.split() if a.only else sorted(REPOS)
    states = {x: json.loads(families.FAMILIES[x](rng, lines).to_str()) for x in names}
    totals, answers = {}, 0
    for i in range(a.count):
        rng = random.Random(a.seed * 100003 + i)
        name, content = repo(rng, states, a)
        pool = [t["content"] for t in content["tokenizer.json"]["added_tokens"]][:8] or ["<s>"]
        with tempfile.TemporaryDirectory() as folder:
            for file, value in content.items():
                files.save(folder, file, value)
            found, why, n = settings.verdict(a.command, folder, settings.texts_of(rng, pool, 14), rng)
        totals[found] = totals.get(found, 0) + 1
        answers += n
        if found in ("differs", "failed", "refused"):
            said = {k: v for k, v in content.items() if k != "tokenizer.json"}
            said["tokenizer_config.json"].pop("added_tokens_decoder", None)
            print(f"[{i}] {name} {found}: {json.dumps(said, ensure_ascii=False)}\n    {why}", flush=True)
            if a.keep:
                os.makedirs(os.path.join(a.keep, f"{a.seed}-{i}"), exist_ok=True)
                for file, value in content.items():
                    files.save(os.path.join(a.keep, f"{a.seed}-{i}"), file, value)
    print(f"seed {a.seed}: {totals}, {answers} answers compared")
    sys.exit(1 if totals.get("differs") or totals.get("failed") else 0)


if __name__ == "__main__":
    main()
