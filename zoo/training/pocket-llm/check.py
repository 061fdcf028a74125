"""How an answer to a held-out item is judged, and the scorer.

  python3 check.py heldout.jsonl                   the items as lines for `mlxengine run --lines`
  python3 check.py heldout.jsonl answers.jsonl     answers: one {"text": ".."} a line, in the items' order
"""
import collections
import json
import re
import sys
import unicodedata

REFUSALS = ("do not know", "cannot know", "have not told", "no tool for", "cannot do")
TYPES = {"string": str, "boolean": bool, "array": list, "object": dict}


def follows(schema, v):
    """The part of JSON Schema that the generator writes."""
    t = schema["type"]
    if t == "integer":
        return isinstance(v, int) and not isinstance(v, bool)
    if t == "number":
        return isinstance(v, (int, float)) and not isinstance(v, bool)
    if not isinstance(v, TYPES[t]) or ("enum" in schema and v not in schema["enum"]):
        return False
    if t == "array":
        return all(follows(schema["items"], x) for x in v)
    if t == "object":
        p = schema["properties"]
        return all(k in v for k in schema["required"]) and all(k in p and follows(p[k], v[k]) for k in v)
    return True


def calls(text):
    """The tool calls of an answer, or None where one of them is no JSON."""
    out = []
    for body in re.findall(r"<tool_call>(.*?)</tool_call>", text, re.S):
        try:
            c = json.loads(body)
            out.append({"name": c["name"], "arguments": c["arguments"]})
        except (ValueError, KeyError, TypeError):
            return None
    return out


def judge(check, text, think=False):
    """-> dict of named verdicts; "ok" is the one that counts. Thoughts that end are not part of the answer."""
    text = text.split("</think>\n\n", 1)[-1] if think else text
    text = unicodedata.normalize("NFC", text).strip()
    kind = check["type"]
    if check.get("no_call") and "<tool_call>" in text:
        return {"ok": False}
    if kind == "exact":
        return {"ok": text == check["value"]}
    if kind == "contains":
        return {"ok": all(x.lower() in text.lower() for x in check["all"])}
    if kind == "contains_first":
        found = re.findall(r"-?\d+", text)
        return {"ok": bool(found) and found[0] == check["value"]}
    if kind == "number":
        found = re.findall(r"-?\d+", text.replace(" - ", " minus "))
        return {"ok": bool(found) and int(found[-1]) == check["value"]}
    if kind == "refuse":
        return {"ok": any(x in text.lower() for x in REFUSALS)}
    if kind == "json":
        try:
            v = json.loads(text)
        except ValueError:
            return {"ok": False, "valid": False, "exact": False}
        valid = follows(check["schema"], v)
        out = {"ok": valid, "valid": valid}
        if "value" in check:
            out["exact"] = v == check["value"]
        return out
    if kind == "tool":
        got = calls(text)
        return {"ok": got == check["calls"], "valid": bool(got)}
    raise ValueError(kind)


def score(items, texts):
    """-> {category: {"items", "ok", "percent", more verdicts}}, list of (item, text) that failed"""
    n, table, failed = collections.Counter(), collections.defaultdict(collections.Counter), []
    for item, text in zip(items, texts, strict=True):
        think = item.get("think", False)
        verdict = judge(item["check"], text, think) if not think or "\n</think>\n\n" in text else {"ok": False}
        c = item["category"]
        n[c] += 1
        for k, v in verdict.items():
            table[c][k] += bool(v)
            table[c][k + " of"] += 1
        if not all(verdict.values()):
            failed.append((item, text))
    out = {c: {"items": n[c], **{k: v for k, v in table[c].items() if k != "ok of"}, "percent": round(100 * table[c]["ok"] / n[c], 2)} for c in n}
    return out, failed


def table_text(scores):
    lines = ["| category | items | right | percent |", "|---|---|---|---|"]
    for c, s in scores.items():
        lines.append("| %s | %d | %d | %.1f |" % (c, s["items"], s["ok"], s["percent"]))
        if "exact" in s:
            lines.append("| %s, values exact | %d | %d | %.1f |" % (c, s["exact of"], s["exact"], 100 * s["exact"] / s["exact of"]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as f:
        ITEMS = [json.loads(x) for x in f]
    if len(sys.argv) == 2:
        for ITEM in ITEMS:
            LINE = {"messages": ITEM["messages"], "temperature": 0, "max_tokens": 320}
            if ITEM["tools"]:
                LINE["tools"] = ITEM["tools"]
            if ITEM.get("think"):
                LINE["template_var"] = ["enable_thinking=true"]
            print(json.dumps(LINE, ensure_ascii=False))
        sys.exit()
    with open(sys.argv[2], encoding="utf-8") as f:
        TEXTS = [json.loads(x).get("text", "") for x in f]
    SCORES, FAILED = score(ITEMS, TEXTS)
    print(table_text(SCORES))
    for ITEM, TEXT in FAILED:
        print(json.dumps({"id": ITEM["id"], "expected": ITEM["expected"], "got": TEXT}, ensure_ascii=False))
