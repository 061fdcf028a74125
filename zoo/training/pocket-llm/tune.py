"""A short second stage: tool calls under names that no list holds, so that names are copied and not remembered.

  python3 tune.py --start RUN --out RUN2 --steps 300

Adam on the trained float32 weights, the loss is that of the 4-bit rounding (gradients pass straight through), on what
the assistant writes only. The rate rises over the first steps and falls to zero; a run that would outlast `--seconds`
falls to zero by then. Half of the conversations come from the first stage's mixture, so that nothing is forgotten.
"""
import argparse
import csv
import glob
import json
import os
import time

import torch
import torch.nn.functional as F

import generate
import model
from base import Source


def batch(tok, seed, docs):
    """-> groups of (ids [B,T], targets [B,T]), documents of like length together; targets are -1 where nothing is learned."""
    r = Source(seed)
    r.wide = True
    enc = []
    while len(enc) < docs:
        s = generate.pick_weighted(r, generate.TUNE)(r)
        enc += generate.encode(tok, [generate.segments(s["messages"], s["tools"], s.get("think"))])
    enc.sort(key=lambda e: len(e[0]))
    for k in range(0, docs, 32):
        part = enc[k:k + 32]
        ids = torch.zeros(len(part), len(part[-1][0]), dtype=torch.long)
        target = torch.full(ids.shape, -1)
        for i, (x, f) in enumerate(part):
            ids[i, :len(x)] = torch.tensor(x)
            target[i, :len(x) - 1] = torch.where(torch.tensor(f[1:]) > 0, torch.tensor(x[1:]), -1)
        yield ids, target


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--start", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--model", default="../../pocket-llm")
    a.add_argument("--items", default="heldout.jsonl")
    a.add_argument("--steps", type=int, default=300)
    a.add_argument("--docs", type=int, default=256)
    a.add_argument("--lr", type=float, default=3e-4)
    a.add_argument("--seed", type=int, default=20261123)
    a.add_argument("--seconds", type=float, default=150)
    a = a.parse_args()
    from safetensors.torch import load_file, save_file
    from tokenizers import Tokenizer
    begin = time.time()
    tok = Tokenizer.from_file(os.path.join(a.model, "tokenizer.json"))
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    p, parts = {}, sorted(glob.glob(os.path.join(a.start, "master-*.safetensors")))
    for f in parts:
        p.update(load_file(f))
    p = {k: v.float().to(dev).requires_grad_() for k, v in p.items()}
    adam = torch.optim.Adam(p.values(), lr=a.lr, betas=(0.9, 0.98), eps=1e-9)
    torch.set_float32_matmul_precision("high")
    step, tokens, curve = 0, 0, []
    while (progress := max(step / a.steps, (time.time() - begin) / a.seconds)) < 1:
        groups = [(x.to(dev), y.to(dev)) for x, y in batch(tok, a.seed * 10000 + step, a.docs)]
        n = sum(int((t >= 0).sum()) for _, t in groups)
        total = torch.zeros((), device=dev)
        leaves = {k: (model.rounded(v) if v.ndim == 2 else v).detach().requires_grad_() for k, v in p.items()}
        for ids, target in groups:
            x = model.padded(leaves, model.CONFIG, ids)[target >= 0]
            loss = F.cross_entropy(F.linear(x, leaves["model.embed_tokens.weight"]), target[target >= 0], reduction="sum") / n
            loss.backward()
            total += loss.detach()
            tokens += ids.numel()
        for k, v in p.items():
            v.grad = leaves[k].grad
        for g in adam.param_groups:
            g["lr"] = a.lr * min(1, (step + 1) / 20) * (1 - progress)
        adam.step()
        step += 1
        if step == 1 or step % 10 == 0:
            curve.append((step, tokens, round(time.time() - begin, 1), "%.3g" % g["lr"], round(total.item(), 5)))
            print("step %d, %.0f s, loss %.4f" % (step, time.time() - begin, total), flush=True)
    torch.set_float32_matmul_precision("highest")
    spent = time.time() - begin
    os.makedirs(a.out, exist_ok=True)
    for f in parts:
        save_file({k: p[k].detach().cpu() for k in load_file(f)}, os.path.join(a.out, os.path.basename(f)))
    import evaluate
    four = {k: (model.rounded(v) if v.ndim == 2 else v.bfloat16().float()).detach() for k, v in p.items()}
    scores = evaluate.run(four, model.CONFIG, a.items, a.model, os.path.join(a.out, "eval"))
    with open(os.path.join(a.out, "tune.csv"), "w", newline="") as f:
        c = csv.writer(f)
        c.writerow(["step", "tokens", "seconds", "learning_rate", "loss_assistant"])
        c.writerows(curve)
    with open(os.path.join(a.out, "tune.json"), "w") as f:
        json.dump({"device": dev, "arguments": {k: v for k, v in vars(a).items() if k not in ("start", "out")}, "steps": step, "tokens": tokens, "seconds": round(spent, 1), "torch": torch.__version__, "scores": scores}, f, indent=2)


if __name__ == "__main__":
    main()
