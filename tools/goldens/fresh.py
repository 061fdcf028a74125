#!/usr/bin/env python3
"""fresh.py --mlxengine PATH [--seed N] [--count N] [--scratch DIR]: random models, every option.

Draws models over the whole option space of llama, mistral, qwen2 and qwen3, lets the binary compute
several passes of each (`logits MODEL --lines`), and compares with transformers in float32. Prints
a line a model and the worst relative RMS. A model that fails is shrunk: options go back to their
defaults one by one as long as it still fails, and the folder of the smallest one is kept.
Exit status 1 when any model failed.
"""
import argparse
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np

import affine
import oracle
import spec
import st

TOLERANCE = 1e-4
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
# Keys whose absence means this value in transformers' classes (both forms)
ABSENT = {"hidden_act": "silu", "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
          "attention_bias": False, "mlp_bias": False, "rope_theta": 10000.0, "rope_scaling": None,
          "attention_dropout": 0.0}


class Draw:
    """Short names for the few kinds of choice."""

    def __init__(self, rng):
        self.rng = rng

    def of(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def chance(self, p):
        return bool(self.rng.random() < p)

    def between(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def real(self, low, high):
        return round(float(self.rng.uniform(low, high)), 3)


def draw_rope(d):
    kind = d.of(None, None, "default", "linear", "dynamic", "llama3", "yarn", "yarn")
    if kind is None:
        return None
    rope = {d.of("rope_type", "rope_type", "type"): kind}
    if kind == "default":
        return rope
    rope["factor"] = d.of(2, 4.0, 8.0, 1.0, d.real(1, 20))
    if kind == "llama3":
        rope.update(low_freq_factor=d.of(1.0, 1, d.real(0.5, 2)),
                    high_freq_factor=d.of(4.0, 4, d.real(2.5, 8)))
    if kind in ("llama3", "yarn") and d.chance(0.8):
        rope["original_max_position_embeddings"] = d.of(16, 32, 64, 200, 4096)
    if kind == "yarn":
        for key, value in (("attention_factor", d.real(0.5, 2)), ("beta_fast", d.real(4, 40)),
                           ("beta_slow", d.real(0.3, 3)), ("mscale", d.real(0.5, 2)),
                           ("mscale_all_dim", d.real(0.5, 2)), ("truncate", d.chance(0.3))):
            if d.chance(0.35):
                rope[key] = value
    return rope


def draw_quant(d, modules, columns):
    """columns: {kind of module: input width}, which bounds the group sizes."""
    def setting(module):
        width = columns[module.split(".")[-1]]
        groups = [g for g in affine.GROUPS if width % g == 0]
        return {"group_size": d.of(*groups), "bits": d.of(*affine.BITS)}
    group = max(g for g in affine.GROUPS if all(w % g == 0 for w in columns.values()))
    base = d.of(*[g for g in affine.GROUPS if g <= group])
    q = dict(bits=d.of(*affine.BITS), group=base, dtype=d.of("f32", "f16", "bf16"),
             mode=d.chance(0.6), both=d.chance(0.6), overrides={}, skip=())
    if d.chance(0.4):
        for module in modules:
            if d.chance(0.3):
                q["overrides"][module] = d.of(False, True, setting(module), setting(module))
        q["skip"] = tuple(m for m in modules if m not in q["overrides"] and d.chance(0.1))
    return q


def modules_of(s):
    names = ["model.embed_tokens"] + ([] if s["tie"] else ["lm_head"])
    for i in range(s["L"]):
        names += [f"model.layers.{i}.self_attn.{x}_proj" for x in "qkvo"]
        names += [f"model.layers.{i}.mlp.{x}_proj" for x in ("gate", "up", "down")]
    return names


def draw_windows(d, s):
    if s["model_type"] == "llama" or d.chance(0.5):
        return
    s["window"] = d.of(2, 3, 8, 17, 64, 4096)
    if s["model_type"] != "mistral":
        s["window_from"] = d.between(0, s["L"])
        s["use_window"] = d.chance(0.8)
        if s["use_window"] and d.chance(0.4):
            s["layer_types"] = [d.of("full_attention", "sliding_attention") for _ in range(s["L"])]


def draw_spec(rng):
    d = Draw(rng)
    s = spec.make(model_type=d.of(*FAMILIES), seed=int(rng.integers(1 << 30)), embed_std=0.05)
    s["H"] = d.of(1, 2, 3, 4, 6, 8)
    s["K"] = d.of(*[k for k in range(1, s["H"] + 1) if s["H"] % k == 0])
    quantised = d.chance(0.5)
    step = d.of(32, 64, 128) if quantised else 2
    s["D"] = d.of(None, 8, 16, 18, 24, 32, 48, 64, 80, 128, 256)
    if quantised:
        s["E"] = d.of(*[e for e in (64, 96, 128, 192, 256) if e % step == 0])
        s["F"] = step * d.between(1, 256 // step)
    else:
        s["E"], s["F"] = 2 * d.between(16, 80), d.between(17, 200)
    while s["E"] % s["H"] or (s["D"] is None and s["E"] // s["H"] % 2):
        s["E"] += step
    if s["model_type"] == "qwen3" and s["D"] is None:
        s["D"] = spec.head_dim(s)
    if quantised and s["H"] * spec.head_dim(s) % step:
        s["D"] = max(step, 32)
    s["L"], s["V"], s["T"] = d.between(1, 4), d.between(20, 320), d.between(2, 100)
    if d.chance(0.1):                       # past one chunk of a prefill, one page, one tile
        s["T"], s["V"] = d.between(200, 1500), d.between(300, 3000)
    s["eps"] = d.of(1e-6, 1e-5, 1e-5, 1e-3, 1e-8)
    s["theta"] = d.of(10000.0, 10000, 500000.0, 1000000, 150.0)
    s["act"] = d.of("silu", "silu", "silu", "gelu", "gelu_pytorch_tanh", "relu")
    s["tie"], s["dtype"] = d.chance(0.4), d.of("f32", "f16", "bf16")
    s["attn_bias"] = s["model_type"] in ("llama", "qwen3") and d.chance(0.4)
    s["mlp_bias"] = s["model_type"] == "llama" and d.chance(0.4)
    draw_windows(d, s)
    s["rope"], s["max_pos"] = draw_rope(d), d.of(16, 40, 64, 128, 2048, 32768)
    if quantised:
        heads = s["H"] * spec.head_dim(s)
        columns = dict.fromkeys(("embed_tokens", "lm_head", "q_proj", "k_proj", "v_proj",
                                 "gate_proj", "up_proj"), s["E"])
        columns.update(o_proj=heads, down_proj=s["F"])
        s["quant"] = draw_quant(d, modules_of(s), columns)
    s["shards"], s["form"] = d.of(1, 1, 1, 2, 3), d.of("4", "4", "5", "5min")
    c = spec.config(s)
    s["drop"] = tuple(k for k, v in ABSENT.items() if k in c and c[k] == v and d.chance(0.3))
    if s["K"] == s["H"] and s["model_type"] == "llama" and d.chance(0.3):
        s["drop"] += ("num_key_value_heads",)
    return s


def passes(s):
    """Token lists of one model: short after long too, since passes must not see each other."""
    rng = np.random.default_rng([s["seed"], 3])
    lengths = [s["T"], 1, max(1, s["T"] // 3), s["T"]]
    return [rng.integers(0, s["V"], n).tolist() for n in lengths]


def trial(binary, s, folder, timeout):
    """-> (relative RMS or None, text): writes the folder, runs the binary, asks transformers."""
    spec.write_folder(folder, s, np.random.default_rng([s["seed"], 1]))
    lists = passes(s)
    files = [os.path.join(folder, f"out{i}.st") for i in range(len(lists))]
    text = "".join(json.dumps({"ids": i, "out": f}) + "\n" for i, f in zip(lists, files))
    try:
        p = subprocess.run([binary, "logits", folder, "--lines"], input=text, text=True,
                           capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return None, f"no answer in {timeout} s"
    if p.returncode != 0:
        return None, f"exit status {p.returncode}: {p.stdout.strip()} {p.stderr.strip()}"
    answers = [json.loads(line) for line in p.stdout.splitlines()]
    model, worst = oracle.load(folder), 0.0
    for i, (ids, file) in enumerate(zip(lists, files)):
        want = {"ok": True, "tokens": len(ids), "vocab": s["V"]}
        if i >= len(answers) or {k: answers[i].get(k) for k in want} != want:
            return None, f"pass {i}: answer {answers[i:i + 1]}, want {want}"
        got, ref = st.load(file)["logits"], oracle.logits(model, ids)
        if got.shape != ref.shape:
            return None, f"pass {i}: logits {got.shape}, want {ref.shape}"
        error = oracle.rel_rms(got, ref)
        worst = max(worst, error if error == error else float("inf"))
    return worst, f"relative RMS {worst:.2e}"


def failed(result):
    return result[0] is None or result[0] > TOLERANCE


def shrink(binary, s, folder, timeout):
    """Options back to their defaults, one by one, while it still fails."""
    simple = spec.make(embed_std=0.05, seed=s["seed"], model_type=s["model_type"])
    for key in ("quant", "rope", "window", "layer_types", "use_window", "window_from", "drop",
                "form", "shards", "tie", "dtype", "attn_bias", "mlp_bias", "act", "eps", "theta",
                "max_pos", "L", "T", "V", "F", "K", "H", "D", "E"):
        smaller = copy.deepcopy(s)
        smaller[key] = 1 if key == "L" else simple[key]
        if smaller == s:
            continue
        try:
            if failed(trial(binary, smaller, folder, timeout)):
                s = smaller
        except Exception:                   # not a model that transformers takes: keep the option
            continue
    return s, trial(binary, s, folder, timeout)


def brief(s):
    plain = spec.make()
    return {k: v for k, v in s.items() if k == "model_type" or v != plain[k]}


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--mlxengine", required=True)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--count", type=int, default=40)
    args.add_argument("--scratch", help="default: a temporary folder, removed when all is well")
    args.add_argument("--timeout", type=float, default=120, help="seconds a model")
    args.add_argument("--keep-going", action="store_true", help="no shrinking")
    args = args.parse_args()
    scratch = args.scratch or tempfile.mkdtemp(prefix="fresh-")
    binary, worst, bad = os.path.abspath(args.mlxengine), 0.0, 0
    for i in range(args.count):
        s = draw_spec(np.random.default_rng([args.seed, i]))
        folder = os.path.join(scratch, f"{args.seed}-{i}")
        result = trial(binary, s, folder, args.timeout)
        if not failed(result):
            worst = max(worst, result[0])
            print(f"{i:3d} ok   {s['model_type']:8s} {result[1]}", flush=True)
            shutil.rmtree(folder)
            continue
        bad += 1
        print(f"{i:3d} FAIL {s['model_type']:8s} {result[1]}\n    {json.dumps(brief(s))}",
              flush=True)
        if not args.keep_going:
            s, result = shrink(binary, s, folder, args.timeout)
            print(f"    smallest: {folder}\n    {json.dumps(brief(s))}\n    {result[1]}",
                  flush=True)
    print(f"{args.count - bad} of {args.count} models agree, worst relative RMS {worst:.2e}")
    if not bad and not args.scratch:
        shutil.rmtree(scratch)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
