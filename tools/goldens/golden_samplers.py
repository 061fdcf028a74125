"""Sampler goldens: what transformers' logits processors leave of random logits.

usage: golden_samplers.py OUT [--only SUBSTRING]

Writes OUT/samplers/cases.json: a list of {"name", "params", "prompt", "answer", "logits", "left"},
where left maps each token that may still be drawn to its logit after bias, penalties, temperature,
top_k, top_p and min_p, in that order. repetition_penalty, temperature, top_k, top_p and min_p are
transformers' own classes; logit_bias, presence and frequency penalties are the OpenAI API's formula
(logit - count * frequency - (count > 0) * presence, over the answer).
"""
import json, os, sys

import numpy as np
import torch
from transformers.generation.logits_process import (
    MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper,
    TopPLogitsWarper)

V = 48
CASES = [
    ("temperature", dict(temperature=0.7)),
    ("temperature-high", dict(temperature=3.0)),
    ("top-k", dict(temperature=1.0, top_k=5)),
    ("top-k-one", dict(temperature=1.0, top_k=1)),
    ("top-k-all", dict(temperature=1.0, top_k=500)),
    ("top-p", dict(temperature=1.0, top_p=0.9)),
    ("top-p-small", dict(temperature=1.0, top_p=0.05)),
    ("top-p-after-temperature", dict(temperature=2.0, top_p=0.8)),
    ("min-p", dict(temperature=1.0, min_p=0.1)),
    ("all-filters", dict(temperature=0.8, top_k=20, top_p=0.9, min_p=0.05)),
    ("repetition", dict(temperature=1.0, repetition_penalty=1.3)),
    ("repetition-below-one", dict(temperature=1.0, repetition_penalty=0.8)),
    ("repetition-window", dict(temperature=1.0, repetition_penalty=1.5, penalty_window=6)),
    ("presence", dict(temperature=1.0, presence_penalty=0.9)),
    ("frequency", dict(temperature=1.0, frequency_penalty=0.4)),
    ("bias", dict(temperature=1.0, logit_bias={"3": 2.5, "7": -1.25, "40": -100.0})),
    ("everything", dict(temperature=0.9, top_k=30, top_p=0.95, min_p=0.02, repetition_penalty=1.2,
                        presence_penalty=0.3, frequency_penalty=0.2, logit_bias={"1": 1.0})),
]


def case(name, params, seed):
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal(V) * 3).astype(np.float32)
    prompt = rng.integers(0, V, 9).tolist()
    answer = rng.integers(0, V, 7).tolist()
    x = torch.tensor(logits)[None].clone()
    for k, v in params.get("logit_bias", {}).items():
        x[0, int(k)] += v
    window = params.get("penalty_window", 0)
    seen = prompt + answer
    if window:
        seen = seen[-window:]
    if "repetition_penalty" in params:
        x = RepetitionPenaltyLogitsProcessor(params["repetition_penalty"])(torch.tensor([seen]), x)
    for t in set(answer):
        x[0, t] -= params.get("presence_penalty", 0) + answer.count(t) * params.get("frequency_penalty", 0)
    none = torch.zeros((1, 0), dtype=torch.long)
    x = TemperatureLogitsWarper(params["temperature"])(none, x)
    if "top_k" in params:
        x = TopKLogitsWarper(params["top_k"])(none, x)
    if "top_p" in params:
        x = TopPLogitsWarper(params["top_p"])(none, x)
    if "min_p" in params:
        x = MinPLogitsWarper(params["min_p"])(none, x)
    left = {str(i): float(v) for i, v in enumerate(x[0].tolist()) if v != float("-inf")}
    return dict(name=name, params=params, prompt=prompt, answer=answer,
                logits=[float(v) for v in logits], left=left)


def main():
    out = os.path.join(sys.argv[1], "samplers")
    if "--only" in sys.argv and sys.argv[sys.argv.index("--only") + 1] not in "samplers":
        return
    os.makedirs(out, exist_ok=True)
    cases = [case(f"{name}-{seed}", params, seed * 1000 + i)
             for i, (name, params) in enumerate(CASES) for seed in range(3)]
    with open(os.path.join(out, "cases.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


main()
