"""Checks the model folder against the standard implementation: transformers' Qwen3ForCausalLM and AutoTokenizer.

  python3 reference.py --answers ../../pocket-llm/answers.jsonl --every 8

The dequantised weights are loaded into transformers in float32; the folder's chat template must give the generator's
text for every held-out item, and the greedy answers must be those of the evaluation.
"""
import argparse
import json
import os

import torch
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

import evaluate
import generate


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--model", default="../../pocket-llm")
    a.add_argument("--items", default="heldout.jsonl")
    a.add_argument("--answers", required=True)
    a.add_argument("--every", type=int, default=8)
    a = a.parse_args()
    with open(os.path.join(a.model, "config.json")) as f:
        config = {k: v for k, v in json.load(f).items() if not k.startswith("quantization")}
    with open(a.items, encoding="utf-8") as f:
        items = [json.loads(x) for x in f]
    with open(a.answers, encoding="utf-8") as f:
        answers = [json.loads(x)["text"] for x in f]
    tok = AutoTokenizer.from_pretrained(a.model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = Qwen3ForCausalLM(Qwen3Config(**config)).float().eval().to(device)
    missing, extra = net.load_state_dict(evaluate.load_mlx(a.model), strict=False)
    assert missing in ([], ["lm_head.weight"]) and not extra, (missing, extra)
    net.tie_weights()
    template = same = n = 0
    for k, (item, want) in enumerate(zip(items, answers)):
        text = tok.apply_chat_template(item["messages"], tools=item["tools"], add_generation_prompt=True, tokenize=False, **({"enable_thinking": True} if item.get("think") else {}))
        own = generate.prompt_text(item)
        template += text == own
        if text != own and template == k:
            print(repr(text), repr(own))
        if k % a.every:
            continue
        ids = tok(text, return_tensors="pt", add_special_tokens=False)["input_ids"].to(device)
        with torch.no_grad():
            out = net.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=320, do_sample=False, eos_token_id=config["eos_token_id"], pad_token_id=config["pad_token_id"])
        got = tok.decode(out[0, ids.shape[1]:], skip_special_tokens=True)
        n += 1
        same += got == want
        if got != want:
            print(json.dumps({"id": item["id"], "evaluation": want, "transformers": got}, ensure_ascii=False))
    print("chat template equal on %d of %d, answers equal on %d of %d, eos %r, longest %d" % (template, len(items), same, n, tok.eos_token, tok.model_max_length))


if __name__ == "__main__":
    main()
