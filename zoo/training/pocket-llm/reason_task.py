"""Problems that take several steps, with the thoughts that lead to their answers.

A problem is a question, its thoughts (one short line a step) and the answer. The model learns it in three forms: with
`enable_thinking` the prompt opens `<think>`; under a system message that asks for it the model opens it itself; and with
neither, the steps stand in the answer. `think_about` puts a short thought before the answer of any other task.

Held out: the numbers, names, or chain of facts of a problem. No step of a trained problem is a held-out pair of operands.
"""
import json

import numbers_task
import tool_task
from base import chat, coin, held, person, sample, ANIMALS, COLOURS, DAYS, FOODS, MONTHS, OBJECTS
from world import RELATIONS, WORLD, _say

SYSTEMS = ["Think before you answer.", "Think first, then answer.", "Think step by step before you answer.", "You think before you answer.",
           "You are a helpful assistant. Think before you answer."]


def _free(r, op, a, b):
    return r.test or numbers_task._open(op, a, b, False)


def step(r, a, last):
    """One step from a: (text, value). Operands stay below 100, so does the value unless it is the last."""
    while True:
        op = r.pick("++--x") if 2 <= a <= 12 else r.pick("+-")
        b = r.upto(2, 9) if op == "x" else r.upto(1, 60)
        v = numbers_task.value(op, a, b)
        if 0 <= v <= (198 if last and op == "+" else 99) and _free(r, op, a, b):
            return op, b, v


def product(r, a, b):
    """The text of a product whose right side a step may need, or None where the pair is held out."""
    op = "x" if a <= 12 else "X"
    if not _free(r, op, a, b):
        return None
    return "%d x %d = %d" % (a, b, a * b) if op == "x" else "%d x %d = %d + %d = %d" % (a, b, a // 10 * 10 * b, a % 10 * b, a * b)


MORE = ["{q} gives {p} {b} more.", "{p} finds {b} more.", "{p} buys {b} more.", "Then {p} gets {b} more.", "Later {b} more arrive."]
LESS = ["{p} gives {b} to {q}.", "{p} loses {b}.", "{p} sells {b}.", "Then {p} gives {b} away.", "{b} of them break."]
TIMES = ["Then the number becomes {b} times as large.", "{p} works hard and soon has {b} times as many."]


def people(r, n):
    """n names that share no word."""
    out = []
    while len(out) < n:
        p = person(r)
        if not {w for x in out for w in x.split()} & set(p.split()):
            out.append(p)
    return out


def story(r):
    """Things come and go; the thoughts keep the count."""
    (p, q), t = people(r, 2), r.pick(numbers_task.THINGS)
    lines = []
    if r.chance(0.4):
        while True:
            a, b = r.upto(2, 12), r.upto(2, 9)
            if a * b <= 90 and (first := product(r, a, b)):
                break
        text = r.pick(["{p} has {a} boxes with {b} {t} each.", "There are {a} bags on the table, with {b} {t} in each. They belong to {p}."]).format(p=p, a=a, b=b, t=t)
        lines.append(first)
        a *= b
    else:
        a = r.upto(2, 60)
        text = r.pick(["{p} has {a} {t}.", "{p} starts with {a} {t}.", "In the morning {p} has {a} {t}."]).format(p=p, a=a, t=t)
        lines.append("At first: %d" % a)
    n = r.upto(2, 3)
    for i in range(n):
        op, b, v = step(r, a, i == n - 1)
        text += " " + r.pick(MORE if op == "+" else LESS if op == "-" else TIMES).format(p=p, q=q, b=b)
        lines.append("%d %s %d = %d" % (a, op, b, v))
        a = v
    text += " " + r.pick(["How many {t} does {p} have now?", "How many {t} does {p} have in the end?", "How many {t} are there at the end?"]).format(p=p, t=t)
    return text, lines, "%s has %d %s now." % (p, a, t), {"type": "number", "value": a}


def expression(r):
    """Products before sums, brackets before both."""
    while True:
        a, b, c = r.upto(1, 50), r.upto(2, 12), r.upto(2, 9)
        u = r.random()
        if u < 0.3:
            form, first, m = "%d + %d x %d" % (a, b, c), product(r, b, c), b * c
            rest = ("+", a, m)
        elif u < 0.5:
            form, first, m = "%d x %d - %d" % (b, c, a), product(r, b, c), b * c
            rest = ("-", m, a)
        elif u < 0.8:
            form, m = "(%d + %d) x %d" % (a, b, c), a + b
            first, rest = "%d + %d = %d" % (a, b, m) if _free(r, "+", a, b) else None, ("x", m, c)
        else:
            form, m = "(%d - %d) x %d" % (a, b, c), a - b
            first, rest = "%d - %d = %d" % (a, b, m) if m > 1 and _free(r, "-", a, b) else None, ("x", m, c)
        if not first:
            continue
        op, x, y = rest
        v = numbers_task.value(op, x, y)
        second = product(r, x, y) if op == "x" else "%d %s %d = %d" % (x, op, y, v) if _free(r, op, x, y) and v >= 0 else None
        if second:
            break
    text = r.pick(["What is {}?", "Calculate {}.", "{} = ?", "How much is {}?", "{}", "Compute {}"]).format(form)
    return text, [first, second], "%s = %d" % (form, v), {"type": "number", "value": v}


def add_up(r):
    """A list of numbers, added one after the other."""
    while True:
        xs = [r.upto(1, 45) for _ in range(r.upto(3, 5))]
        lines, a = [], xs[0]
        for i, b in enumerate(xs[1:]):
            if a > 99 or not _free(r, "+", a, b):
                break
            lines.append("%d + %d = %d" % (a, b, a + b))
            a += b
        else:
            break
    said = ", ".join(map(str, xs[:-1])) + " and %d" % xs[-1]
    return r.pick(["What is the sum of {}?", "Add up {}.", "How much are {} together?", "What is the total of {}?"]).format(said), lines, "The sum is %d." % a, {"type": "number", "value": a}


def who_has_more(r):
    while True:
        a, b, c, d = r.upto(2, 12), r.upto(2, 9), r.upto(2, 12), r.upto(2, 9)
        if a * b != c * d and (x := product(r, a, b)) and (y := product(r, c, d)):
            break
    (p, q), t = people(r, 2), r.pick(numbers_task.THINGS)
    box = r.pick(["boxes", "bags", "jars", "baskets"])
    more = r.chance(0.6)
    text = "{p} has {a} {box} of {b} {t}. {q} has {c} {box} of {d} {t}. Who has {w} {t}?".format(p=p, q=q, a=a, b=b, c=c, d=d, t=t, box=box, w="more" if more else "fewer")
    m, n = a * b, c * d
    who = p if (m > n) == more else q
    lines = ["%s: %s" % (p, x), "%s: %s" % (q, y), "%d is more than %d" % (max(m, n), min(m, n))]
    return text, lines, "%s has %s %s." % (who, "more" if more else "fewer", t), {"type": "contains", "all": [who]}


RANKS = [("older", "oldest", "younger", "youngest"), ("taller", "tallest", "shorter", "shortest"), ("faster", "fastest", "slower", "slowest"), ("stronger", "strongest", "weaker", "weakest")]


def rank(r):
    """Who is the oldest: the pairs, put in a row."""
    up, top, down, low = r.pick(RANKS)
    names = people(r, r.upto(3, 4))
    pairs = list(zip(names, names[1:]))
    said = ["%s is %s than %s." % ((a, up, b) if r.chance(0.75) else (b, down, a)) for a, b in pairs]
    r.shuffle(said)
    ends = r.chance(0.5)
    text = " ".join(said) + " " + r.pick(["Who is the {w}?", "Which of them is the {w}?"]).format(w=top if ends else low)
    lines = ["%s is %s than %s" % (a, up, b) for a, b in pairs] + ["In a row: " + ", ".join(names)]
    who = names[0] if ends else names[-1]
    return text, lines, "%s is the %s." % (who, top if ends else low), {"type": "contains", "all": [who]}


PARTS = {"person": {"job": "job", "town": "home town", "pet": "pet", "petname": "name of the pet", "food": "favourite food", "age": "age", "hobby": "hobby"},
         "town": {"goods": "most famous product", "mayor": "mayor", "river": "river", "flag": "colour of the flag", "founded": "founding year", "festival": "month of the festival"}}
HOPS = [("town", "mayor", "person", "the mayor of {e}"), ("treasure", "maker", "person", "the maker of {e}"), ("person", "town", "town", "the town where {e} lives"),
        ("treasure", "kept", "town", "the town that keeps {e}"), ("town", "north", "town", "the town north of {e}"), ("town", "south", "town", "the town south of {e}"),
        ("town", "east", "town", "the town east of {e}"), ("town", "west", "town", "the town west of {e}")]


def two_facts(r):
    """A question about the closed world that takes two facts."""
    def draw():
        kind, rel, then, ref = r.pick(HOPS)
        e = r.pick([e for e, d in WORLD[kind].items() if rel in d])
        return kind, rel, then, ref, e, r.pick(list(PARTS[then]))
    kind, rel, then, ref, e, part = r.split_pick(draw, lambda d: "hop %s %s %s" % (d[1], d[4], d[5]))
    middle = WORLD[kind][e][rel]
    v = WORLD[then][middle][part]
    text = r.pick(["What is the {n} of {x}?", "Tell me the {n} of {x}.", "Which is the {n} of {x}?", "Do you know the {n} of {x}?"]).format(n=PARTS[then][part], x=ref.replace("{e}", e))
    lines = [_say(RELATIONS[(kind, rel)][1][0], e, middle), _say(RELATIONS[(then, part)][1][0], middle, v)]
    return text, [x.rstrip(".") for x in lines], "It is %s." % v, {"type": "contains", "all": [v]}


def older(r):
    """Two ages of the closed world, compared."""
    def draw():
        p, q = r.some(list(WORLD["person"]), 2)
        return p, q
    p, q = r.split_pick(draw, lambda d: "older %s %s" % tuple(sorted(d)))
    a, b = (int(WORLD["person"][x]["age"]) for x in (p, q))
    if a == b:
        return older(r)
    lines = ["%s is %d years old" % (p, a), "%s is %d years old" % (q, b), "%d is more than %d" % (max(a, b), min(a, b))]
    up = r.chance(0.6)
    who = p if (a > b) == up else q
    w = "older" if up else "younger"
    return r.pick(["Who is {w}, {p} or {q}?", "Which of the two is {w}: {p} or {q}?", "Is {p} or {q} {w}?"]).format(w=w, p=p, q=q), lines, "%s is %s." % (who, w), {"type": "contains", "all": [who]}


def letters(r):
    """The letters of a word, counted one by one."""
    w = r.split_pick(lambda: r.pick(r.pick([OBJECTS, ANIMALS, FOODS, COLOURS])) if r.chance(0.4) else coin(r).lower(), lambda w: "letters " + w)
    while " " in w or len(w) > 11:
        w = r.split_pick(lambda: coin(r).lower(), lambda w: "letters " + w)
    if r.chance(0.5):
        text, n = r.pick(["How many letters does the word {w} have?", "How many letters are in {w}?", "Count the letters of {w}."]).format(w=w), len(w)
        lines = [", ".join("%s %d" % (x, i + 1) for i, x in enumerate(w))]
        return text, lines, "The word %s has %d letters." % (w, n), {"type": "number", "value": n}
    x = r.pick(w)
    n, said = 0, []
    for y in w:
        n += x == y
        said.append("%s %d" % (y, n))
    text = r.pick(["How many times is the letter {x} in {w}?", "How often does {x} occur in the word {w}?", "Count the letter {x} in {w}."]).format(x=x, w=w)
    return text, [", ".join(said)], "The number is %d." % n, {"type": "number", "value": n}


def calendar(r):
    """Days and months, counted on or back."""
    names, unit = (DAYS, "day") if r.chance(0.7) else (MONTHS, "month")
    q = r.pick(["Today is {a}. Which day is it in {n} days?", "Today is {a}. Which day was it {n} days ago?", "Which day comes {n} days after {a}?", "What day is {n} days before {a}?"] if unit == "day" else
               ["It is {a}. Which month is it in {n} months?", "Which month is {n} months after {a}?", "Which month is {n} months before {a}?"])
    a, n, q = r.split_pick(lambda: (r.upto(0, len(names) - 1), r.upto(2, 9), q), lambda d: "calendar %s %d %s" % (names[d[0]], d[1], d[2]))
    way = -1 if "ago" in q or "before" in q else 1
    steps = [names[(a + way * i) % len(names)] for i in range(1, n + 1)]
    return q.format(a=names[a], n=n), [", ".join("%d %s" % (i + 1, d) for i, d in enumerate(steps))], "It is %s." % steps[-1] if way > 0 or "ago" not in q else "It was %s." % steps[-1], {"type": "contains", "all": [steps[-1]]}


def choose(r):
    """The numbers of a list that are larger, smaller, even or odd."""
    def draw():
        return tuple(r.some(range(100), r.upto(3, 6)))
    while True:
        xs = r.split_pick(draw, lambda d: "choose %s" % (d,))
        k = r.upto(10, 90)
        what, test = r.pick([("larger than %d" % k, lambda x: x > k), ("smaller than %d" % k, lambda x: x < k), ("even", lambda x: x % 2 == 0), ("odd", lambda x: x % 2 == 1)])
        good = [x for x in xs if test(x)]
        if good and k not in xs:
            break
    text = r.pick(["Which of these numbers are {w}: {x}?", "Pick the numbers that are {w}: {x}", "Write only the numbers that are {w}: {x}"]).format(w=what, x=", ".join(map(str, xs)))
    want = ", ".join(map(str, good))
    return text, [", ".join("%d %s" % (x, "yes" if test(x) else "no") for x in xs)], want, {"type": "exact", "value": want}


KINDS = [story, story, story, expression, expression, add_up, who_has_more, rank, rank, two_facts, two_facts, two_facts, older, letters, letters, calendar, choose]


def key_of(text):
    return "reason " + text


def problem(r, kinds=KINDS):
    """A problem on this side of the split."""
    while True:
        p = r.pick(kinds)(r)
        if held(key_of(p[0])) == r.test:
            return p


def thinking(s, opens=True):
    """A sample whose thoughts are read; `opens` tells that the prompt opens them."""
    s["think"] = opens
    return s


def under_system(r, s):
    """Thinking by the template's switch, or by a system message that asks for it."""
    m = s["messages"]
    if r.test or m[0]["role"] == "system" or r.chance(0.75):
        return thinking(s)
    s["messages"] = [{"role": "system", "content": r.pick(SYSTEMS)}] + m
    return thinking(s, False)


def reason(r, before=None):
    """A problem in one of its forms, sometimes after other turns."""
    text, lines, answer, check = problem(r)
    if not r.test and r.chance(0.12):                    # no thinking: the steps stand in the answer
        return sample("reason", chat(text, ". ".join(lines) + ". " + answer), check)
    turns = []
    if before and r.chance(0.25):
        turns = [x for x in before(r)["messages"] if x["role"] != "system"]
    elif r.chance(0.15):
        t, _, a, _ = problem(r)                          # its thoughts are gone, so nothing is learned from it
        turns = [{"role": "user", "content": t}, {"role": "assistant", "content": a, "mute": True}]
    m = turns + [{"role": "user", "content": text}, {"role": "assistant", "content": answer, "reasoning_content": "\n".join(lines)}]
    return under_system(r, sample("reason", m, check))


def said(args):
    parts = ["%s = %s" % (k, json.dumps(v, ensure_ascii=False)) for k, v in args.items()]
    return ", ".join(parts) if parts else "no arguments"


def computed(r):
    """A tool call with a number that has to be worked out first."""
    while True:
        tools = tool_task.toolbox(r)
        t = r.pick(tools)
        text, args = tool_task.request(r, t)
        fit = [k for k, v in args.items() if isinstance(v, int) and not isinstance(v, bool) and v >= 5 and text.count(str(v)) == 1]
        if not fit or t["tool"]["function"]["description"].endswith("numbers") or "numbers" in t.get("what", ""):
            continue
        k = r.pick(fit)
        v = args[k]
        a = r.upto(1, v - 1)
        if _free(r, "+", a, v - a) and held("computed %s %d %d" % (k, a, v)) == r.test:
            break
    text = text.replace(str(v), r.pick(["%d plus %d", "%d + %d"]) % (a, v - a))
    thought = "%d + %d = %d\nI call %s with %s" % (a, v - a, v, t["name"], said(args))
    m = [{"role": "user", "content": text}, {"role": "assistant", "content": "", "reasoning_content": thought, "tool_calls": [tool_task.call(t, args)]}]
    return under_system(r, sample("reason", m, {"type": "tool", "calls": [{"name": t["name"], "arguments": args}]}, [x["tool"] for x in tools]))


def price(r):
    """A tool gives the price of one; the thoughts after its result make the price of all."""
    name, param, key = r.split_pick(lambda: (r.pick(["get_price", "price_of", "lookup_price", "find_price", "item_price"]), r.pick(["item", "name", "product", "thing"]), r.pick(["price", "euros", "cost"])), lambda d: "price %s %s %s" % d)
    tool = {"type": "function", "function": {"name": name, "description": "The price of one piece", "parameters": {"type": "object", "properties": {param: {"type": "string"}}, "required": [param]}}}
    thing = r.pick(OBJECTS) if r.chance(0.5) else coin(r).lower()
    while True:
        n, p = r.upto(2, 9), r.upto(2, 40)
        if held("pieces %d %d %s" % (n, p, thing)) == r.test and (line := product(r, p, n)):
            break
    text = r.pick(["What do I pay for {n} pieces of {x}?", "I want {n} pieces of {x}. What do they cost?", "How much are {n} pieces of {x}?"]).format(n=n, x=thing)
    args = {param: thing}
    m = [{"role": "user", "content": text},
         {"role": "assistant", "content": "", "reasoning_content": "I need the price of one piece\nI call %s with %s" % (name, said(args)), "tool_calls": [{"type": "function", "function": {"name": name, "arguments": args}}]},
         {"role": "tool", "content": json.dumps({key: p})},
         {"role": "assistant", "content": "%d pieces cost %d euros." % (n, n * p), "reasoning_content": "One piece costs %d\n%s" % (p, line)}]
    if r.test and r.chance(0.5):                         # the first half alone
        return thinking(sample("reason", m[:2], {"type": "tool", "calls": [{"name": name, "arguments": args}]}, [tool]))
    return under_system(r, sample("reason", m, {"type": "contains", "all": [str(n * p)]}, [tool]))


THOUGHTS = {"order": "I look at the numbers one by one", "recall": "The user told me this before", "recall_long": "The user told me this before", "story": "The answer is in the story",
            "story_write": "The user wants a story", "world": "This is a question about the valley of Lowlark", "json": "The answer is JSON that follows the schema", "tool_result": "The tool has answered, so I tell the user",
            "copy": "I say it as it is", "change": "I do this with the words", "talk": "This is small talk", "refuse": "I cannot know this", "system": "The system message says how to answer", "mixed": "I answer the last question"}


def thought(category, m):
    """What goes through the model before an answer of another task."""
    if m.get("tool_calls"):
        return "\n".join("I call %s with %s" % (c["function"]["name"], said(c["function"]["arguments"])) for c in m["tool_calls"])
    if category == "arithmetic":
        return m["content"].split(". ")[0]
    if category == "tool_none":
        return "None of the tools does this" if m["content"] == "I have no tool for that." else "No tool is needed"
    return THOUGHTS["tool_result" if category == "tool" else category]


def think_about(r, task):
    """Any other task, with a thought before what is answered after the last message of the user."""
    s = task(r)
    m = [dict(x) for x in s["messages"]]
    last = max(i for i, x in enumerate(m) if x["role"] == "user")
    for x in m[last + 1:]:
        if x["role"] == "assistant":
            x["reasoning_content"] = thought(s["category"], x)
    s["messages"] = m
    return under_system(r, s)
