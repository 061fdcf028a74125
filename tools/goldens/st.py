"""st.py: safetensors files in numpy alone, bfloat16 included.

numpy has no bfloat16, so a bf16 tensor travels as a `Bf16` (uint16 array with that meaning).
File: u64 header length, JSON header {name: {dtype, shape, data_offsets}}, tensor bytes.
Source: https://github.com/huggingface/safetensors (format section of its README).
"""
import json
import os
import struct

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "U32": "<u4", "I32": "<i4",
          "I64": "<i8", "U8": "u1"}
NAMES = {np.dtype(v): k for k, v in DTYPES.items() if k != "BF16"}


class Bf16:
    """A bfloat16 tensor: `bits` is uint16, the upper half of the float32 of each element."""

    def __init__(self, bits):
        self.bits = np.ascontiguousarray(bits, "<u2")
        self.shape = self.bits.shape

    @staticmethod
    def of(x):
        """Rounds float32 to nearest even."""
        u = np.ascontiguousarray(x, "<f4").view("<u4").astype(np.uint64)
        return Bf16(((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype("<u2"))

    def f32(self):
        return (self.bits.astype("<u4") << 16).view("<f4")


def to_f32(x):
    """The exact float32 value of any stored float tensor."""
    return x.f32() if isinstance(x, Bf16) else np.asarray(x, np.float32)


def part(x, i):
    """x[i] of any stored tensor."""
    return Bf16(x.bits[i]) if isinstance(x, Bf16) else x[i]


def cast(x, dtype):
    """float32 -> the stored form of "f32", "f16" or "bf16"."""
    x = np.ascontiguousarray(x, np.float32)
    return Bf16.of(x) if dtype == "bf16" else x.astype({"f32": "<f4", "f16": "<f2"}[dtype])


def entry(x):
    """(dtype name, shape, bytes) of a tensor."""
    if isinstance(x, Bf16):
        return "BF16", list(x.shape), x.bits.tobytes()
    x = np.ascontiguousarray(x)
    return NAMES[x.dtype.newbyteorder("<") if x.dtype.itemsize > 1 else x.dtype], list(x.shape), \
        x.tobytes()


def header_bytes(table, metadata=None):
    """table: {name: (dtype, shape, nbytes)} in file order -> the file's first bytes, 8-aligned."""
    head, at = {}, 0
    if metadata:
        head["__metadata__"] = metadata
    for name, (dtype, shape, nbytes) in table.items():
        head[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + nbytes]}
        at += nbytes
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def save(path, tensors, metadata=None):
    rows = {name: entry(x) for name, x in tensors.items()}
    with open(path, "wb") as f:
        f.write(header_bytes({n: (d, s, len(b)) for n, (d, s, b) in rows.items()}, metadata))
        for _, _, data in rows.values():
            f.write(data)


def load(path):
    """{name: array or Bf16} of one file."""
    with open(path, "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        head = json.loads(f.read(size))
        base, out = 8 + size, {}
        for name, t in head.items():
            if name == "__metadata__":
                continue
            f.seek(base + t["data_offsets"][0])
            data = f.read(t["data_offsets"][1] - t["data_offsets"][0])
            x = np.frombuffer(data, DTYPES[t["dtype"]]).reshape(t["shape"])
            out[name] = Bf16(x) if t["dtype"] == "BF16" else x
    return out


def load_folder(folder):
    """All tensors of a model folder: model.safetensors, or the shards that the index names."""
    index = os.path.join(folder, "model.safetensors.index.json")
    if not os.path.exists(index):
        return load(os.path.join(folder, "model.safetensors"))
    out = {}
    with open(index, encoding="utf-8") as f:
        files = sorted(set(json.load(f)["weight_map"].values()))
    for name in files:
        out.update(load(os.path.join(folder, name)))
    return out


def save_folder(folder, tensors, shards=1, metadata=None):
    """Writes model.safetensors, or `shards` files with their index."""
    if shards == 1:
        save(os.path.join(folder, "model.safetensors"), tensors, metadata)
        return
    names, where = list(tensors), {}
    cuts = [len(names) * i // shards for i in range(shards + 1)]
    for i in range(shards):
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        part = {n: tensors[n] for n in names[cuts[i]:cuts[i + 1]]}
        save(os.path.join(folder, file), part, metadata)
        where.update({n: file for n in part})
    total = sum(len(entry(x)[2]) for x in tensors.values())
    with open(os.path.join(folder, "model.safetensors.index.json"), "w", encoding="utf-8") as f:
        json.dump({"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}, f,
                  indent=1)
        f.write("\n")
