#!/usr/bin/env python3
"""mlx_lm_run.py FOLDER bf16|f32 PROMPT GEN: speed of mlx-lm on one model, as one JSON object.

The model's own forward pass with its cache, ids instead of text, greedy; the first pass (which loads
the weights) is not timed. f32: weights and activations are converted first."""
import json
import sys
import time
from pathlib import Path

import mlx.core as mx
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import load_model

folder, dtype, prompt, gen = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
model, config = load_model(Path(folder))
if dtype == "f32":
    model.set_dtype(mx.float32)
mx.eval(model.parameters())
ids = mx.array([[(i * 7919 + 13) % config["vocab_size"] for i in range(prompt)]])
mx.eval(model(ids[:, :1]))

cache = make_prompt_cache(model)
start = time.perf_counter()
logits = model(ids, cache=cache)[:, -1, :]
mx.eval(logits)
prefill = time.perf_counter() - start
start = time.perf_counter()
for _ in range(gen):
    token = mx.argmax(logits, axis=-1)
    logits = model(token[None], cache=cache)[:, -1, :]
    mx.eval(logits)
decode = time.perf_counter() - start
print(json.dumps({"prefill_tps": prompt / prefill, "decode_tps": gen / decode}))
