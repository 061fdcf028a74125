"""fp.py: MLX's mxfp4, mxfp8 and nvfp4, unpacked by our own arithmetic (no MLX needed).

A weight [N,K] is `weight` u32 [N,K*bits/32] (codes as in affine.py) and `scales` u8 [N,K/group].
w = code * scale; codes e2m1 or e4m3, scales e8m0 or e4m3 (OCP Microscaling formats 1.0).
"""
import numpy as np

import affine

MODES = {"mxfp4": (4, 32), "mxfp8": (8, 32), "nvfp4": (4, 16)}      # bits, group


def small_float(codes, exponent_bits, fraction_bits, bias):
    """sign, exponent, fraction -> float64"""
    c = codes.astype(np.int64)
    fraction = (c & ((1 << fraction_bits) - 1)) / (1 << fraction_bits)
    exponent = c >> fraction_bits & ((1 << exponent_bits) - 1)
    value = np.where(exponent, np.ldexp(1 + fraction, exponent - bias),
                     np.ldexp(fraction, 1 - bias))
    return np.where(c >> (exponent_bits + fraction_bits) & 1, -value, value)


def e2m1(codes):
    return small_float(codes, 2, 1, 1)


def e4m3(codes):
    return np.where(codes & 127 == 127, np.nan, small_float(codes, 4, 3, 7))


def e8m0(codes):
    return np.ldexp(1.0, codes.astype(np.int64) - 127)


def dequantize(packed, scales, mode):
    """-> float32 [N,K], exact"""
    bits, group = MODES[mode]
    if packed.ndim > 2:                # matrices one after the other
        return np.stack([dequantize(p, s, mode) for p, s in zip(packed, scales)])
    codes = affine.unpack(packed, bits)
    values = (e4m3 if bits == 8 else e2m1)(codes).reshape(*scales.shape, group)
    by = (e4m3 if mode == "nvfp4" else e8m0)(scales)
    return (values * by[..., None]).reshape(codes.shape).astype(np.float32)
