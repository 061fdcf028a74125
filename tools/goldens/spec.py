"""spec.py: a random decoder model as data: spec -> config.json (three forms), tensors, folder.

A spec is a dict over DEFAULTS. Shapes: V vocab, E hidden, F ffn, L layers, H heads, K kv heads,
D head dim (None: E // H, or what the model type defaults to when "head_dim" is dropped); X experts,
U of them a token, FX their ffn (qwen3_moe), stacked: as mlx-lm stores them.
Config forms: "4" as transformers 4 wrote it, "5" as transformers 5 saves it, "5min" the same
with every key left out that the class's own default supplies.
"""
import copy
import dataclasses
import json
import os
import shutil

import numpy as np

import affine
import fp
import st

DEFAULTS = dict(
    model_type="llama", V=96, E=64, F=96, L=2, H=4, K=2, D=None, eps=1e-5, theta=10000.0,
    act="silu", tie=False, attn_bias=False, mlp_bias=False, window=None, window_from=None,
    layer_types=None, use_window=None, rope=None, max_pos=2048, dtype="f32", quant=None, shards=1,
    form="4", T=48, X=None, U=2, FX=40, normalise=None, mlp_only=(), sparse_step=1, stacked=False,
    embed_std=0.5, drop=(), extra=None, extra_tensors=False, generation=None, seed=1)
ARCHITECTURES = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM",
                 "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM",
                 "mixtral": "MixtralForCausalLM", "qwen3_moe": "Qwen3MoeForCausalLM"}
LONG_DTYPE = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}


def make(**changes):
    unknown = set(changes) - set(DEFAULTS)
    assert not unknown, unknown
    return {**copy.deepcopy(DEFAULTS), **changes}


def head_dim(s):
    return s["D"] or s["E"] // s["H"]


def config_4(s):
    """The config.json that transformers 4 wrote for this model type."""
    family = s["model_type"]
    qwen = family in ("qwen2", "qwen3")
    c = {
        "architectures": [ARCHITECTURES[family]],
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": s["act"],
        "hidden_size": s["E"],
        "initializer_range": 0.02,
        "intermediate_size": s["F"],
        "max_position_embeddings": s["max_pos"],
        "model_type": family,
        "num_attention_heads": s["H"],
        "num_hidden_layers": s["L"],
        "num_key_value_heads": s["K"],
        "rms_norm_eps": s["eps"],
        "rope_theta": s["theta"],
        "tie_word_embeddings": s["tie"],
        "torch_dtype": LONG_DTYPE[s["dtype"]],
        "transformers_version": "4.51.3",
        "use_cache": True,
        "vocab_size": s["V"],
    }
    if family in ("llama", "qwen3", "qwen3_moe"):
        c["attention_bias"] = s["attn_bias"]
    if family == "llama":
        c.update(mlp_bias=s["mlp_bias"], pretraining_tp=1)
    if s["D"] is not None:
        c["head_dim"] = s["D"]
    if family not in ("mistral", "mixtral"):
        c["rope_scaling"] = s["rope"]
    elif s["rope"]:
        c["rope_scaling"] = s["rope"]
    if family in ("mistral", "mixtral"):
        c["sliding_window"] = s["window"]
    if family == "mixtral":
        c.update(num_local_experts=s["X"], num_experts_per_tok=s["U"], output_router_logits=False,
                 router_aux_loss_coef=0.02)
    if family == "qwen3_moe":
        c.update(num_experts=s["X"], num_experts_per_tok=s["U"], moe_intermediate_size=s["FX"],
                 norm_topk_prob=bool(s["normalise"]), mlp_only_layers=list(s["mlp_only"]),
                 decoder_sparse_step=s["sparse_step"], output_router_logits=False,
                 router_aux_loss_coef=0.001, max_window_layers=s["L"],
                 use_sliding_window=bool(s["window"]), sliding_window=s["window"])
    if qwen:
        use = bool(s["window"]) if s["use_window"] is None else s["use_window"]
        c.update(use_sliding_window=use, sliding_window=s["window"],
                 max_window_layers=s["L"] if s["window_from"] is None else s["window_from"])
        if s["layer_types"]:
            c["layer_types"] = s["layer_types"]
    return c


def config_5(s, minimal):
    """The config.json that transformers 5 writes, by transformers itself."""
    from transformers import CONFIG_MAPPING
    kind = CONFIG_MAPPING[s["model_type"]]
    c = json.loads(kind.from_dict(copy.deepcopy(config_4(s))).to_json_string(use_diff=True))
    c["rope_parameters"].pop("type", None)
    if not minimal:
        return c
    default = {f.name: f.default for f in dataclasses.fields(kind)}
    if s["model_type"] != "qwen3" and c.get("head_dim") == s["E"] // s["H"]:
        default["head_dim"] = c["head_dim"]              # the class derives it when it is absent
    if s["model_type"] == "llama" and s["K"] == s["H"]:
        default["num_key_value_heads"] = s["K"]
    rope = {k: v for k, v in c.pop("rope_parameters").items()
            if (k, v) not in (("rope_type", "default"), ("rope_theta", 10000.0))}
    if s["layer_types"] is None:
        c.pop("layer_types", None)
        if s["window"] and s["model_type"] != "mistral":
            c["max_window_layers"] = s["window_from"]
    kept = {"model_type": c["model_type"]}
    kept.update({k: v for k, v in c.items() if k not in default or default[k] != v})
    if rope:
        kept["rope_parameters"] = rope
    return kept


def config(s):
    c = config_4(s) if s["form"] == "4" else config_5(s, s["form"] == "5min")
    if s["quant"]:
        q = s["quant"]
        table = {"group_size": q["group"], "bits": q["bits"]}
        if q.get("mode", True):
            table["mode"] = q.get("kind", "affine")
        table.update(q.get("overrides", {}))
        c["quantization"] = table
        if q.get("both", True):
            c["quantization_config"] = table
    c.update(s["extra"] or {})
    for key in s["drop"]:
        c.pop(key, None)
    return dict(sorted(c.items()))


def is_sparse(s, i):
    return bool(s["X"]) and i not in s["mlp_only"] and (i + 1) % s["sparse_step"] == 0


def expert_ffn(s):
    return s["FX"] if s["model_type"] == "qwen3_moe" else s["F"]


def expert_names(s, block, x):
    """gate, up, down of an expert, as transformers stores them."""
    names = ("gate_proj", "up_proj", "down_proj") if s["model_type"] == "qwen3_moe" else (
        "w1", "w3", "w2")
    return [f"{block}.experts.{x}.{n}" for n in names]


def stack(s, out):
    """Experts' tensors as mlx-lm stores them: one of each kind a layer."""
    import re
    names = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}
    kept, stacks = {}, {}
    for name, x in out.items():
        m = re.fullmatch(r"(.*)\.experts\.\d+\.(\w+)\.(\w+)", name)
        if not m:
            kept[name] = x
            continue
        block, part, last = m.groups()
        stacks.setdefault(f"{block}.switch_mlp.{names.get(part, part)}.{last}", []).append(x)
    for name, parts in stacks.items():
        bits = [p.bits if isinstance(p, st.Bf16) else p for p in parts]
        kept[name] = st.Bf16(np.stack(bits)) if isinstance(parts[0], st.Bf16) else np.stack(bits)
    return kept


def tensors_f32(s, rng):
    """{HF name: float32}: scaled so that attention is peaked and logits spread over a few units."""
    V, E, F, H, K, D = s["V"], s["E"], s["F"], s["H"], s["K"], head_dim(s)
    family, out = s["model_type"], {}
    qkv_bias = family == "qwen2" or (family in ("llama", "qwen3", "qwen3_moe") and s["attn_bias"])
    o_bias = qkv_bias and family != "qwen2"

    def linear(name, rows, cols, gain, bias=False):
        out[name + ".weight"] = rng.normal(0, gain / np.sqrt(cols), (rows, cols))
        if bias:
            out[name + ".bias"] = rng.normal(0, 0.4, rows)

    def norm(name, n, low, high):
        out[name + ".weight"] = rng.uniform(low, high, n) * rng.choice([1, 1, 1, -1], n)

    embed_std = 2.0 / np.sqrt(E) if s["tie"] else s["embed_std"]
    out["model.embed_tokens.weight"] = rng.normal(0, embed_std, (V, E))
    for i in range(s["L"]):
        p = f"model.layers.{i}."
        norm(p + "input_layernorm", E, 0.6, 1.4)
        linear(p + "self_attn.q_proj", H * D, E, 1.6, qkv_bias)
        linear(p + "self_attn.k_proj", K * D, E, 1.6, qkv_bias)
        linear(p + "self_attn.v_proj", K * D, E, 1.0, qkv_bias)
        linear(p + "self_attn.o_proj", E, H * D, 1.2, o_bias)
        if family in ("qwen3", "qwen3_moe"):
            norm(p + "self_attn.q_norm", D, 0.8, 1.8)
            norm(p + "self_attn.k_norm", D, 0.8, 1.8)
        norm(p + "post_attention_layernorm", E, 0.6, 1.4)
        if is_sparse(s, i):
            block = p + ("mlp" if family == "qwen3_moe" else "block_sparse_moe")
            linear(block + ".gate", s["X"], E, 1.5)
            for x in range(s["X"]):
                gate, up, down = expert_names(s, block, x)
                linear(gate, expert_ffn(s), E, 1.2)
                linear(up, expert_ffn(s), E, 1.2)
                linear(down, E, expert_ffn(s), 1.5)
            continue
        linear(p + "mlp.gate_proj", F, E, 1.2, s["mlp_bias"])
        linear(p + "mlp.up_proj", F, E, 1.2, s["mlp_bias"])
        linear(p + "mlp.down_proj", E, F, 1.5, s["mlp_bias"])
    norm("model.norm", E, 0.6, 1.4)
    if not s["tie"]:
        out["lm_head.weight"] = rng.normal(0, 2.0 / np.sqrt(E), (V, E))
    return {k: v.astype(np.float32) for k, v in out.items()}


def quantized_modules(s, names):
    """Modules that the folder stores quantised, with their (bits, group, mode)."""
    q, out = s["quant"], {}
    for name in names:
        module, _, last = name.rpartition(".")
        if last != "weight" or module.endswith("norm"):
            continue
        own = q.get("overrides", {}).get(module, True)
        if own is False or module in q.get("skip", ()):
            continue
        own = own if isinstance(own, dict) else {}
        kind = (own or {"mode": q.get("kind", "affine")}).get("mode", "affine")
        out[module] = own.get("bits", q["bits"]), own.get("group_size", q["group"]), kind
    return out


def tensors(s, rng):
    """{name: stored tensor}: cast to the spec's dtype, quantised by MLX itself where asked."""
    dense = {n: st.cast(x, s["dtype"]) for n, x in tensors_f32(s, rng).items()}
    if s["extra_tensors"]:
        for i in range(s["L"]):
            n = head_dim(s) // 2
            dense[f"model.layers.{i}.self_attn.rotary_emb.inv_freq"] = np.ones(n, np.float32)
    if not s["quant"]:
        return dense
    import mlx.core as mx
    kinds = {"f32": mx.float32, "f16": mx.float16, "bf16": mx.bfloat16}
    what, out, stored = quantized_modules(s, dense), {}, s["quant"].get("dtype", s["dtype"])
    for name, x in dense.items():
        module, _, last = name.rpartition(".")
        if last != "weight" or module not in what:
            out[name] = x
            continue
        bits, group, mode = what[module]
        w = mx.array(st.to_f32(x)).astype(kinds[stored])
        if mode != "affine":
            packed, scales = mx.quantize(w, mode=mode)
            back = np.array(mx.dequantize(packed, scales, mode=mode, dtype=mx.float32))
            packed, scales = np.array(packed), np.array(scales)
            assert (back == fp.dequantize(packed, scales, mode)).all(), (name, mode)
            out[name], out[module + ".scales"] = packed, scales
            continue
        parts = mx.quantize(w, group_size=group, bits=bits)
        back = np.array(mx.dequantize(parts[0], *(p.astype(mx.float32) for p in parts[1:]),
                                      group_size=group, bits=bits))
        packed = np.array(parts[0])
        scales, biases = (st.cast(np.array(p.astype(mx.float32)), stored) for p in parts[1:])
        ours = affine.dequantize(packed, scales, biases, bits, group)
        assert np.abs(back - ours).max() <= 2e-6 * np.abs(ours).max(), (name, bits, group)
        assert (affine.pack(affine.unpack(packed, bits), bits) == packed).all(), (name, bits)
        out[name] = packed
        out[module + ".scales"], out[module + ".biases"] = scales, biases
    return out


def write_config(folder, s):
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config(s), f, indent=2)
        f.write("\n")
    if s["generation"]:
        with open(os.path.join(folder, "generation_config.json"), "w", encoding="utf-8") as f:
            json.dump(s["generation"], f, indent=2)
            f.write("\n")


def write_folder(folder, s, rng, weights_from=None):
    """weights_from: another folder whose weight files this one shares by relative links."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    write_config(folder, s)
    if weights_from is None:
        stored = tensors(s, rng)
        st.save_folder(folder, stack(s, stored) if s["stacked"] else stored, s["shards"],
                       {"format": "mlx" if s["quant"] else "pt"})
        return
    for name in sorted(os.listdir(weights_from)):
        if name.startswith("model"):
            os.symlink(os.path.relpath(os.path.join(weights_from, name), folder),
                       os.path.join(folder, name))
