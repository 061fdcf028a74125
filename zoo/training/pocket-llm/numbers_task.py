"""Arithmetic up to two digits, comparing, ordering and counting.

Held out: one pair of operands in ten for + and -, whatever the wording; for x and : the commuted partner of a trained
pair (7 x 8 is trained, 8 x 7 is asked), since a table can only be known; for two digits times one digit, one pair in
ten. Longer sums (x with two digits) write their steps, so that the answer can be computed and not only remembered.
"""
from base import chat, held, person, sample, NUMBER_WORDS, OBJECTS


def _open(op, a, b, test):
    """Whether a pair belongs to this split. A table pair is held out only if its partner is trained."""
    if op in "+-":
        return held("%d%s%d" % (a, op, b)) == test
    if op == "x":
        if a == b:
            return not test
        first = held("table %d %d" % (min(a, b), max(a, b)))
        second = held("order %d %d" % (min(a, b), max(a, b)))
        out = first and ((a < b) == second)
        return out == test
    return held("%d%s%d" % (a, op, b)) == test


def operands(r, op):
    while True:
        if op == "+":
            a, b = r.upto(0, 99), r.upto(0, 99)
        elif op == "-":
            a, b = r.upto(0, 99), r.upto(0, 99)
            if a < b and r.random() < 0.6:
                a, b = b, a
        elif op in "x:":
            a, b = r.upto(0, 12), r.upto(0, 12)
            if op == ":":                                # the pair with its wording is held out, see sum_
                if b:
                    return a, b
                continue
        else:
            a, b = r.upto(13, 99), r.upto(2, 9)
        if _open(op, a, b, r.test):
            return a, b


ASK = {
    "+": ["What is {a} + {b}?", "{a} + {b} =", "{a}+{b}", "Add {a} and {b}.", "What is {a} plus {b}?", "Calculate {a} + {b}.", "How much is {a} plus {b}?", "What's {a} + {b}?", "Please compute {a} + {b}.", "sum of {a} and {b}", "{a}+{b}=?", "What do I get when I add {a} and {b}?", "Compute {a}+{b}", "{a} plus {b}", "What is the sum of {a} and {b}?", "Can you add {a} and {b} for me?", "{a} + {b} = ?", "what is {a}+{b}"],
    "-": ["What is {a} - {b}?", "{a} - {b} =", "{a}-{b}", "Subtract {b} from {a}.", "What is {a} minus {b}?", "Calculate {a} - {b}.", "How much is {a} minus {b}?", "What's {a} - {b}?", "Please compute {a} - {b}.", "Take {b} away from {a}.", "Compute {a}-{b}", "{a} minus {b}", "What is the difference between {a} and {b}?", "{a} - {b} = ?", "What remains of {a} when I take away {b}?", "what is {a}-{b}"],
    "x": ["What is {a} x {b}?", "{a} * {b} =", "{a}*{b}", "Multiply {a} by {b}.", "What is {a} times {b}?", "Calculate {a} * {b}.", "How much is {a} times {b}?", "What's {a} x {b}?", "{a} × {b}", "{a} times {b}", "What is {a} multiplied by {b}?", "What is {a} * {b}?", "What is the product of {a} and {b}?", "what is {a}*{b}"],
    ":": ["What is {a} / {b}?", "{a} / {b} =", "Divide {a} by {b}.", "What is {a} divided by {b}?", "Calculate {a} / {b}.", "{a} ÷ {b}", "{a}/{b}", "How much is {a} divided by {b}?", "{a} divided by {b}"],
    "X": ["What is {a} x {b}?", "{a} * {b} =", "{a}*{b}", "Multiply {a} by {b}.", "What is {a} times {b}?", "Calculate {a} * {b}.", "{a} times {b}", "What is {a} * {b}?", "What is {a} multiplied by {b}?"],
}
SIGN = {"+": "+", "-": "-", "x": "x", ":": "/", "X": "x"}


def value(op, a, b):
    return a + b if op == "+" else a - b if op == "-" else a * b


def sum_(r):
    op = "+" if (u := r.random()) < 0.36 else "-" if u < 0.72 else "x" if u < 0.83 else ":" if u < 0.91 else "X"
    a, b = operands(r, op)
    if op == ":":
        a, v = a * b, a
    else:
        v = value(op, a, b)
    q = r.pick(ASK[op])
    while op == ":" and held("divide %d %d %s" % (a, b, q)) != r.test:
        (a, b), q = operands(r, op), r.pick(ASK[op])
        a, v = a * b, a
    if op in "+-x" and a <= 20 and b <= 20 and r.random() < 0.25 and " {a} " in q:
        q = q.format(a=NUMBER_WORDS[a], b=NUMBER_WORDS[b])
    else:
        q = q.format(a=a, b=b)
    if op == "X":
        t, o = a // 10 * 10, a % 10
        answer = "%d x %d = %d + %d = %d" % (a, b, t * b, o * b, v)
    else:
        answer = "%d %s %d = %d" % (a, SIGN[op], b, v)
    return sample("arithmetic", chat(q, answer), {"type": "number", "value": v})


THINGS = "apples coins books shells eggs marbles stamps cards pencils nuts cookies candles flowers stones buttons".split()
GAIN = ["{p} has {a} {t} and gets {b} more. How many {t} does {p} have now?", "{p} finds {a} {t} in the morning and {b} in the evening. How many {t} is that?",
        "There are {a} {t} in one box and {b} in another. How many {t} are there altogether?", "{p} had {a} {t}. {q} gave {p} {b} more. How many does {p} have?"]
LOSE = ["{p} has {a} {t} and gives {b} to {q}. How many {t} are left?", "There were {a} {t} on the table. {p} took {b}. How many remain?",
        "{p} had {a} {t} and lost {b}. How many {t} does {p} still have?", "Out of {a} {t}, {b} are broken. How many {t} are good?"]


def word_problem(r):
    p, q, t = person(r), person(r), r.pick(THINGS)
    if r.random() < 0.5:
        a, b = operands(r, "+")
        text, v, s = r.pick(GAIN), a + b, "+"
    else:
        a, b = operands(r, "-")
        while b > a:
            a, b = operands(r, "-")
        text, v, s = r.pick(LOSE), a - b, "-"
    return sample("arithmetic", chat(text.format(p=p, q=q, t=t, a=a, b=b), "%d %s %d = %d. The answer is %d." % (a, s, b, v, v)),
                  {"type": "number", "value": v})


def chain(r):
    """Three numbers, one step at a time; each step's pair is on this side of the split."""
    while True:
        a, b, c = r.upto(1, 60), r.upto(1, 39), r.upto(1, 39)
        o1, o2 = r.pick("+-"), r.pick("+-")
        m = value(o1, a, b)
        if 0 <= m <= 99 and 0 <= (v := value(o2, m, c)) <= 99 and _open(o1, a, b, r.test) and (r.test or _open(o2, m, c, False)):
            break
    q = r.pick(["What is {}?", "{} =", "Calculate {}."]).format("%d %s %d %s %d" % (a, o1, b, o2, c))
    return sample("arithmetic", chat(q, "%d %s %d = %d, then %d %s %d = %d" % (a, o1, b, m, m, o2, c, v)), {"type": "number", "value": v})


def compare(r):
    a, b = r.split_pick(lambda: (r.upto(0, 99), r.upto(0, 99)), lambda p: "compare %d %d" % p)
    if a == b:
        b = (a + 1) % 100
    big = r.chance(0.5)
    q = r.pick(["Which is {w}, {a} or {b}?", "Which number is {w}: {a} or {b}?", "Is {a} or {b} {w}?"]).format(w="larger" if big else "smaller", a=a, b=b)
    v = max(a, b) if big else min(a, b)
    return sample("order", chat(q, "%d is %s." % (v, "larger" if big else "smaller")), {"type": "contains_first", "value": str(v)})


def order(r):
    xs = r.split_pick(lambda: tuple(r.some(range(100), r.upto(3, 4))), lambda p: "order %s" % (p,))
    up = r.chance(0.7)
    ask = r.pick(["Sort these numbers{d}: {x}", "Put these numbers in order{d}: {x}"]).format(d="" if up and r.chance(0.5) else " from small to large" if up else " from large to small", x=", ".join(map(str, xs)))
    want = ", ".join(map(str, sorted(xs, reverse=not up)))
    return sample("order", chat(ask, want), {"type": "exact", "value": want})


def count(r):
    things = r.split_pick(lambda: tuple(r.some(OBJECTS, r.upto(2, 7))), lambda p: "count " + ",".join(p))
    n = len(things)
    return sample("order", chat("How many words are in this list: %s?" % ", ".join(things), "There are %s words." % NUMBER_WORDS[n]),
                  {"type": "contains", "all": [NUMBER_WORDS[n]]})


def count_up(r):
    """Counting from one number to another, up or down."""
    a, b = r.split_pick(lambda: (r.upto(0, 80), r.upto(3, 20)), lambda p: "count from %d by %d" % p)
    if r.chance(0.4):
        a = 1
        b = r.split_pick(lambda: r.upto(2, 60) if r.chance(0.3) else r.upto(2, 20), lambda n: "count to %d" % n) - 1
    xs = list(range(a, a + b + 1))
    if r.chance(0.15):
        xs.reverse()
    q = r.pick(["Count from {a} to {b}.", "Count from {a} to {b}", "Can you count from {a} to {b}?", "Write the numbers from {a} to {b}.", "List the numbers from {a} to {b}."])
    if xs[0] == 1 and r.chance(0.4):
        q = r.pick(["Count to {b}.", "Can you count to {b}?", "Count to {w}.", "Count up to {b}"]).replace("{w}", NUMBER_WORDS[xs[-1]] if xs[-1] <= 20 else str(xs[-1]))
    want = ", ".join(map(str, xs))
    return sample("order", chat(q.format(a=xs[0], b=xs[-1]), want), {"type": "exact", "value": want})


def next_number(r):
    a, d = r.split_pick(lambda: (r.upto(0, 60), r.upto(1, 9)), lambda p: "series %d %d" % p)
    n = r.upto(3, 4)
    xs = [a + d * i for i in range(n + 1)]
    return sample("order", chat(r.pick(["What comes next: {}?", "Continue the series {}"]).format(", ".join(map(str, xs[:-1]))), str(xs[-1])), {"type": "number", "value": xs[-1]})
