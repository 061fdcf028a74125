#!/usr/bin/env python3
"""make_random_model.py: writes a random decoder model of any shape as a Hub folder, in seconds.

For benches and for tests of time and memory: the shapes, files and packing are real, the text is
noise. numpy only; tensors are written one at a time, so memory stays near the largest tensor.

  make_random_model.py --out DIR --model-type llama --hidden 2048 --layers 16 --heads 32 \\
      --kv-heads 8 --ffn 8192 --vocab 128256 --bits 4 --group 64 --tie
"""
import argparse
import json
import os
import shutil

import numpy as np

import affine
import spec
import st

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                   "chat_template.jinja", "generation_config.json", "vocab.json", "merges.txt")
POOL = 1 << 22                     # normals drawn once; every dense tensor is a walk through them


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    a.add_argument("--out", required=True, help="folder to write")
    a.add_argument("--model-type", choices=sorted(spec.ARCHITECTURES), default="llama")
    a.add_argument("--hidden", type=int, default=1024)
    a.add_argument("--layers", type=int, default=24)
    a.add_argument("--heads", type=int, default=16)
    a.add_argument("--kv-heads", type=int, default=8)
    a.add_argument("--head-dim", type=int, help="default: hidden / heads")
    a.add_argument("--ffn", type=int, default=2816)
    a.add_argument("--vocab", type=int, default=32000)
    a.add_argument("--context", type=int, default=8192, help="max_position_embeddings")
    a.add_argument("--theta", type=float, default=500000.0, help="rope_theta")
    a.add_argument("--bits", type=int, default=0, choices=(0, *affine.BITS), help="0: dense")
    a.add_argument("--group", type=int, default=64, choices=affine.GROUPS)
    a.add_argument("--dtype", choices=("f32", "f16", "bf16"), default="bf16",
                   help="of dense tensors, scales and biases")
    a.add_argument("--tie", action="store_true", help="the output reads the embedding")
    a.add_argument("--shards", type=int, default=1)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--tokenizer", metavar="DIR", help="copies the tokenizer's files from DIR")
    return a.parse_args()


def linears(s):
    """(module, rows, cols, has bias) of every matrix, in file order; the norms go between."""
    E, F, H, K, D = s["E"], s["F"], s["H"], s["K"], spec.head_dim(s)
    bias = s["model_type"] == "qwen2"
    yield "model.embed_tokens", s["V"], E, False
    for i in range(s["L"]):
        p = f"model.layers.{i}."
        shapes = ("q", H * D, E), ("k", K * D, E), ("v", K * D, E), ("o", E, H * D)
        for name, rows, cols in shapes:
            yield f"{p}self_attn.{name}_proj", rows, cols, bias and name != "o"
        yield p + "mlp.gate_proj", F, E, False
        yield p + "mlp.up_proj", F, E, False
        yield p + "mlp.down_proj", E, F, False
    if not s["tie"]:
        yield "lm_head", s["V"], E, False


def norms(s):
    for i in range(s["L"]):
        p = f"model.layers.{i}."
        yield p + "input_layernorm", s["E"]
        yield p + "post_attention_layernorm", s["E"]
        if s["model_type"] == "qwen3":
            yield p + "self_attn.q_norm", spec.head_dim(s)
            yield p + "self_attn.k_norm", spec.head_dim(s)
    yield "model.norm", s["E"]


class Source:
    """Random tensors as bytes: uniform codes at memory speed, normals out of a pool."""

    def __init__(self, seed, dtype):
        self.rng = np.random.Generator(np.random.SFC64(seed))
        self.dtype = dtype
        self.normals = self.rng.standard_normal(POOL, dtype=np.float32)
        self.pools = {}                # by standard deviation, in the stored type

    def dense(self, n, std):
        """n stored normals of a standard deviation, in pieces"""
        if std not in self.pools:
            scaled = st.cast(self.normals * np.float32(std), self.dtype)
            self.pools[std] = scaled.bits if isinstance(scaled, st.Bf16) else scaled
        pool = self.pools[std]
        while n > 0:
            start = int(self.rng.integers(0, POOL // 2))
            piece = pool[start:start + n]
            n -= len(piece)
            yield piece.tobytes()

    def codes(self, nbytes):
        while nbytes > 0:
            n = min(nbytes, 1 << 26)
            yield self.rng.bytes(n)
            nbytes -= n

    def scales(self, n, bits, std):
        """Step and offset of groups whose uniform codes have about zero mean and this std."""
        step = self.rng.uniform(0.8, 1.2, n).astype(np.float32)
        step *= np.float32(std * 12 ** 0.5 / ((1 << bits) - 1))
        offset = step * np.float32(-((1 << bits) - 1) / 2)
        return [st.entry(st.cast(x, self.dtype))[2] for x in (step, offset)]


def plan(s, source, bits, group):
    """[(name, dtype, shape, nbytes, function that yields the bytes)] of the whole model."""
    kind = {"f32": "F32", "f16": "F16", "bf16": "BF16"}[s["dtype"]]
    size, rows_out = (4 if s["dtype"] == "f32" else 2), []

    def add(name, dtype, shape, nbytes, make):
        rows_out.append((name, dtype, shape, nbytes, make))

    for module, rows, cols, bias in linears(s):
        std = cols ** -0.5
        if bits:
            if cols % group or cols * bits % 32:
                raise SystemExit(f"{module}: {cols} columns do not divide by group {group}")
            n, pair = rows * cols // group, []
            words = [rows, cols * bits // 32]
            add(module + ".weight", "U32", words, rows * cols * bits // 8,
                lambda b=rows * cols * bits // 8: source.codes(b))

            def one(index, n=n, std=std, pair=pair):
                if not pair:
                    pair.extend(source.scales(n, bits, std))
                return [pair[index]]
            add(module + ".scales", kind, [rows, cols // group], n * size, lambda f=one: f(0))
            add(module + ".biases", kind, [rows, cols // group], n * size, lambda f=one: f(1))
        else:
            add(module + ".weight", kind, [rows, cols], rows * cols * size,
                lambda n=rows * cols, std=std: source.dense(n, std))
        if bias:
            add(module + ".bias", kind, [rows], rows * size, lambda n=rows: source.dense(n, 0.2))
    for module, n in norms(s):
        ones = st.entry(st.cast(np.ones(n), s["dtype"]))[2]
        add(module + ".weight", kind, [n], n * size, lambda data=ones: [data])
    return rows_out


def write(path, rows, quantised):
    with open(path, "wb") as f:
        table = {name: (dtype, shape, nbytes) for name, dtype, shape, nbytes, _ in rows}
        f.write(st.header_bytes(table, {"format": "mlx" if quantised else "pt"}))
        for name, _, _, nbytes, make in rows:
            written = sum(f.write(piece) for piece in make())
            assert written == nbytes, (name, written, nbytes)


def write_all(out, rows, shards, quantised):
    """One file, or shards of about equal size with their index."""
    if shards == 1:
        write(os.path.join(out, "model.safetensors"), rows, quantised)
        return
    total, at, parts = sum(r[3] for r in rows), 0, [[] for _ in range(shards)]
    for row in rows:
        parts[min(at * shards // total, shards - 1)].append(row)
        at += row[3]
    where = {}
    for i, part in enumerate(parts):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        write(os.path.join(out, file), part, quantised)
        where.update({row[0]: file for row in part})
    with open(os.path.join(out, "model.safetensors.index.json"), "w", encoding="utf-8") as f:
        json.dump({"metadata": {"total_size": total}, "weight_map": where}, f, indent=1)


def main():
    a = arguments()
    s = spec.make(model_type=a.model_type, E=a.hidden, L=a.layers, H=a.heads, K=a.kv_heads,
                  D=a.head_dim or a.hidden // a.heads, F=a.ffn, V=a.vocab, max_pos=a.context,
                  theta=a.theta, dtype=a.dtype, tie=a.tie, shards=a.shards,
                  quant=dict(bits=a.bits, group=a.group) if a.bits else None)
    os.makedirs(a.out, exist_ok=True)
    spec.write_config(a.out, s)
    rows = plan(s, Source(a.seed, a.dtype), a.bits, a.group)
    write_all(a.out, rows, a.shards, bool(a.bits))
    if a.tokenizer:
        for name in TOKENIZER_FILES:
            if os.path.exists(os.path.join(a.tokenizer, name)):
                shutil.copyfile(os.path.join(a.tokenizer, name), os.path.join(a.out, name))
    weights = sum(rows * cols for _, rows, cols, _ in linears(s))
    size = sum(row[3] for row in rows)
    print(f"{a.out}: {weights / 1e6:.1f} M weights, {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
