"""The mixture: which tasks there are, how often each is drawn, and how a conversation becomes text and tokens.

  python3 generate.py --show 3            three samples of every task
  python3 generate.py --stats 4000        tokens and time per task
  python3 generate.py --heldout FILE      the committed held-out items
"""
import argparse
import collections
import json
import time

import copy_task
import json_task
import numbers_task
import reason_task
import recall_task
import story_task
import talk_task
import tool_task
import world
from base import Source, chat, sample

LIMIT = 2047                    # tokens of a training conversation, at most


def pick_weighted(r, table):
    u = r.random() * sum(w for _, w in table)
    for f, w in table:
        u -= w
        if u < 0:
            return f
    return table[-1][0]


SHORT = [(numbers_task.sum_, 10), (numbers_task.word_problem, 4), (numbers_task.compare, 1), (world.fact, 7), (world.unknown, 2), (talk_task.talk, 8), (talk_task.refuse, 2),
         (numbers_task.next_number, 1), (copy_task.change, 1), (copy_task.copy_words, 1), (recall_task.not_told, 0.3),
         (talk_task.beyond, 1.5), (talk_task.small_tasks, 1.5), (copy_task.say, 0.7), (talk_task.remark, 0.7)]
LONGER = SHORT + [(story_task.write_story, 4), (story_task.scene, 2), (world.about, 1)]


def short(r):
    return pick_weighted(r, SHORT)(r)


def filler(r):
    return pick_weighted(r, LONGER)(r)["messages"]


def free_filler(r):
    """Turns between a fact and its question; none of them may tell or ask a fact of the user."""
    while True:
        f = pick_weighted(r, LONGER)
        if f is not recall_task.not_told:
            m = f(r)["messages"]
            return m[1:] if m[0]["role"] == "system" else m


def recall_short(r):
    return recall_task.conversation(r, free_filler, r.upto(0, 250))


def recall_long(r):
    return recall_task.conversation(r, free_filler, r.upto(1250, 1550) if r.test else r.upto(300, 1650))


def needles_short(r):
    return recall_task.needles(r, story_task.prose, r.upto(0, 250))


def needles_long(r):
    return recall_task.needles(r, story_task.prose, r.upto(1250, 1500) if r.test else r.upto(300, 1600))


def mixed(r):
    """A conversation of several unrelated turns."""
    turns = []
    for _ in range(r.upto(2, 6)):
        s = pick_weighted(r, LONGER + [(copy_task.copy_hostile, 2), (json_task.extract, 2), (numbers_task.chain, 2), (numbers_task.count_up, 1), (numbers_task.order, 1), (story_task.story_question, 1)])(r)
        m = s["messages"]
        turns += [x["content"] for x in m if x["role"] != "system"] if s["category"] != "json" or m[0]["role"] != "system" else []
    return sample("mixed", chat(*turns, system=r.pick(talk_task.NEUTRAL) if r.chance(0.15) else None), None) if turns else mixed(r)


def by_system(r):
    return talk_task.by_system(r, short)


def no_tool(r):
    return tool_task.no_tool(r, short)


def reason(r):
    return reason_task.reason(r, short)


def think_short(r):
    return reason_task.think_about(r, short)


def think_other(r):
    return reason_task.think_about(r, lambda r: pick_weighted(r, OTHER)(r))


DIRECT = [  # task without thinking, how often; the tokenizer was made from these
    (numbers_task.sum_, 90), (numbers_task.word_problem, 40), (numbers_task.chain, 30), (numbers_task.compare, 6), (numbers_task.order, 10), (numbers_task.count, 6), (numbers_task.next_number, 8),
    (recall_short, 80), (recall_long, 26), (needles_short, 26), (needles_long, 14),
    (story_task.story_question, 50), (story_task.write_story, 32), (story_task.scene, 40),
    (world.fact, 70), (world.about, 8), (world.valley, 6), (world.unknown, 20),
    (json_task.extract, 90), (json_task.make_up, 12),
    (tool_task.tool_call, 100), (tool_task.two_calls, 14), (tool_task.tool_result, 30), (no_tool, 20), (tool_task.missing_tool, 16),
    (copy_task.copy_hostile, 70), (copy_task.copy_words, 20), (copy_task.change, 20),
    (talk_task.talk, 110), (talk_task.refuse, 25), (recall_task.not_told, 6), (by_system, 60), (talk_task.beyond, 36), (talk_task.small_tasks, 35), (numbers_task.count_up, 16), (copy_task.say, 14), (talk_task.remark, 12),
    (mixed, 60),
]
OTHER = [(tool_task.tool_call, 8), (tool_task.two_calls, 2), (tool_task.tool_result, 3), (no_tool, 2), (tool_task.missing_tool, 1), (json_task.extract, 2), (recall_short, 4), (needles_short, 1),
         (story_task.story_question, 2), (story_task.write_story, 1), (by_system, 2), (copy_task.copy_words, 1), (numbers_task.chain, 1)]
MIX = DIRECT + [(reason, 190), (reason_task.computed, 30), (reason_task.price, 14), (think_short, 40), (think_other, 55)]


def any_of(r):
    return pick_weighted(r, MIX)(r)


# tune.py: half tools, under a wide choice of names, and half of everything
TUNE = [(tool_task.tool_call, 90), (tool_task.two_calls, 50), (tool_task.tool_result, 8), (no_tool, 8), (tool_task.missing_tool, 12), (reason_task.computed, 14), (reason_task.price, 6), (by_system, 12), (any_of, 200)]

# The held-out set: category name -> tasks drawn in turn, with the number of items
HELDOUT = {
    "arithmetic": [numbers_task.sum_, numbers_task.sum_, numbers_task.word_problem, numbers_task.chain],
    "order": [numbers_task.compare, numbers_task.order, numbers_task.count, numbers_task.next_number, numbers_task.count_up],
    "recall": [recall_short, needles_short], "recall_long": [recall_long, needles_long],
    "story": [story_task.story_question, story_task.scene], "story_write": [story_task.write_story],
    "world": [world.fact], "json": [json_task.extract, json_task.extract, json_task.extract, json_task.make_up],
    "tool": [tool_task.tool_call, tool_task.tool_call, tool_task.tool_call, tool_task.two_calls], "tool_result": [tool_task.tool_result], "tool_none": [no_tool, tool_task.missing_tool],
    "copy": [copy_task.copy_hostile, copy_task.copy_hostile, copy_task.copy_words, copy_task.say], "change": [copy_task.change, talk_task.small_tasks],
    "talk": [talk_task.talk], "refuse": [talk_task.refuse, world.unknown, talk_task.beyond], "system": [by_system],
    "reason": [reason, reason, reason, reason, reason_task.computed, reason, reason, reason, reason, reason_task.price],
}

TOOLS_HEAD = "You can call these tools:\n<tools>\n"
TOOLS_TAIL = "</tools>\nTo call a tool, answer with its name and arguments in this form:\n<tool_call>\n{\"name\": \"tool\", \"arguments\": {}}\n</tool_call>"


THINK = "<think>\n"


def dumps(x):
    return json.dumps(x, ensure_ascii=False)


def segments(messages, tools, think=False):
    """-> list of (text, True where the assistant wrote it). Their join equals the chat template's text.

    Thoughts are in the text of what follows the last user message only; `think` tells that the prompt opens them.
    """
    out, text = [], ""
    last = max((i for i, m in enumerate(messages) if m["role"] == "user"), default=-1)
    for i, m in enumerate(messages):
        if i == 0 and tools:
            head = m["content"] + "\n\n" if m["role"] == "system" else ""
            text = "<|im_start|>system\n" + head + TOOLS_HEAD + "".join(dumps(t) + "\n" for t in tools) + TOOLS_TAIL + "<|im_end|>\n"
            if head:
                continue
        if m["role"] == "assistant":
            body = m["content"]
            for c in m.get("tool_calls") or []:
                f = c["function"]
                body += ("\n" if body else "") + "<tool_call>\n{\"name\": %s, \"arguments\": %s}\n</tool_call>" % (dumps(f["name"]), dumps(f["arguments"]))
            text += "<|im_start|>assistant\n"
            if i > last and m.get("reasoning_content"):
                body = m["reasoning_content"] + "\n</think>\n\n" + body
                if think:
                    text += THINK
                else:
                    body = THINK + body
            out += [(text, False), (body + "<|im_end|>", not m.get("mute"))]
            text = "\n"
        elif m["role"] == "tool":
            text += "<|im_start|>tool\n<tool_response>\n" + m["content"] + "\n</tool_response><|im_end|>\n"
        else:
            text += "<|im_start|>" + m["role"] + "\n" + m["content"] + "<|im_end|>\n"
    return out + [(text, False)] if text else out


def prompt_text(item):
    """The text before the answer to an item's messages, with the generation prompt."""
    seg = segments(item["messages"] + [{"role": "assistant", "content": "", "reasoning_content": "?"}], item["tools"], True)
    text = "".join(t for t, _ in seg[:-2])
    return text if item.get("think") else text[:-len(THINK)]


def documents(seed, n):
    """n training conversations as lists of segments."""
    r = Source(seed)
    return [segments(s["messages"], s["tools"], s.get("think")) for s in (pick_weighted(r, MIX)(r) for _ in range(n))]


def encode(tokenizer, docs):
    """-> list of (ids, flags); flags are 1 on what the assistant wrote. Too long ones are left out."""
    flat = [t for d in docs for t, _ in d]
    enc = tokenizer.encode_batch_fast(flat, add_special_tokens=False)
    out, i = [], 0
    for d in docs:
        ids, flags = [], []
        for _, mine in d:
            x = enc[i].ids
            i += 1
            ids += x
            flags += [1 if mine else 0] * len(x)
        if len(ids) <= LIMIT:
            out.append((ids, flags))
    return out


def heldout(per_category, seed=20260901):
    items = []
    for c, (name, tasks) in enumerate(HELDOUT.items()):
        r = Source(seed + c, test=True)
        k = 0
        while k < per_category:
            s = tasks[k % len(tasks)](r)
            if s["check"] is None or (name == "recall_long") != (s["category"] == "recall_long"):
                continue
            s["category"] = name
            s["id"] = "%s-%03d" % (name, k)
            items.append(s)
            k += 1
    return items


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--show", type=int)
    p.add_argument("--stats", type=int)
    p.add_argument("--heldout")
    p.add_argument("--items", type=int, default=80)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--tokenizer", default="../../pocket-llm/tokenizer.json")
    a = p.parse_args()
    if a.show:
        for f, _ in MIX:
            for k in range(a.show):
                s = f(Source(a.seed + k))
                print("=== %s.%s %s" % (f.__module__, f.__name__, json.dumps(s["check"])[:200]))
                print("".join(t for t, _ in segments(s["messages"], s["tools"], s.get("think")))[:1500])
    if a.stats:
        from tokenizers import Tokenizer
        tok = Tokenizer.from_file(a.tokenizer)
        r, n, secs, count = Source(a.seed), collections.Counter(), collections.Counter(), collections.Counter()
        t_all, lost = time.time(), 0
        for _ in range(a.stats):
            f = pick_weighted(r, MIX)
            t = time.time()
            s = f(r)
            d = segments(s["messages"], s["tools"], s.get("think"))
            secs[f.__name__] += time.time() - t
            e = encode(tok, [d])
            lost += not e
            n[f.__name__] += len(e[0][0]) if e else 0
            count[f.__name__] += 1
        total = sum(n.values())
        for k, v in n.most_common():
            print("%-16s %6d docs %8d tokens %5.1f %%  %6.0f us a doc" % (k, count[k], v, 100 * v / total, 1e6 * secs[k] / count[k]))
        print("tokens %d, generation %.2f s, all %.2f s, too long %d" % (total, sum(secs.values()), time.time() - t_all, lost))
    if a.heldout:
        with open(a.heldout, "w", encoding="utf-8") as f:
            for s in heldout(a.items):
                m = s["messages"]
                expected = segments(m, s["tools"], s.get("think"))[-2][0][:-len("<|im_end|>")]
                item = {"id": s["id"], "category": s["category"], "messages": [{k: v for k, v in x.items() if k != "mute"} for x in m[:-1]], "tools": s["tools"], "expected": expected, "check": s["check"]}
                f.write(dumps({**item, "think": True} if s.get("think") else item) + "\n")


if __name__ == "__main__":
    main()
