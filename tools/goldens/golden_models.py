#!/usr/bin/env python3
"""golden_models.py OUT [--only SUBSTRING]: writes the model goldens under OUT (tests/golden).

OUT/<model_type>/<case>/{config.json, model*.safetensors, expected.safetensors, manifest.json} for
each entry of model_cases.py, and OUT/INDEX.txt, one folder a line. Seeds are searched upwards from
the case's own until every greedy margin is far above float32 noise; the one used is recorded.
"""
import argparse
import importlib.metadata
import json
import os
import re

import numpy as np

import model_cases
import oracle
import spec
import st

TOLERANCE = 1e-4          # relative RMS that an f32 implementation must meet
GREEDY = 24               # tokens of the greedy continuation
MARGIN = 0.02             # least margin accepted, as a share of the logits' standard deviation
HERE = os.path.dirname(os.path.abspath(__file__))


def full_spec(name):
    """A case's spec: its own changes over the spec of the case whose weights it shares."""
    case = model_cases.CASES[name]
    changes = {k: v for k, v in case.items() if k in spec.DEFAULTS}
    if "same" not in case:
        return spec.make(**{"embed_std": 0.05, "model_type": name.split("/")[0], **changes})
    return {**full_spec(case["same"]), **changes}


def mutant_effect(case, folder, w, ids, want):
    """Relative RMS between the case and its mutant: how far wrong it is to ignore the option."""
    if "mutant" not in case and "zero" not in case:
        return None
    config = oracle.read_config(folder)
    for key, value in case.get("mutant", {}).items():
        config.pop(key, None)
        if value is not None or key == "sliding_window":
            config[key] = value
    if "zero" in case:
        w = {n: x * 0 if re.search(case["zero"], n) else x for n, x in w.items()}
    return oracle.rel_rms(oracle.logits(oracle.build(config, w), ids), want)


def check_continuation(model, s, ids, greedy):
    """generate() with its cache must agree; above dynamic rope's limit it rotates older keys by
    older frequencies, and its ids are recorded beside those of full passes."""
    cached = oracle.generate(model, ids, GREEDY)
    dynamic = "dynamic" in json.dumps(s["rope"] or {})
    crosses = dynamic and s["T"] + GREEDY > s["max_pos"]
    assert crosses or cached == greedy, (cached, greedy)
    return cached if crosses else None


def expected(name, case, folder, seed):
    """The reference numbers of a folder for one draw of ids, or None when a margin is too small."""
    s = full_spec(name)
    model, w = oracle.load(folder), oracle.weights(folder)
    ids = np.random.default_rng([seed, 2]).integers(0, s["V"], s["T"]).astype(np.int32)
    logits = oracle.logits(model, ids).astype(np.float32)
    greedy, margins = oracle.greedy(model, ids, GREEDY)
    if min(margins) < MARGIN * logits.std():
        return None
    exact = oracle.logits_f64(oracle.read_config(folder), w, ids)
    assert exact.dtype == np.float64
    error = oracle.rel_rms(logits, exact)
    assert error < TOLERANCE / 10, (name, error)
    effect = mutant_effect(case, folder, w, ids, logits)
    assert effect is None or effect > 2 * TOLERANCE, (name, effect)
    out = {"ids": ids, "logits": logits, "greedy_ids": np.array(greedy, np.int32),
           "greedy_margin": np.array(margins, np.float32)}
    cached = check_continuation(model, s, ids, greedy)
    if cached:
        out["generate_ids"] = np.array(cached, np.int32)
    notes = {"measured_rel_rms_f32_f64": float(f"{error:.3e}"),
             "measured_max_abs_f32_f64": float(f"{np.abs(logits - exact).max():.3e}"),
             "logits_std": float(f"{logits.std():.4f}"),
             "least_greedy_margin": float(f"{min(margins):.4f}")}
    if effect is not None:
        notes["option_ignored_rel_rms"] = float(f"{effect:.3e}")
    return out, notes


def manifest(name, case, s, seed, tensors, notes):
    m = {
        "case": name,
        "covers": case["covers"],
        "command": f"tools/goldens/make.sh --only {name}",
        "versions": {p: importlib.metadata.version(p)
                     for p in ("torch", "transformers", "numpy", "mlx", "safetensors")},
        "reference": "transformers, float32, eager attention, one full pass without a cache",
        "seed": seed,
        "weights_dtype": s["dtype"],
        "config_form": s["form"],
        "tolerance_rel_rms": TOLERANCE,
        **notes,
    }
    if s["quant"]:
        m["quantization"] = {"bits": s["quant"]["bits"], "group_size": s["quant"]["group"],
                             "scales_dtype": s["quant"]["dtype"]}
        if "kind" in s["quant"]:
            m["quantization"].update(mode=s["quant"]["kind"], scales_dtype="u8")
        m["reference"] += ", on the dequantised weights " + (
            "w = code * scale" if "kind" in s["quant"] else "w = q * scale + bias")
    if "same" in case:
        m["weights_from"] = os.path.relpath(case["same"], name)
    if "generate_ids" in tensors:
        m["note"] = ("rope dynamic above max_position_embeddings: one pass rotates all T positions "
                     "by the frequencies of length T, and so does each pass behind greedy_ids; "
                     "generate_ids come from generate() with a cache, where a key keeps the "
                     "frequencies of the pass that appended it")
    return m


def make_case(out, name, case):
    folder, s = os.path.join(out, name), full_spec(name)
    same = case.get("same")
    for seed in range(s["seed"], s["seed"] + 100000, 1000):
        draw = np.random.default_rng([seed, 1])
        spec.write_folder(folder, s, draw, os.path.join(out, same) if same else None)
        found = expected(name, case, folder, seed)
        if found:
            break
    else:
        raise SystemExit(f"{name}: no seed gives clear margins")
    tensors, notes = found
    st.save(os.path.join(folder, "expected.safetensors"), tensors)
    with open(os.path.join(folder, "manifest.json"), "w", encoding="utf-8") as f:
        json.dump(manifest(name, case, s, seed, tensors, notes), f, indent=1)
        f.write("\n")
    print(f"{name:40s} seed {seed:6d} error {notes['measured_rel_rms_f32_f64']:.1e} "
          f"std {notes['logits_std']:.2f} margin {notes['least_greedy_margin']:.3f} "
          f"ignored {notes.get('option_ignored_rel_rms', '-')}", flush=True)


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("out")
    args.add_argument("--only", default="")
    args = args.parse_args()
    for name, case in model_cases.CASES.items():
        if args.only in name:
            make_case(args.out, name, case)
    with open(os.path.join(args.out, "INDEX.txt"), "w", encoding="utf-8") as f:
        f.writelines(name + "\n" for name in model_cases.CASES
                     if os.path.exists(os.path.join(args.out, name, "manifest.json")))


if __name__ == "__main__":
    main()
