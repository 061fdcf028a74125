"""oracle.py: reference logits by transformers on the CPU, eager attention, float32 or float64.

The folder's own config.json goes through transformers' config classes, so its reading is part of
the oracle. Unquantised folders are loaded by from_pretrained; MLX-quantised ones, which it cannot
read, are dequantised by affine.py and handed over as a state dict.
"""
import contextlib
import copy
import json
import os
import re

import numpy as np
import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

import affine
import st

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def read_config(folder):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        return json.load(f)


@contextlib.contextmanager
def float64_everywhere():
    """Inside, code that asks torch for float32 by name (norms, softmax, rope) gets float64."""
    kept = torch.float32, torch.float, torch.get_default_dtype()
    torch.float32 = torch.float = torch.float64
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.float32, torch.float = kept[:2]
        torch.set_default_dtype(kept[2])


def fuse_experts(weights):
    """Experts' matrices, one by one or stacked by mlx-lm, as transformers 5 holds them."""
    out, parts = {}, {}
    names = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}
    for name, x in weights.items():
        one = re.fullmatch(r"(.*)\.(?:mlp|block_sparse_moe)\.experts\.(\d+)\.(\w+)\.weight", name)
        all_ = re.fullmatch(r"(.*)\.(?:mlp|block_sparse_moe)\.switch_mlp\.(\w+)\.weight", name)
        if one:
            layer, number, part = one.groups()
            parts.setdefault(layer, {}).setdefault(names.get(part, part), {})[int(number)] = x
        elif all_:
            parts.setdefault(all_[1], {})[all_[2]] = dict(enumerate(x))
        else:
            out[name.replace("block_sparse_moe.gate", "mlp.gate")] = x
    for layer, p in parts.items():
        gate, up, down = (np.stack([p[k][i] for i in sorted(p[k])])
                          for k in ("gate_proj", "up_proj", "down_proj"))
        out[layer + ".mlp.experts.gate_up_proj"] = np.concatenate([gate, up], 1)
        out[layer + ".mlp.experts.down_proj"] = down
    return out


def build(config, weights):
    """A model of the current default dtype from a config.json's dict and {name: float32}."""
    config = copy.deepcopy(config)
    for key in ("quantization", "quantization_config", "torch_dtype", "dtype"):
        config.pop(key, None)
    c = CONFIG_MAPPING[config["model_type"]].from_dict(config)
    model = AutoModelForCausalLM.from_config(c, attn_implementation="eager",
                                             experts_implementation="eager",
                                             dtype=torch.get_default_dtype())
    state = {n: torch.from_numpy(np.array(x)) for n, x in fuse_experts(weights).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [n for n in missing if not (n == "lm_head.weight" and c.tie_word_embeddings)]
    unexpected = [n for n in unexpected if not n.endswith("rotary_emb.inv_freq")]
    assert not missing and not unexpected, (missing, unexpected)
    model.tie_weights()
    return model.eval()


def weights(folder):
    """{name: float32} of a folder, dequantised."""
    config = read_config(folder)
    return affine.dense(st.load_folder(folder), config.get("quantization")
                        or config.get("quantization_config") or {})


def load(folder):
    """The float32 model of a folder."""
    config = read_config(folder)
    stacked = os.path.exists(os.path.join(folder, "model.safetensors")) and any(
        "switch_mlp" in n for n in st.load_folder(folder))
    if stacked or "quantization" in config or "quantization_config" in config:
        return build(config, weights(folder))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                 attn_implementation="eager",
                                                 experts_implementation="eager")
    return model.eval()


def fresh_rope(model):
    """Dynamic rope remembers the longest pass: forget it, so that each pass stands alone."""
    old = model.model.rotary_emb
    model.model.rotary_emb = type(old)(config=model.config)


@torch.no_grad()
def logits(model, ids):
    """One full forward pass without a cache -> numpy [T,V]"""
    fresh_rope(model)
    out = model(input_ids=torch.tensor([list(map(int, ids))]), use_cache=False)
    return out.logits[0].numpy()


def logits_f64(config, w, ids):
    with float64_everywhere():
        return logits(build(config, w), ids)


def greedy(model, ids, n):
    """n greedy tokens, each from a full forward pass -> (ids, margins top1 - top2)"""
    ids, out, margins = list(map(int, ids)), [], []
    for _ in range(n):
        row = logits(model, ids)[-1]
        second, first = np.sort(row)[-2:]
        out.append(int(row.argmax()))
        margins.append(float(first - second))
        ids.append(out[-1])
    return out, margins


@torch.no_grad()
def generate(model, ids, n):
    """n greedy tokens of transformers' own generate() with its KV cache."""
    fresh_rope(model)
    x = torch.tensor([list(map(int, ids))])
    config = transformers.GenerationConfig(max_new_tokens=n, min_new_tokens=n, do_sample=False,
                                           use_cache=True, pad_token_id=0)
    got = model.generate(x, attention_mask=torch.ones_like(x), generation_config=config,
                         eos_token_id=None)
    return got[0, len(ids):].tolist()


def rel_rms(got, want):
    """RMS of the difference over RMS of the reference."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    return float(np.sqrt(((got - want) ** 2).mean() / (want ** 2).mean()))
