#!/usr/bin/env python3
"""check_logits.py MODEL FILE --ids 1,2,3: compares `mlxengine logits` with transformers.

MODEL is a model folder, dense or in MLX's affine quantisation; FILE is what
`mlxengine logits MODEL --ids 1,2,3 -o FILE` wrote (tensor `logits` f32 [T,V]). The reference is
transformers in float32 on the upcast or dequantised weights. Exit status 1 beyond the tolerance.
"""
import argparse
import sys

import numpy as np

import oracle
import st


def compare(got, want):
    """One line of the measures that scale with the error."""
    diff = np.abs(got.astype(np.float64) - want)
    t, v = np.unravel_index(diff.argmax(), diff.shape)
    return (f"relative RMS {oracle.rel_rms(got, want):.3e}, greatest difference {diff.max():.3e} "
            f"at [{t},{v}] (got {got[t, v]:.6g}, want {want[t, v]:.6g}), same argmax "
            f"{(got.argmax(-1) == want.argmax(-1)).sum()} of {len(want)}")


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("model")
    args.add_argument("file")
    args.add_argument("--ids", required=True, help="the token ids of the pass, comma separated")
    args.add_argument("--tolerance", type=float, default=1e-4)
    args = args.parse_args()
    ids = [int(i) for i in args.ids.split(",")]
    got = st.load(args.file)["logits"]
    want = oracle.logits(oracle.load(args.model), ids)
    if got.shape != want.shape or got.dtype != np.float32:
        sys.exit(f"logits are {got.dtype} {list(got.shape)}, want float32 {list(want.shape)}")
    print(compare(got, want))
    if not oracle.rel_rms(got, want) <= args.tolerance:
        sys.exit(f"beyond the tolerance of {args.tolerance:g}")


if __name__ == "__main__":
    main()
