"""Answers the held-out items greedily in float32 and writes the answers and the scorecard.

  python3 evaluate.py --weights FOLDER_OR_MLX_FOLDER --out PREFIX
"""
import argparse
import json
import os
import time

import torch

import check
import generate
import model


def run(weights, config, items_file, model_dir, prefix, batch=128, limit=320):
    from tokenizers import Tokenizer
    tok = Tokenizer.from_file(os.path.join(model_dir, "tokenizer.json"))
    with open(items_file, encoding="utf-8") as f:
        items = [json.loads(x) for x in f]
    t = time.time()
    prompts = [tok.encode(generate.prompt_text(i), add_special_tokens=False).ids for i in items]
    order = sorted(range(len(items)), key=lambda i: len(prompts[i]))
    texts, reader = [None] * len(items), model.Reader(weights, config)
    for k in range(0, len(order), batch):
        part = order[k:k + batch]
        room = max(1, min(limit, config["max_position_embeddings"] - max(len(prompts[i]) for i in part)))
        for i, ids in zip(part, reader.generate([prompts[i] for i in part], room)):
            texts[i] = tok.decode(ids, skip_special_tokens=True)
    scores, _ = check.score(items, texts)
    print(check.table_text(scores))
    print("evaluated %d items in %.1f s" % (len(items), time.time() - t), flush=True)
    with open(prefix + "-answers.jsonl", "w", encoding="utf-8") as f:
        for x in texts:
            f.write(json.dumps({"text": x}, ensure_ascii=False) + "\n")
    return scores


def load_mlx(folder):
    """The dequantised float32 weights of a 4-bit MLX folder."""
    from safetensors.torch import load_file
    raw = load_file(os.path.join(folder, "model.safetensors"))
    out = {}
    for k, v in raw.items():
        if k.endswith((".scales", ".biases")):
            continue
        base = k[:-len(".weight")]
        if base + ".scales" in raw:
            shift = torch.arange(0, 32, 4, dtype=torch.int64)
            q = (v.view(torch.int32).to(torch.int64)[..., None] >> shift & 15).flatten(1).float()
            s, b = (raw[base + "." + x].float().repeat_interleave(64, 1) for x in ("scales", "biases"))
            out[k] = q * s + b
        else:
            out[k] = v.float()
    return out


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--model", default="../../pocket-llm")
    a.add_argument("--items", default="heldout.jsonl")
    a.add_argument("--out", default="eval")
    a.add_argument("--batch", type=int, default=128)
    a = a.parse_args()
    with open(os.path.join(a.model, "config.json")) as f:
        config = json.load(f)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    run({k: v.to(device) for k, v in load_mlx(a.model).items()}, config, a.items, a.model, a.out, a.batch)


if __name__ == "__main__":
    main()
