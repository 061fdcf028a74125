"""affine_vectors.py: vectors of MLX's affine packing, made by mx.quantize itself.

    python affine_vectors.py > tests/kernels/golden/affine.txt

One case a line pair: "case BITS GROUP DTYPE N K", then "w", "scales", "biases" (their bytes) and
"value" (what mx.dequantize makes of them with f32 scales and biases), all as hex of little-endian
memory. Values are f32; the packing is read by tests/kernels/test_golden.c.
"""
import sys

import mlx.core as mx
import numpy as np

DTYPES = (("f32", mx.float32), ("f16", mx.float16), ("bf16", mx.bfloat16))


def memory(x):
    if x.dtype == mx.bfloat16:
        x = x.view(mx.uint16)
    return np.array(x).tobytes().hex()


def main():
    mx.set_default_device(mx.cpu)
    random = np.random.default_rng(20)
    print(f"# mlx {mx.__version__}, seed 20; see tools/goldens/kernels/affine_vectors.py")
    index = 0
    for bits in (2, 3, 4, 5, 6, 8):
        for group in (32, 64, 128):
            name, dtype = DTYPES[index % 3]
            index += 1 + (group == 128)
            n, k = 2, 2 * group
            dense = random.standard_normal((n, k)).astype(np.float32) * 0.3 - 0.02
            w, s, b = mx.quantize(mx.array(dense).astype(dtype), group_size=group, bits=bits)
            value = mx.dequantize(w, s.astype(mx.float32), b.astype(mx.float32), group_size=group,
                                  bits=bits)
            mx.eval(w, s, b, value)
            print(f"case {bits} {group} {name} {n} {k}")
            for label, x in (("w", w), ("scales", s), ("biases", b), ("value", value)):
                print(label, memory(x))
    return 0


if __name__ == "__main__":
    sys.exit(main())
