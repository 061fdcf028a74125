"""Writes the model card and the results page from results/*.json and results/loss.csv.

  python3 write_cards.py
"""
import csv
import json
import os

import check

CARD = """---
license: mit
language: en
library_name: mlx
pipeline_tag: text-generation
tags: [mlx, qwen3, 4-bit]
---
# pocket-llm

A chat model of 11.8 million parameters that ships with MLXEngine, so that every clone can run, test and demonstrate a
real language model with nothing to download. Qwen3 architecture (8 layers, hidden size 384, 6 query and 2 key heads of
64, tied embeddings, context 2,048), byte-level BPE of 4,096 tokens, 4-bit MLX format (affine, groups of 64).

**What it is for.** The default of `make run` and the fixture of tests that need a model which really answers: recall over
a long prompt, JSON under a schema, tool calls, streaming, stop tokens, batching. **What it is not for**: anything else. It knows a
small invented valley, a few hundred everyday questions, and its tasks; it speaks English only, and it can be wrong
about all of them. Ask it about other things and it says that it does not know, or makes something up.

**Data.** Only text from our own deterministic generator, `zoo/training/pocket-llm`; no other text, no other model's
output. Tasks: talk, facts of the invented valley of Lowlark, short stories and questions about them, arithmetic,
ordering, remembering names and numbers over turns and over about 1,500 tokens, JSON under a schema, tool calls (Hermes
form) and their results, declining what it cannot know, copying text with hostile Unicode, following a system prompt.

**Training.** From scratch on one GPU: {tokens:,} tokens in {steps:,} steps, {seconds:.0f} seconds. From {rounding:.0%} of the training on,
the weights are used as their 4-bit rounding, so the 4-bit model is the model that was trained.

**Scorecard.** Held-out items, 4-bit weights, float32 arithmetic, greedy. How each category is held out is
said in `zoo/training/pocket-llm/README.md`. First the committed items (`heldout.jsonl`), then 500 a category from the same
generator; items of the categories with few wordings repeat (talk, tables), so those figures say less than their size.

{table}
{large}
Licence: MIT, weights and data included.
"""


def main():
    with open("results/run.json") as f:
        run = json.load(f)
    scores = run["scores"]
    table = check.table_text(scores)
    with open("results/large.md") as f:
        large = f.read()
    with open("../../pocket-llm/README.md", "w") as f:
        f.write(CARD.format(table=table, large=large, tokens=run["tokens"], steps=run["steps"], seconds=run["seconds"], rounding=run["arguments"]["rounding"]))
    with open("results/loss.csv") as f:
        rows = list(csv.DictReader(f))
    keep = sorted({0, len(rows) - 1, *range(2, len(rows), max(1, len(rows) // 14))})
    with open("results/README.md", "w") as f:
        f.write("# Results\n\nRun: `run.json`. Curve: `loss.csv`. Answers to `heldout.jsonl`, in its order: `answers.jsonl`.\n\n## Scorecard\n\nThe committed items:\n\n" + table + "\n500 items a category:\n\n" + large)
        f.write("\n## Loss curve\n\n`assistant` is the loss on what the assistant writes, in nats a token; `4-bit` says whether the weights were rounded.\n\n| step | tokens | seconds | rate | 4-bit | loss | assistant |\n|---|---|---|---|---|---|---|\n")
        for i in keep:
            r = rows[i]
            f.write("| %s | %s | %s | %s | %s | %s | %s |\n" % (r["step"], r["tokens"], r["seconds"], r["learning_rate"], r["rounded"], r["loss"], r["loss_assistant"]))


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    main()
