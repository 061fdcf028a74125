#!/usr/bin/env python3
"""golden_models_configs.py OUT [--only SUBSTRING]: configs that must be refused or accepted.

OUT/bad-config/NAME.json  must be refused at load; the error must hold the words given for it
OUT/good-config/NAME.json must load and answer as its base does (transformers is asked here)
and in each folder CASES.txt, a line a file, tab separated: file, base, words (comma separated, "-"
for none). The base is a golden folder: its weights belong to the config, and for a good one its
expected.safetensors too.
"""
import argparse
import copy
import json
import os
import shutil

import oracle
import st

REMOVED = object()
LONG = {"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [2.0] * 8,
        "factor": 2.0, "original_max_position_embeddings": 1024}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
F32, F32_5 = "llama/f32", "llama/f32-v5"
QWEN2, QWEN3, MISTRAL, Q4 = "qwen2/f16", "qwen3/f32", "mistral/bf16", "llama/q4-g64"


def scaling(**rope):
    return {"rope_scaling": rope}


def quantization(**changes):
    table = {"group_size": 64, "bits": 4, "mode": "affine", **changes}
    table = {k: v for k, v in table.items() if v is not REMOVED}
    return {"quantization": table, "quantization_config": table}


def method(name, **more):
    return {"quantization": REMOVED, "quantization_config": {"quant_method": name, **more}}


BAD = [
    # file, base, changes, words that the error must hold
    ("rope-longrope", F32, {"rope_scaling": LONG}, "rope_type,longrope"),
    ("rope-longrope-v5", F32_5, {"rope_parameters": {**LONG, "rope_theta": 1e4}},
     "rope_type,longrope"),
    ("rope-su-old-type", F32, scaling(type="su", factor=2.0), "type,su"),
    ("rope-mrope", QWEN2, scaling(type="mrope", mrope_section=[2, 3, 3]), "type,mrope"),
    ("rope-proportional-v5", F32_5,
     {"rope_parameters": {"rope_type": "proportional", "rope_theta": 1e4}},
     "rope_type,proportional"),
    ("rope-type-not-text", F32, scaling(rope_type=3, factor=2.0), "rope_type"),
    ("rope-linear-no-factor", F32, scaling(rope_type="linear"), "factor"),
    ("rope-linear-factor-text", F32, scaling(rope_type="linear", factor="2.0"), "factor"),
    ("rope-linear-factor-zero", F32, scaling(rope_type="linear", factor=0.0), "factor"),
    ("rope-llama3-no-low-freq-factor", F32, {"rope_scaling": LLAMA3}, "low_freq_factor"),
    ("rope-unknown-option", F32, scaling(rope_type="linear", factor=2.0, sharpness=0.5),
     "sharpness"),
    ("rope-scaling-not-object", F32, {"rope_scaling": "linear"}, "rope_scaling"),
    ("rope-per-layer-type-v5", "qwen3/f32-v5",
     {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4},
                          "sliding_attention": {"rope_type": "default", "rope_theta": 1e6}}},
     "rope_parameters"),
    ("rope-theta-zero", F32, {"rope_theta": 0.0}, "rope_theta"),
    ("rope-theta-text", F32, {"rope_theta": "10000"}, "rope_theta"),
    ("partial-rotary", F32, {"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
    ("partial-rotary-v5", F32_5,
     {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4,
                          "partial_rotary_factor": 0.25}}, "partial_rotary_factor"),
    ("hidden-act-unknown", F32, {"hidden_act": "xielu"}, "hidden_act,xielu"),
    ("hidden-act-not-text", F32, {"hidden_act": 1}, "hidden_act"),
    ("model-type-unknown", F32, {"model_type": "llamax"}, "model_type,llamax"),
    ("model-type-missing", F32, {"model_type": REMOVED}, "model_type"),
    ("experts", QWEN3, {"num_experts": 8, "num_experts_per_tok": 2}, "num_experts"),
    ("local-experts", MISTRAL, {"num_local_experts": 8}, "num_local_experts"),
    ("mrope-on", QWEN2, {"use_mrope": True}, "use_mrope"),
    ("attention-softcap", F32, {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
    ("final-softcap", F32, {"final_logit_softcapping": 30.0}, "final_logit_softcapping"),
    ("logit-scale", F32, {"logit_scale": 0.0625}, "logit_scale"),
    ("embedding-multiplier", F32, {"embedding_multiplier": 12.0}, "embedding_multiplier"),
    ("residual-multiplier", F32, {"residual_multiplier": 0.22}, "residual_multiplier"),
    ("attention-multiplier", F32, {"attention_multiplier": 0.0156}, "attention_multiplier"),
    ("clip-qkv", F32, {"clip_qkv": 8.0}, "clip_qkv"),
    ("no-rope-layers", F32, {"no_rope_layers": [1, 0]}, "no_rope_layers"),
    ("not-causal", F32, {"is_causal": False}, "is_causal"),
    ("per-layer-config-v5", F32_5, {"per_layer_config": {"1": {"num_key_value_heads": 1}}},
     "per_layer_config"),
    ("unknown-option", F32, {"qk_clip_threshold": 5.0}, "qk_clip_threshold"),
    ("layer-types-short", "qwen3/layer-types-v5", {"layer_types": ["full_attention"]},
     "layer_types"),
    ("layer-types-unknown", "qwen3/layer-types-v5",
     {"layer_types": ["full_attention", "chunked_attention", "full_attention"]},
     "layer_types,chunked_attention"),
    ("layer-types-sliding-but-off", "qwen3/f32-v5",
     {"layer_types": ["full_attention", "sliding_attention", "full_attention"],
      "use_sliding_window": False, "sliding_window": None}, "sliding"),
    ("sliding-window-negative", MISTRAL, {"sliding_window": -4}, "sliding_window"),
    ("sliding-window-zero", MISTRAL, {"sliding_window": 0}, "sliding_window"),
    ("sliding-window-text", MISTRAL, {"sliding_window": "12"}, "sliding_window"),
    ("kv-heads-do-not-divide", F32, {"num_key_value_heads": 3}, "num_key_value_heads"),
    ("kv-heads-zero", F32, {"num_key_value_heads": 0}, "num_key_value_heads"),
    ("hidden-not-multiple-of-heads", F32, {"num_attention_heads": 5, "num_key_value_heads": 5},
     "num_attention_heads"),
    ("hidden-negative", F32, {"hidden_size": -64}, "hidden_size"),
    ("hidden-zero", F32, {"hidden_size": 0}, "hidden_size"),
    ("hidden-text", F32, {"hidden_size": "64"}, "hidden_size"),
    ("hidden-fraction", F32, {"hidden_size": 64.5}, "hidden_size"),
    ("head-dim-odd", F32, {"head_dim": 15}, "head_dim"),
    ("head-dim-zero", F32, {"head_dim": 0}, "head_dim"),
    ("layers-negative", F32, {"num_hidden_layers": -1}, "num_hidden_layers"),
    ("layers-huge", F32, {"num_hidden_layers": 1 << 60}, "-"),
    ("vocab-huge", F32, {"vocab_size": 1 << 62}, "-"),
    ("ffn-wrong", F32, {"intermediate_size": 97}, "mlp"),
    ("head-dim-wrong", F32, {"head_dim": 32}, "self_attn"),
    ("eps-text", F32, {"rms_norm_eps": "1e-5"}, "rms_norm_eps"),
    ("eps-negative", F32, {"rms_norm_eps": -1e-5}, "rms_norm_eps"),
    ("tie-text", F32, {"tie_word_embeddings": "true"}, "tie_word_embeddings"),
    ("attention-bias-without-tensors", F32, {"attention_bias": True}, "bias"),
    ("untied-without-lm-head", "llama/tied-f16", {"tie_word_embeddings": False}, "lm_head"),
    ("max-position-text", F32, {"max_position_embeddings": "2048"}, "max_position_embeddings"),
    ("bits-7", Q4, quantization(bits=7), "bits"),
    ("bits-1", Q4, quantization(bits=1), "bits"),
    ("bits-text", Q4, quantization(bits="4"), "bits"),
    ("bits-missing", Q4, quantization(bits=REMOVED), "bits"),
    ("bits-wrong", Q4, quantization(bits=8), "embed_tokens"),
    ("group-48", Q4, quantization(group_size=48), "group_size"),
    ("group-16", Q4, quantization(group_size=16), "group_size"),
    ("group-wrong", Q4, quantization(group_size=32), "embed_tokens"),
    ("mode-mxfp4-group", Q4, quantization(mode="mxfp4"), "mode mxfp4,group_size 64"),
    ("mode-nvfp4-bits", Q4, quantization(mode="nvfp4", bits=8, group_size=16), "nvfp4,8 bits"),
    ("mode-unknown", Q4, quantization(mode="ternary"), "mode,ternary"),
    ("override-bits-7", Q4,
     quantization(**{"model.layers.1.mlp.up_proj": {"bits": 7, "group_size": 64}}),
     "model.layers.1.mlp.up_proj,bits"),
    ("override-group-48", Q4, quantization(**{"lm_head": {"bits": 4, "group_size": 48}}),
     "lm_head,group_size"),
    ("override-mode", Q4,
     quantization(**{"lm_head": {"bits": 4, "group_size": 32, "mode": "mxfp6"}}),
     "lm_head,mxfp6"),
    ("override-text", Q4, quantization(**{"lm_head": "no"}), "lm_head"),
    ("quantization-not-object", Q4, {"quantization": "4bit", "quantization_config": REMOVED},
     "quantization"),
    ("quantization-missing", Q4, {"quantization": REMOVED, "quantization_config": REMOVED}, "-"),
    ("method-gptq", Q4, method("gptq", bits=4, group_size=64, sym=True), "gptq"),
    ("method-awq", Q4, method("awq", bits=4, group_size=64, version="gemm"), "awq"),
    ("method-fp8", F32, method("fp8", activation_scheme="dynamic"), "fp8"),
    ("method-bitsandbytes", F32, method("bitsandbytes", load_in_4bit=True), "bitsandbytes"),
    ("method-compressed-tensors", F32, method("compressed-tensors", format="pack-quantized"),
     "compressed-tensors"),
    ("not-an-object", F32, None, "config.json"),
    ("cut-short", F32, None, "config.json"),
    ("empty", F32, None, "config.json"),
]
RAW = {"not-an-object": "[]\n", "cut-short": '{"model_type": "llama", "hidden_size": 6',
       "empty": ""}

GOOD = [
    ("attention-dropout", F32, {"attention_dropout": 0.1}),
    ("rope-scaling-default", F32, scaling(rope_type="default")),
    ("rope-scaling-default-old-type", F32, scaling(type="default")),
    ("rope-scaling-empty", F32, {"rope_scaling": {}}),
    ("rope-theta-integer", F32, {"rope_theta": 10000}),
    ("rope-theta-twice-v5", "llama/theta-500000-v5", {"rope_theta": 123.0}),
    ("rope-theta-old-place-with-scaling", "llama/rope-linear-v5",
     {"rope_parameters": REMOVED, "rope_theta": 5000, **scaling(rope_type="linear", factor=4)}),
    ("rope-scaling-over-parameters", "llama/rope-linear-v5",
     {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}, "rope_theta": 5000.0,
      **scaling(rope_type="linear", factor=4.0)}),
    ("rope-type-and-old-type", "llama/rope-linear-v5",
     {"rope_parameters": {"rope_type": "linear", "type": "dynamic", "factor": 4.0,
                          "rope_theta": 5000.0}}),
    ("rope-yarn-original-on-top", "llama/rope-yarn",
     {"original_max_position_embeddings": 32,
      **scaling(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)}),
    ("rope-yarn-null-options", "llama/rope-yarn",
     scaling(rope_type="yarn", factor=4, original_max_position_embeddings=32, beta_fast=None,
             beta_slow=None, attention_factor=None, mscale=None, mscale_all_dim=None)),
    ("rope-yarn-one-mscale", "llama/rope-yarn",
     scaling(rope_type="yarn", factor=4.0, original_max_position_embeddings=32, mscale=2.0)),
    ("rope-yarn-factor-null", "llama/rope-yarn",
     scaling(rope_type="yarn", factor=None, original_max_position_embeddings=32)),
    ("partial-rotary-one", F32, {"partial_rotary_factor": 1.0}),
    ("head-dim-null", F32, {"head_dim": None}),
    ("kv-heads-null", "llama/bias-mha-f16", {"num_key_value_heads": None}),
    ("kv-heads-missing", "llama/bias-mha-f16", {"num_key_value_heads": REMOVED}),
    ("defaults-missing", "llama/f32-v5-min",
     {"hidden_act": REMOVED, "rms_norm_eps": REMOVED, "tie_word_embeddings": REMOVED,
      "max_position_embeddings": REMOVED, "architectures": REMOVED, "dtype": REMOVED,
      "bos_token_id": REMOVED, "eos_token_id": REMOVED}),
    ("act-swish", F32, {"hidden_act": "swish"}),
    ("mrope-off", QWEN2, {"use_mrope": False}),
    ("window-off", QWEN2, {"use_sliding_window": REMOVED, "max_window_layers": REMOVED}),
    ("mistral-window-missing", MISTRAL, {"sliding_window": REMOVED}),
    ("token-ids", F32, {"eos_token_id": [2, 5], "bos_token_id": None, "pad_token_id": -1}),
    ("dtype-null", F32, {"torch_dtype": None}),
    ("dtype-other", F32, {"torch_dtype": "bfloat16"}),
    ("metadata", F32,
     {"_name_or_path": "somebody/something", "auto_map": {"AutoModel": "x.Y"},
      "transformers_version": "4.31.0.dev0", "use_cache": False, "pretraining_tp": 1,
      "initializer_range": 0.5, "output_attentions": False, "output_hidden_states": False,
      "return_dict": True, "chunk_size_feed_forward": 0, "problem_type": None,
      "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1},
      "_attn_implementation_autoset": True, "task_specific_params": None}),
    ("infinity", MISTRAL, {"initializer_range": float("inf")}),
    ("duplicate-key", F32, {}),
]


def changed(config, changes):
    config = copy.deepcopy(config)
    for key, value in changes.items():
        config.pop(key, None)
        if value is not REMOVED:
            config[key] = value
    return config


def write(folder, file, text, lines, row):
    with open(os.path.join(folder, file), "w", encoding="utf-8") as f:
        f.write(text)
    lines.append("\t".join((file, *row)))


def agrees(out, base, config):
    """transformers reads this config as it reads the base's."""
    folder = os.path.join(out, base)
    want = st.load(os.path.join(folder, "expected.safetensors"))
    got = oracle.logits(oracle.build(config, oracle.weights(folder)), want["ids"])
    return oracle.rel_rms(got, want["logits"]) < 1e-5


def table(folder, lines):
    with open(os.path.join(folder, "CASES.txt"), "w", encoding="utf-8") as f:
        f.writelines(line + "\n" for line in lines)


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("out")
    args.add_argument("--only", default="")
    args = args.parse_args()
    if args.only not in "bad-config good-config":
        return
    bad, good = (os.path.join(args.out, n) for n in ("bad-config", "good-config"))
    for folder in (bad, good):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
    lines = []
    for name, base, changes, words in BAD:
        text = RAW.get(name)
        if text is None:
            config = changed(oracle.read_config(os.path.join(args.out, base)), changes)
            text = json.dumps(config, indent=1) + "\n"
        write(bad, name + ".json", text, lines, (base, words))
    table(bad, lines)
    lines = []
    for name, base, changes in GOOD:
        config = changed(oracle.read_config(os.path.join(args.out, base)), changes)
        text = json.dumps(config, indent=1) + "\n"
        if name == "duplicate-key":
            text = text.replace("{", '{\n "rms_norm_eps": 5.0,\n "num_hidden_layers": 7,', 1)
        assert agrees(args.out, base, json.loads(text)), name
        write(good, name + ".json", text, lines, (base, "-"))
    table(good, lines)
    print(f"configs: {len(BAD)} bad, {len(GOOD)} good")


if __name__ == "__main__":
    main()
