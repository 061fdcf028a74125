"""affine.py: MLX affine quantisation, unpacked by our own arithmetic (no MLX needed).

A weight [N,K] is `weight` u32 [N,K*bits/32], `scales` and `biases` [N,K/group]. The bytes of a row
are one little-endian bit stream, least significant bit first: element k is the unsigned number in
bits [k*bits,(k+1)*bits). w = q * scale + bias.
"""
import numpy as np

import st

BITS = (2, 3, 4, 5, 6, 8)
GROUPS = (32, 64, 128)


def unpack(packed, bits):
    """u32 [N,K*bits/32] -> codes u8 [N,K]"""
    rows = np.ascontiguousarray(packed, "<u4").view(np.uint8).reshape(packed.shape[0], -1)
    if 8 % bits == 0:                  # whole codes in each byte: the same stream, without bits
        codes = rows[:, :, None] >> np.arange(0, 8, bits, dtype=np.uint8) & ((1 << bits) - 1)
        return codes.astype(np.uint8).reshape(len(rows), -1)
    stream = np.unpackbits(rows, axis=1, bitorder="little")
    stream = stream.reshape(packed.shape[0], -1, bits)
    return (stream << np.arange(bits, dtype=np.uint8)).sum(-1).astype(np.uint8)


def pack(codes, bits):
    """codes [N,K] -> u32 [N,K*bits/32]"""
    n, k = codes.shape
    stream = (codes[:, :, None] >> np.arange(bits, dtype=np.uint8)) & 1
    data = np.packbits(stream.reshape(n, k * bits).astype(np.uint8), axis=1, bitorder="little")
    return np.ascontiguousarray(data).view("<u4")


def dequantize(packed, scales, biases, bits, group):
    """-> float32 [N,K]: q * scale + bias in float64, rounded once; in blocks of rows"""
    if packed.ndim > 2:                # matrices one after the other
        return np.stack([dequantize(packed[i], st.part(scales, i), st.part(biases, i), bits, group)
                         for i in range(len(packed))])
    out = np.empty((packed.shape[0], packed.shape[1] * 32 // bits), np.float32)
    s, b = (st.to_f32(x).astype(np.float64)[:, :, None] for x in (scales, biases))
    for i in range(0, len(out), 512):
        rows = slice(i, i + 512)
        q = unpack(packed[rows], bits).reshape(-1, s.shape[1], group)
        out[rows] = (q * s[rows] + b[rows]).reshape(len(q), -1)
    return out


def settings(quantization, module):
    """(bits, group, mode) of a module that has scales: its own entry, else the folder's default."""
    own = quantization.get(module)
    own = own if isinstance(own, dict) else {}
    mode = (own or quantization).get("mode", "affine")
    return (own.get("bits", quantization["bits"]),
            own.get("group_size", quantization["group_size"]), mode)


def dense(tensors, quantization):
    """A folder's tensors -> {name: float32}, quantised weights dequantised."""
    import fp  # which imports this module
    out = {}
    for name, x in tensors.items():
        module, _, last = name.rpartition(".")
        if last in ("scales", "biases") and module + ".scales" in tensors:
            continue
        if last == "weight" and module + ".scales" in tensors:
            bits, group, mode = settings(quantization, module)
            if mode != "affine":
                out[name] = fp.dequantize(x, tensors[module + ".scales"], mode)
                continue
            out[name] = dequantize(x, tensors[module + ".scales"], tensors[module + ".biases"],
                                   bits, group)
        else:
            out[name] = st.to_f32(x)
    return out
