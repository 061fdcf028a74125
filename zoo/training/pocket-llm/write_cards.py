"""Writes the model card and the results page from what lies in results/.

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
form) and their results, declining what it cannot know, copying text with hostile Unicode, following a system prompt,
and problems of a few steps, thought through before the answer.

**Thinking.** With `enable_thinking` the chat template opens `<think>`, and the model writes a few short steps before it
answers or calls a tool. Without it the prompts are those of a model that never thinks. The template shows the thoughts
of the turn that is under way and leaves out older ones.

**Training.** From scratch on one GPU: {tokens:,} tokens in {steps:,} steps, {seconds:.0f} seconds, and a second stage of
{more:,} tokens, {more_seconds:.0f} seconds, for tools whose names no list holds. From {rounding:.0%} of the first stage on,
the weights are used as their 4-bit rounding, so the 4-bit model is the model that was trained.

**Known weakness.** One tool call in twenty names a tool that was not offered, or the wrong one: names that end in a
common word (`fetch_elevation`) are the likeliest to go wrong. It miscounts letters.

**Scorecard.** Held-out items, 4-bit weights, float32 arithmetic, greedy. How each category is held out is
said in `zoo/training/pocket-llm/README.md`. First the committed items (`heldout.jsonl`), then 500 a category from the same
generator; items of the categories with few wordings repeat (talk, tables), so those figures say less than their size.

{table}
{large}
Licence: MIT, weights and data included.
"""


CURVE = """
## Loss curves

The first stage: `assistant` is the loss on what the assistant writes, in nats a token; `4-bit` says whether the weights were rounded.

"""
TUNED = """
The second stage: the loss of one batch of 256 conversations each, on what the assistant writes. Half of a batch is
tools, and its mean differs from the first stage's mixture.

"""


def table(names, rows):
    lines = [names, ["---"] * len(names), *rows]
    return "".join("| " + " | ".join(map(str, x)) + " |\n" for x in lines)


def text(name):
    with open("results/" + name, encoding="utf-8") as f:
        return f.read()


def main():
    run, tune = json.loads(text("run.json")), json.loads(text("tune.json"))
    with open("heldout.jsonl", encoding="utf-8") as f:
        items = [json.loads(x) for x in f]
    score = check.table_text(check.score(items, [json.loads(x)["text"] for x in text("answers.jsonl").splitlines()])[0])
    with open("../../pocket-llm/README.md", "w") as f:
        f.write(CARD.format(table=score, large=text("large.md"), tokens=run["tokens"], steps=run["steps"], seconds=run["seconds"], rounding=run["arguments"]["rounding"],
                            more=tune["tokens"], more_seconds=tune["seconds"]))
    first, second = (list(csv.DictReader(text(x).splitlines())) for x in ("loss.csv", "tune.csv"))
    keep = sorted({0, len(first) - 1, *range(2, len(first), max(1, len(first) // 14))})
    with open("results/README.md", "w") as f:
        f.write("# Results\n\nRuns: `run.json`, `tune.json` (the second stage). Curves: `loss.csv`, `tune.csv`. Answers to `heldout.jsonl`, in its order: `answers.jsonl`.\n\n")
        f.write("## Scorecard\n\nThe committed items:\n\n" + score + "\n500 items a category:\n\n" + text("large.md"))
        f.write("\nThe committed items answered by `mlxengine run --lines`, 8-bit activations:\n\n" + text("engine.md"))
        f.write(CURVE + table(["step", "tokens", "seconds", "rate", "4-bit", "loss", "assistant"], [first[i].values() for i in keep]))
        f.write(TUNED + table(["step", "tokens", "seconds", "rate", "assistant"], [x.values() for x in second[::2] + second[-1:]]))


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    main()
