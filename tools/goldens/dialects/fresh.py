"""fresh.py: draws answers with tool calls for every dialect and reads them back.

    python fresh.py PROGRAM... [--seed N] [--seconds N] [--only NAME]

PROGRAM is driver.c. Each draw writes random calls in a form of the dialect (the writers below are
made from the forms' public descriptions, not from our readers), with text and reasoning around
where the form has room for them. Whole and cut at random places, the calls have to come out as
they went in, the text and the reasoning too. Then the answer is broken (cut short, pieces
taken out, doubled, swapped with pieces of markers): whatever comes out, it has to be the same
however the answer is cut, the arguments have to be JSON objects, and no byte may be lost.
"""
import argparse
import json
import random
import subprocess
import sys
import time

J = lambda v: json.dumps(v, ensure_ascii=False)  # noqa: E731
SCHEMA = {"s": "string", "t": "string", "n": "integer", "x": "number", "b": "boolean", "o": "object", "l": "array", "m": "maybe", "w": "either"}
# How a schema says it, where that is more than a type's name: an optional number, a text or a list.
WORDED = {"maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}, "either": {"type": ["string", "array"]}}
NAMES = ["f", "get_weather", "add", "search-web", "now", "a1"]
TOOLS = [{"type": "function", "function": {"name": n, "description": "d", "parameters": {
    "type": "object", "properties": {k: WORDED.get(t, {"type": t}) for k, t in SCHEMA.items()}}}} for n in NAMES]


def call_json(name, args, key="arguments", **more):
    return J({"name": name, key: args, **more})


def value_text(v):
    return v if isinstance(v, str) else J(v)


def invokes(calls, p="", close=True):
    out = ""
    for name, args in calls:
        out += f'<{p}invoke name="{name}">\n' + "".join(f'<{p}parameter name="{k}">{value_text(v)}</{p}parameter>\n' for k, v in args.items()) + f"</{p}invoke>\n"
    return out


def dsml(calls, p):
    return "".join(f'<{p}invoke name="{n}">\n' + "".join(
        f'<{p}parameter name="{k}" string="{"true" if isinstance(v, str) else "false"}">{value_text(v)}</{p}parameter>\n' for k, v in a.items()) + f"</{p}invoke>\n" for n, a in calls)


def keyed(args, k, kk, v, vv, gap="\n"):
    return gap.join(f"{k}{key}{kk}{gap}{v}{value_text(value)}{vv}" for key, value in args.items())


def type_of(v):
    return {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array", type(None): "null"}[type(v)]


def python_value(v):
    return repr(v)


def python_calls(calls):
    return "[" + ", ".join(f"{n}(" + ", ".join(f"{k}={python_value(v)}" for k, v in a.items()) + ")" for n, a in calls) + "]"


def gemma_value(v, q):
    if isinstance(v, str):
        return q + v + q
    if isinstance(v, dict):
        return "{" + ",".join(f"{k}:{gemma_value(w, q)}" for k, w in v.items()) + "}"
    if isinstance(v, list):
        return "[" + ",".join(gemma_value(w, q) for w in v) + "]"
    return J(v)


def m3_value(v, m):
    if isinstance(v, dict):
        return "".join(f"{m}<{k}>{m3_value(w, m)}{m}</{k}>" for k, w in v.items())
    if isinstance(v, list):
        return "".join(f"{m}<item>{m3_value(w, m)}{m}</item>" for w in v)
    return value_text(v)


def listed(calls, key="arguments", **more):
    return "[" + ", ".join(call_json(n, a, key, **more) for n, a in calls) + "]"


def each(calls, before, after, between="\n"):
    return between.join(before + call_json(n, a) + after for n, a in calls)


# How a dialect writes: a function of the calls and a random source.
# tags: values are text in tags, so no markup in them; plain: letters and digits only.
# one: a single call; at_start: nothing before the calls; think: reasoning's markers.
FORMS = {
    "apertus": [dict(w=lambda c, r: "<|tools_prefix|>[" + ", ".join(J({n: a}) for n, a in c) + "]<|tools_suffix|>", think=("<|inner_prefix|>", "<|inner_suffix|>"))],
    "apriel": [dict(w=lambda c, r: "[BEGIN FINAL RESPONSE]\n<tool_calls>" + listed(c) + "</tool_calls>", at_start=1, prompt="Here are my reasoning steps:\n", think=("", ""))],
    "command_r": [dict(w=lambda c, r: "Action: ```json\n[" + ", ".join(J({"tool_name": n, "parameters": a}) for n, a in c) + "]\n```", at_start=1)],
    "command_r7b": [dict(w=lambda c, r: "<|START_ACTION|>[" + ", ".join(J({"tool_call_id": str(i), "tool_name": n, "parameters": a}) for i, (n, a) in enumerate(c)) + "]<|END_ACTION|>", think=("<|START_THINKING|>", "<|END_THINKING|>"), at_start=1)],
    "cwm": [dict(w=lambda c, r: "\n".join(f"<tool: {n}>\n{J(a)}\n</tool>" for n, a in c), tags=1, think=("<think>", "</think>"))],
    "deepseek": [dict(w=lambda c, r: "<｜tool▁calls▁begin｜>" + "".join(f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{n}\n```json\n{J(a)}\n```<｜tool▁call▁end｜>" for n, a in c) + "<｜tool▁calls▁end｜>", think=("<think>", "</think>")),
                 dict(w=lambda c, r: "<｜tool▁calls▁begin｜>" + "".join(f"<｜tool▁call▁begin｜>{n}<｜tool▁sep｜>{J(a)}<｜tool▁call▁end｜>" for n, a in c) + "<｜tool▁calls▁end｜>")],
    "deepseek_dsml": [dict(w=lambda c, r: "<｜DSML｜ calls>\n" + dsml(c, "｜DSML｜ ") + "</｜DSML｜ calls>", tags=1, think=("<think>", "</think>")),
                      dict(w=lambda c, r: "<｜DSML｜function_calls>\n" + dsml(c, "｜DSML｜") + "</｜DSML｜function_calls>", tags=1, think=("<think>", "</think>"))],
    "dots": [dict(w=lambda c, r: "<dots_function_call>\n" + invokes(c) + "</dots_function_call>", tags=1)],
    "ernie": [dict(w=lambda c, r: each(c, "<tool_call>\n", "\n</tool_call>"), at_start=1, think=("<think>", "</think>"))],
    "firefunction": [dict(w=lambda c, r: " functools" + listed(c))],
    "function_call": [dict(w=lambda c, r: each(c, "<function_call> ", ""))],
    "functionary": [dict(w=lambda c, r: "".join((">>>" if i or r.random() < 0.5 else "") + f"{n}\n{J(a)}" for i, (n, a) in enumerate(c)), at_start=1, prompt=">>>")],
    "gemma": [dict(w=lambda c, r: "".join("<start_function_call>call:" + n + gemma_value(a, "<escape>") + "<end_function_call>" for n, a in c), tags=1),
              dict(w=lambda c, r: "".join("<|tool_call>call:" + n + gemma_value(a, '<|"|>') + "<tool_call|>" for n, a in c), tags=1),
              dict(w=lambda c, r: "```tool_code\n" + python_calls(c) + "\n```", tags=1, names=1)],
    "gigachat": [dict(w=lambda c, r: "function call<|role_sep|>\n" + call_json(*c[0]) + "<|message_sep|>", one=1), dict(w=lambda c, r: "<｜GCML｜tool_calls>\n" + dsml(c, "｜GCML｜") + "</｜GCML｜tool_calls>", tags=1)],
    "glm4": [dict(w=lambda c, r: f"{c[0][0]}\n{J(c[0][1])}", one=1, at_start=1)],
    "glm45": [dict(w=lambda c, r: "\n".join(f"<tool_call>{n}\n" + keyed(a, "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>") + "\n</tool_call>" for n, a in c), tags=1, think=("<think>", "</think>"))],
    "granite": [dict(w=lambda c, r: "<|tool_call|>" + listed(c), think=("<think>", "</think>"))],
    "harmony": [dict(w=lambda c, r: "<|start|>assistant".join(f"<|channel|>commentary to=functions.{n} <|constrain|>json<|message|>{J(a)}<|call|>" for n, a in c), at_start=1, prompt="<|start|>assistant", one=1),
                dict(w=lambda c, r: "<|start|>assistant".join(f" to=functions.{n}<|channel|>commentary json<|message|>{J(a)}<|call|>" for n, a in c), at_start=1, prompt="<|start|>assistant"),
                dict(w=lambda c, r: "<|start|>assistant".join(f" to={n}<|channel|>analysis <|constrain|>xml<|message|>" + "".join(f'<rfl:parameter name="{k}">\n{value_text(v)}\n</rfl:parameter>' for k, v in a.items()) + ("<|end|>" if a else "{}<|call|>") for n, a in c), at_start=1, prompt="<|start|>assistant", tags=1)],
    "hermes": [dict(w=lambda c, r: each(c, "<tool_call>\n", "\n</tool_call>"), think=("<think>", "</think>")), dict(w=lambda c, r: each(c, "<tool_call>", "</tool_call>", ""))],
    "hunyuan": [dict(w=lambda c, r: "<tool_calls>" + listed(c) + "</tool_calls>", think=("<think>", "</think>")),
                dict(w=lambda c, r: "<tool_calls>\n" + "\n".join(f"<tool_call>{n}<tool_sep>\n" + keyed(a, "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>") + "\n</tool_call>" for n, a in c) + "\n</tool_calls>", tags=1),
                dict(w=lambda c, r: (lambda x: f"<tool_calls{x}>" + "".join(f"<tool_call{x}>{n}" + keyed(a, f"<arg_key{x}>", f"</arg_key{x}>", f"<arg_value{x}>", f"</arg_value{x}>", "") + f"</tool_call{x}>" for n, a in c) + f"</tool_calls{x}>")(r.choice(["", ":opensource", ":6124c78e"])), tags=1)],
    "hyperclovax": [dict(w=lambda c, r: " -> tool/function_call\n" + listed(c), at_start=1, prompt="<|im_start|>assistant")],
    "inkling": [dict(w=lambda c, r: "<|message_model|>".join(f"{n}<|content_invoke_tool_json|>" + call_json(n, a, "args") + "<|end_message|>" for n, a in c), at_start=1, prompt="<|message_model|>")],
    "internlm": [dict(w=lambda c, r: "<|action_start|><|plugin|>\n" + call_json(*c[0], "parameters") + "<|action_end|>", one=1)],
    "iquest_coder": [dict(w=lambda c, r: "\n".join(f"<iquestcoder_tool_call>{n}\n" + keyed(a, "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "") + "</iquestcoder_tool_call>" for n, a in c), tags=1, think=("<think>", "</think>")),
                     dict(w=lambda c, r: "".join(f"<iquest_tool_call>{n}" + keyed(a, "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "") + "</iquest_tool_call>\n" for n, a in c), tags=1)],
    "k2_horizon": [dict(w=lambda c, r: "<ifm|tool_calls>" + each(c, "<ifm|tool_call>", "</ifm|tool_call>") + "</ifm|tool_calls>", tags=1, think=("<ifm|think>", "</ifm|think>")),
                   dict(w=lambda c, r: "<ifm|tool_calls>" + "".join(f"<ifm|tool_call>{n}" + keyed(a, "<ifm|arg_key>", "</ifm|arg_key>", "<ifm|arg_value>", "</ifm|arg_value>") + "</ifm|tool_call>" for n, a in c) + "</ifm|tool_calls>", tags=1)],
    "kimi_k2": [dict(w=lambda c, r: "<|tool_calls_section_begin|>" + "".join(f"<|tool_call_begin|>functions.{n}:{i}<|tool_call_argument_begin|>{J(a)}<|tool_call_end|>" for i, (n, a) in enumerate(c)) + "<|tool_calls_section_end|>", think=("<think>", "</think>"))],
    "kimi_k3": [dict(w=lambda c, r: "<|open|>tools<|sep|>" + "".join(f'<|open|>call tool="{n}" index="{i}"<|sep|><|open|>json type="object"<|sep|>{J(a)}<|close|>json<|sep|><|close|>call<|sep|>' for i, (n, a) in enumerate(c)) + "<|close|>tools<|sep|>", at_start=1),
                dict(w=lambda c, r: "<|open|>tools<|sep|>" + "".join(f'<|open|>call tool="{n}" index="{i}"<|sep|>' + "".join(f'<|open|>argument key="{k}" type="{type_of(v)}"<|sep|>{value_text(v)}<|close|>argument<|sep|>' for k, v in a.items()) + "<|close|>call<|sep|>" for i, (n, a) in enumerate(c)) + "<|close|>tools<|sep|>", at_start=1, tags=1)],
    "llama3_json": [dict(w=lambda c, r: "; ".join(call_json(n, a, "parameters") for n, a in c), at_start=1), dict(w=lambda c, r: "<|python_tag|>" + call_json(*c[0], "parameters"), one=1)],
    "longcat": [dict(w=lambda c, r: each(c, "<longcat_tool_call>\n", "\n</longcat_tool_call>", ""), think=("<longcat_think>", "</longcat_think>")),
                dict(w=lambda c, r: "".join(f"<longcat_tool_call>{n}\n" + keyed(a, "<longcat_arg_key>", "</longcat_arg_key>", "<longcat_arg_value>", "</longcat_arg_value>") + "\n</longcat_tool_call>" for n, a in c), tags=1)],
    "minicpm5": [dict(w=lambda c, r: "\n".join(f'<function name="{n}">' + "".join(f'<param name="{k}">' + (f"<![CDATA[{v}]]>" if isinstance(v, str) and r.random() < 0.5 else value_text(v)) + "</param>" for k, v in a.items()) + "</function>" for n, a in c), tags=1)],
    "minimax": [dict(w=lambda c, r: "<minimax:tool_call>\n" + invokes(c) + "</minimax:tool_call>", tags=1, think=("<think>", "</think>")), dict(w=lambda c, r: "<tool_calls>\n" + "\n".join(call_json(n, a) for n, a in c) + "\n</tool_calls>")],
    "minimax_m3": [dict(w=lambda c, r: "]<]minimax[>[<tool_call>\n" + "".join(f']<]minimax[>[<invoke name="{n}">' + m3_value(a, "]<]minimax[>[") + "]<]minimax[>[</invoke>\n" for n, a in c) + "]<]minimax[>[</tool_call>", tags=1, flat=1, think=("<mm:think>", "</mm:think>"))],
    "mirothinker": [dict(w=lambda c, r: "\n".join(f"<use_mcp_tool>\n<server_name>x</server_name>\n<tool_name>{n}</tool_name>\n<arguments>\n{J(a)}\n</arguments>\n</use_mcp_tool>" for n, a in c), tags=1, think=("<think>", "</think>"))],
    "mistral": [dict(w=lambda c, r: "[TOOL_CALLS] " + listed(c)), dict(w=lambda c, r: "".join(f"[TOOL_CALLS]{n}[ARGS]{J(a)}" for n, a in c), think=("[THINK]", "[/THINK]")), dict(w=lambda c, r: "".join(f"[TOOL_CALLS]{n}[CALL_ID]123456789[ARGS]{J(a)}" for n, a in c)), dict(w=lambda c, r: "".join(f"[TOOL_CALLS]{n}{J(a)}" for n, a in c))],
    "muse": [dict(w=lambda c, r: "<|start|>assistant".join(f" to={n}<|message|>\n<atem:function_calls>\n" + invokes([(n, a)], "atem:") + "</atem:function_calls><|eom|>" for n, a in c), at_start=1, prompt="<|start|>assistant", tags=1, think=("to=self<|message|>", "<|eom|><|start|>assistant"))],
    "nemotron": [dict(w=lambda c, r: "<TOOLCALL>" + listed(c) + "</TOOLCALL>", think=("<think>", "</think>"))],
    "pangu": [dict(w=lambda c, r: "[unused11]" + listed(c) + "[unused12]", think=("[unused16]", "[unused17]"))],
    "phi": [dict(w=lambda c, r: "<|tool_call|>" + listed(c) + "<|/tool_call|>"), dict(w=lambda c, r: "functools" + listed(c))],
    "plain": [dict(w=lambda c, r: "", none=1, think=("<think>", "</think>"))],
    "plamo3": [dict(w=lambda c, r: "<|plamo:begin_tool_requests:plamo|>" + "".join(f"<|plamo:begin_tool_request:plamo|><|plamo:begin_tool_name:plamo|>{n}<|plamo:end_tool_name:plamo|><|plamo:begin_tool_arguments:plamo|><|plamo:constrain|>json<|plamo:msg|>{J(a)}<|plamo:end_tool_arguments:plamo|><|plamo:end_tool_request:plamo|>" for n, a in c) + "<|plamo:end_tool_requests:plamo|>", think=("<|plamo:begin_think:plamo|>", "<|plamo:end_think:plamo|>"))],
    "pythonic": [dict(w=lambda c, r: python_calls(c), at_start=1, names=1), dict(w=lambda c, r: "<|python_start|>" + python_calls(c) + "<|python_end|>", names=1, tags=1), dict(w=lambda c, r: "<|tool_call_start|>" + python_calls(c) + "<|tool_call_end|>", names=1, tags=1),
                 dict(w=lambda c, r: "<function_calls>\n" + "\n".join(python_calls([x])[1:-1] for x in c) + "\n</function_calls>", names=1, tags=1)],
    "rwkv": [dict(w=lambda c, r: "\n".join("**Tool Call:**\n```json\n" + call_json(n, a) + "\n```" for n, a in c)), dict(w=lambda c, r: each(c, "<tool_call>", "\n"))],
    "solar": [dict(w=lambda c, r: "<|tool_calls|>" + "".join(f"<|tool_call:begin|>id{i}<|tool_call:name|>{n}<|tool_call:args|>{J(a)}<|tool_call:end|>" for i, (n, a) in enumerate(c)), at_start=1),
              dict(w=lambda c, r: "\n".join(f"<|tool_call:start|>{n}\n" + "".join(f"<|tool_arg:start|>{k}<|tool_arg:value|>{value_text(v)}<|tool_arg:end|>\n" for k, v in a.items()) + "<|tool_call:end|>" for n, a in c), tags=1)],
    "step3": [dict(w=lambda c, r: "<｜tool_calls_begin｜>" + "".join("<｜tool_call_begin｜>function<｜tool_sep｜>" + invokes([x], "steptml:") + "<｜tool_call_end｜>" for x in c) + "<｜tool_calls_end｜>", tags=1)],
    "telechat": [dict(w=lambda c, r: "".join(f"<tool_call>{n}" + keyed(a, "<param_key>", "</param_key>", "<param_value>", "</param_value>", "") + "</tool_call>" for n, a in c), tags=1, think=("<think>", "</think>")), dict(w=lambda c, r: each(c, "<tool_call>", "</tool_call>"), tags=1)],
    "xlam": [dict(w=lambda c, r: listed(c), at_start=1, think=("<think>", "</think>")), dict(w=lambda c, r: "```json\n" + listed(c) + "\n```"), dict(w=lambda c, r: "[TOOL_CALLS]" + listed(c)), dict(w=lambda c, r: "<tool_call>" + listed(c) + "</tool_call>")],
    "xml_function": [dict(w=lambda c, r: "\n".join(f"<tool_call>\n<function={n}>\n" + "".join(f"<parameter={k}>\n{value_text(v)}\n</parameter>\n" for k, v in a.items()) + "</function>\n</tool_call>" for n, a in c), tags=1, think=("<think>", "</think>")),
                     dict(w=lambda c, r: "\n".join(f"<seed:tool_call>\n<function={n}>\n" + "".join(f"<parameter={k}>{value_text(v)}</parameter>\n" for k, v in a.items()) + "</function>\n</seed:tool_call>" for n, a in c), tags=1),
                     dict(w=lambda c, r: "".join(f"<function={n}>{J(a)}</function>" for n, a in c), tags=1)],
}
WORDS = ["a", "Oslo", "été", "日本", "😀", "x y", "l1\nl2", "it's", "\"q\"", "\\", "{}", "[1]", "5", "true", "null", "a,b", "k: v", "tab\there", "end."]
MARKUP = WORDS + ["<", ">", "</", "<|", "```", "]", "}", "</tool_call>", "\n\n", " "]


class Draw:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def text(self, tags):
        r = self.r
        s = "".join(r.choice(WORDS if tags else MARKUP) for _ in range(r.choice([0, 1, 1, 2, 4])))
        return s.strip() if tags else s

    def value(self, kind, form, depth=2):
        r = self.r
        if kind == "string":
            return self.text(form.get("tags"))
        if kind == "maybe":
            return r.choice([None, 0, -5, 1234])
        if kind == "either":
            return r.choice([[], [1, "a"], ["x"]] if not form.get("flat") else [""]) if r.random() < 0.5 else r.choice(["", "5", "null", "true", "x y", "{}"])
        if kind == "integer":
            return r.choice([0, 1, -7, 42, 123456789])
        if kind == "number":
            return r.choice([0.5, -1.25, 3, 1e-3])
        if kind == "boolean":
            return r.random() < 0.5
        inner = lambda: self.value(r.choice([t for t in SCHEMA.values() if t not in WORDED]) if depth and not form.get("flat") else "integer", form, depth - 1)  # noqa: E731
        n = r.choice([1, 2]) if form.get("flat") else r.choice([0, 1, 2])
        if kind == "array":
            return [inner() for _ in range(n)]
        return {k: inner() for k in r.sample(["k1", "k2", "k3"], n)}

    def calls(self, form):
        r = self.r
        names = [n for n in NAMES if n.replace("-", "_").isidentifier() and "-" not in n] if form.get("names") else NAMES
        keys = [k for k in SCHEMA if not (form.get("flat") and k in "olw")]
        return [(r.choice(names), {k: self.value(SCHEMA[k], form) for k in r.sample(keys, r.choice([0, 1, 2, 3]))}) for _ in range(1 if form.get("one") else r.choice([1, 1, 2, 3]))]

    def draw(self, form):
        r = self.r
        calls = [] if form.get("none") else self.calls(form)
        text = "" if form.get("at_start") else r.choice(["", "Let me look.", "Zwei Zeilen\nhier. ", "1 < 2, a & b: "])
        answer = text + (r.choice(["", "\n", "\n\n"]) if text else "") + form["w"](calls, r)
        thought, think = "", form.get("think")
        if think and r.random() < 0.5:
            thought = r.choice(["Hm.", "\nFirst, I add.\n\nThen 1 < 2.\n", "é😀"])
            answer = think[0] + thought + think[1] + r.choice(["", "\n"]) + answer
        return calls, text, thought, answer

    def broken(self, answer):
        r = self.r
        for _ in range(r.choice([1, 1, 2, 3])):
            i = r.randrange(len(answer) + 1)
            j = min(len(answer), i + r.choice([1, 2, 5, 20, 60]))
            k = r.randrange(5)
            if k == 0:
                answer = answer[:i]
            elif k == 1:
                answer = answer[:i] + answer[j:]
            elif k == 2:
                answer = answer[:j] + answer[i:j] + answer[j:]
            elif k == 3:
                at = r.randrange(len(answer) + 1)
                answer = answer[:at] + answer[i:j] + answer[at:]
            else:
                answer = answer[:i] + r.choice(MARKUP) + answer[i:]
        return answer

    def cuts(self, n):
        r = self.r
        if r.random() < 0.2:
            return list(range(1, n))
        return sorted(r.randrange(n + 1) for _ in range(r.choice([1, 2, 5, 20])))


class Reader:
    def __init__(self, command):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, dialect, prompt, answer, cuts):
        line = {"dialect": dialect, "prompt": prompt, "tools": TOOLS, "answer": answer, "cuts": cuts}
        self.p.stdin.write(json.dumps(line).encode() + b"\n")
        self.p.stdin.flush()
        out = self.p.stdout.readline()
        if not out:
            raise SystemExit(f"the program ended with {self.p.wait()} on {json.dumps(line)}")
        return json.loads(out)


def words(text):
    return " ".join(text.split())


def compare(got, calls, text, thought):
    if "error" in got or not got["lossless"]:
        return "error or bytes lost"
    told = [(e[1], e[3]) for e in got["events"] if e[0] == "call"]
    if told != calls:
        return f"calls {told}"
    if words("".join(e[1] for e in got["events"] if e[0] == "text")) != words(text):
        return "text"
    if words("".join(e[1] for e in got["events"] if e[0] == "reasoning")) != words(thought):
        return "reasoning"
    return None


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program", nargs="+")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--only", default="")
    p.add_argument("--show", type=int, default=10)
    o = p.parse_args()
    reader = Reader(o.program)
    end = time.monotonic() + o.seconds
    seed, good, bad, wrong = o.seed, 0, 0, 0
    shown = {}
    while time.monotonic() < end and wrong < o.show:
        for name, forms in FORMS.items():
            if o.only and name != o.only:
                continue
            seed += 1
            d = Draw(seed)
            form = d.r.choice(forms)
            calls, text, thought, answer = d.draw(form)
            prompt = form.get("prompt", "")
            n = len(answer.encode())
            whole = reader.read(name, prompt, answer, [])
            parts = reader.read(name, prompt, answer, d.cuts(n))
            good += 1
            problem = compare(whole, calls, text, thought) or (whole != parts and "depends on the cuts")
            if not problem:
                answer = d.broken(answer)
                whole = reader.read(name, prompt, answer, [])
                bad += 1
                for _ in range(3):
                    parts = reader.read(name, prompt, answer, d.cuts(len(answer.encode())))
                    if not whole.get("lossless") or whole != parts:
                        problem = f"broken answer: {'bytes lost' if not whole.get('lossless') else 'depends on the cuts'}"
                if any(e[0] == "call" and not isinstance(e[3], dict) for e in whole.get("events", [])):
                    problem = "arguments are no object"
            if problem and shown.setdefault(name, 0) < 2:
                shown[name] += 1
                wrong += 1
                print(f"{name}, seed {seed}: {problem}\n  answer {answer!r}\n  calls {calls!r} text {text!r} thought {thought!r}\n  whole {whole}\n  parts {parts}", flush=True)
    print(f"{good} answers of {len(FORMS)} dialects, {bad} broken ones, {wrong} wrong")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
