"""Trains the pocket model on one GPU, evaluates its 4-bit form and writes the weights, the loss curve and the scorecard.

  python3 train.py --steps 6000 --budget 420 --out DIR

Worker processes generate chunks of conversations (chunk i depends on the seed and i only); the trainer takes them in
order, packs them into steps of a fixed number of tokens, and goes round again when they are used up. The learning rate
is flat and then falls linearly to zero; from half way on the weights are used as their 4-bit rounding (gradients pass
straight through), so that the quantised model is the one that was trained. Matrices are updated by Muon, the embedding
and the norms by Adam. If the time budget ends before the steps do, the schedule follows the clock.
"""
import argparse
import csv
import json
import math
import multiprocessing as mp
import os
import sys
import tempfile
import time

import numpy as np

import generate

CHUNK = 6000                     # conversations in a chunk


def make_chunks(todo, folder, seed, tokenizer):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer
    tok = Tokenizer.from_file(tokenizer)
    while True:
        with todo.get_lock():
            i = todo.value
            todo.value += 1
        if i < 0 or i >= 1_000_000:
            return
        path = os.path.join(folder, "%06d.npz" % i)
        if i >= LIMIT_CHUNKS.value:
            return
        enc = generate.encode(tok, generate.documents(seed * 1_000_003 + i, CHUNK))
        ids = np.concatenate([np.array(x, np.uint16) for x, _ in enc])
        mine = np.concatenate([np.array(f, np.uint8) for _, f in enc])
        with open(path + ".part", "wb") as f:
            np.savez(f, ids=ids, mine=mine, lengths=np.array([len(x) for x, _ in enc], np.int32))
        os.rename(path + ".part", path)


LIMIT_CHUNKS = mp.Value("i", 0)


class Batches:
    """Steps of exactly T tokens; documents are never cut, the rest is padding."""

    def __init__(self, folder, chunks, tokens, most):
        self.folder, self.chunks, self.tokens, self.most = folder, chunks, tokens, most
        self.next, self.waited, self.docs, self.epoch = 0, 0.0, [], 0

    def chunk(self):
        path = os.path.join(self.folder, "%06d.npz" % self.next)
        t = time.time()
        while not os.path.exists(path):
            time.sleep(0.02)
        self.waited += time.time() - t
        self.next += 1
        if self.next == self.chunks:
            self.next, self.epoch = 0, self.epoch + 1
        with np.load(path) as z:
            ids, mine, lengths = z["ids"], z["mine"], z["lengths"]
        ends = np.cumsum(lengths)
        return [(ids[b - n:b], mine[b - n:b]) for b, n in zip(ends, lengths)]

    def __call__(self, pad):
        ids = np.full(self.tokens + 1, pad, np.int64)
        mine = np.zeros(self.tokens + 1, np.uint8)
        positions = np.zeros(self.tokens, np.int32)
        last = np.zeros(self.tokens, bool)
        ends, n = [0], 0
        while len(ends) < self.most - 1:
            if not self.docs:
                self.docs = self.chunk()[::-1]
            x, f = self.docs[-1]
            if n + len(x) > self.tokens:
                break
            self.docs.pop()
            ids[n:n + len(x)], mine[n:n + len(x)] = x, f
            positions[n:n + len(x)] = np.arange(len(x))
            n += len(x)
            last[n - 1] = True
            ends.append(n)
        while n < self.tokens and len(ends) < self.most:             # padding in pieces of at most 2048
            m = min(2048, self.tokens - n)
            positions[n:n + m] = np.arange(m)
            n += m
            ends.append(n)
        weight = np.where(mine[1:] > 0, 1.0, 0.1) * (ids[1:] != pad) * ~last
        offsets = np.full(self.most + 1, self.tokens, np.int32)
        offsets[:len(ends)] = ends
        return ids[:-1], ids[1:], weight.astype(np.float32), positions, offsets


def feed(folder, chunks, tokens, most, pad, queue_out):
    b = Batches(folder, chunks, tokens, most)
    while True:
        queue_out.put(b(pad) + (b.waited, b.epoch))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--steps", type=int, default=6000)
    a.add_argument("--budget", type=float, default=420, help="seconds of training, compilation included")
    a.add_argument("--tokens", type=int, default=131072, help="tokens of a step")
    a.add_argument("--chunks", type=int, default=400)
    a.add_argument("--workers", type=int, default=14)
    a.add_argument("--seed", type=int, default=20261122)
    a.add_argument("--lr", type=float, default=3e-3)
    a.add_argument("--decay", type=float, default=0.45, help="the part of the training in which the rate falls")
    a.add_argument("--rounding", type=float, default=0.5, help="from which part on the weights are rounded")
    a.add_argument("--items", default="heldout.jsonl")
    a.add_argument("--model", default="../../pocket-llm")
    a.add_argument("--scratch", default=os.path.join(tempfile.gettempdir(), "pocket-chunks"))
    a.add_argument("--out", required=True)
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    os.makedirs(a.scratch, exist_ok=True)
    start = time.time()
    LIMIT_CHUNKS.value = a.chunks
    todo = mp.Value("i", 0)
    workers = [mp.Process(target=make_chunks, args=(todo, a.scratch, a.seed, os.path.join(a.model, "tokenizer.json")), daemon=True) for _ in range(a.workers)]
    for w in workers:
        w.start()

    import tokenizers
    import torch
    import torch.nn.functional as F

    import model
    config = model.CONFIG
    most, pad = 4096, config["pad_token_id"]
    q = mp.Queue(24)
    feeder = mp.Process(target=feed, args=(a.scratch, a.chunks, a.tokens, most, pad, q), daemon=True)
    feeder.start()
    torch.set_float32_matmul_precision("high")
    dev = "cuda"
    p = {k: v.to(dev).requires_grad_() for k, v in model.parameters(config, a.seed).items()}
    print("parameters", sum(v.numel() for v in p.values()), flush=True)
    matrices = [k for k, v in p.items() if v.ndim == 2 and "embed" not in k]
    others = [k for k in p if k not in matrices]
    shapes = {}
    for k in matrices:
        shapes.setdefault(tuple(p[k].shape), []).append(k)
    adam = torch.optim.AdamW([{"params": [p[k] for k in others]}], lr=a.lr, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0, fused=True)
    momentum = {s: torch.zeros(len(ks), *s, device=dev) for s, ks in shapes.items()}

    def loss_fn(p, blend, ids, target, weight, positions, ends):
        w = {k: v + blend * (model.rounded(v) - v).detach() if v.ndim == 2 else v for k, v in p.items()}
        x = model.packed(w, config, ids, positions, ends, 2048)
        logits = F.linear(x, w["model.embed_tokens.weight"].bfloat16())
        nll = F.cross_entropy(logits.float(), target, reduction="none")
        own = (weight == 1.0).float()
        return (nll * weight).sum() / weight.sum(), ((nll * own).sum() / own.sum()).detach()

    def orthogonal(g):
        x = g.bfloat16()
        tall = x.shape[-2] > x.shape[-1]
        if tall:
            x = x.mT
        x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
        for _ in range(5):
            s = x @ x.mT
            x = 3.4445 * x + (-4.7750 * s + 2.0315 * s @ s) @ x
        return (x.mT if tall else x).float()

    def muon(ps, gs, m, lr):
        g = torch.stack(gs)
        m.lerp_(g, 0.05)
        u = orthogonal(g.lerp(m, 0.95)) * (0.2 * max(g.shape[-2:]) ** 0.5)
        for w, d in zip(ps, u):
            w.mul_(1 - 0.1 * lr).sub_(lr * d)

    loss_step = torch.compile(loss_fn, dynamic=False)
    muon_step = torch.compile(muon, dynamic=False)
    names = list(p)
    curve, step, t0, lr_now, trained = [], 0, time.time(), torch.zeros((), device=dev), 0
    losses, mark, mark_t, mark_n = [], time.time(), time.time(), 0
    while True:
        progress = max(step / a.steps, (time.time() - start) / a.budget)
        if progress >= 1:
            break
        lr = a.lr * min(1, (step + 1) / 100) * min(1, max(1 - progress, 0) / a.decay)
        blend = torch.tensor(1.0 if progress >= a.rounding else 0.0, device=dev)
        ids, target, weight, positions, ends, waited, epoch = q.get()
        ids, target, weight, positions, ends = (torch.from_numpy(x).to(dev, non_blocking=True) for x in (ids, target, weight, positions, ends))
        loss, own = loss_step(p, blend, ids, target, weight, positions, ends)
        grads = torch.autograd.grad(loss, [p[k] for k in names])
        g = dict(zip(names, grads))
        with torch.no_grad():
            lr_now.fill_(lr)
            for s, ks in shapes.items():
                muon_step([p[k] for k in ks], [g[k] for k in ks], momentum[s], lr_now)
        for k in others:
            p[k].grad = g[k]
        for grp in adam.param_groups:
            grp["lr"] = lr
        adam.step()
        losses.append(torch.stack((loss.detach(), own)))
        step += 1
        trained += a.tokens
        if step in (1, 2, 10) or step % 200 == 0:
            x = torch.stack(losses).mean(0).tolist()
            losses = []
            now = time.time()
            curve.append((step, trained, round(now - start, 1), round(lr, 6), int(blend.item()), round(x[0], 5), round(x[1], 5)))
            print("step %d, %.0f s, %.2fM tok/s, lr %.5f, 4-bit %d, loss %.4f, own %.4f, waited %.1f s, epoch %d" % (step, now - start, (trained - mark_n) / (now - mark_t) / 1e6, lr, blend.item(), x[0], x[1], waited, epoch), flush=True)
            mark_t, mark_n = now, trained
            if not math.isfinite(x[0]):
                sys.exit("the loss is not finite")
    seconds = round(time.time() - start, 1)
    print("trained %d steps, %d tokens in %.0f s" % (step, trained, time.time() - start), flush=True)
    feeder.kill()
    for w in workers:
        w.kill()
    with open(os.path.join(a.out, "loss.csv"), "w", newline="") as f:
        c = csv.writer(f)
        c.writerow(["step", "tokens", "seconds", "learning_rate", "rounded", "loss", "loss_assistant"])
        c.writerows(curve)

    from safetensors.torch import save_file
    shards, size = [{}], 0
    for k in names:
        v = p[k].detach().cpu().float().contiguous()
        if size + v.numel() * 4 > 15_500_000:
            shards.append({})
            size = 0
        shards[-1][k] = v
        size += v.numel() * 4
    for i, s in enumerate(shards):
        save_file(s, os.path.join(a.out, "master-%d.safetensors" % i))
    import evaluate
    full = {k: v.detach() for k, v in p.items()}
    four = {k: model.rounded(v) if v.ndim == 2 else v.bfloat16().float() for k, v in full.items()}
    scores = evaluate.run(four, config, a.items, a.model, os.path.join(a.out, "eval"))
    with open(os.path.join(a.out, "run.json"), "w") as f:
        json.dump({"arguments": {k: v for k, v in vars(a).items() if k not in ("out", "scratch")}, "steps": step, "tokens": trained, "seconds": seconds, "torch": torch.__version__,
                   "numpy": np.__version__, "gpu": torch.cuda.get_device_name(), "python": sys.version.split()[0], "tokenizers": tokenizers.__version__, "config": config, "scores": scores}, f, indent=2)
    print("all %.0f s" % (time.time() - start), flush=True)


if __name__ == "__main__":
    main()
