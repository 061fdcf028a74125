"""Remembering names and numbers that the user said, across turns and across up to about 1,700 tokens.

Held out: names and values. A test conversation tells a name or value that no training conversation holds.
"""
from base import chat, coin, held, person, sample, ANIMALS, COLOURS, FOODS, JOBS, OBJECTS, PLACES


def digits(r, n):
    return r.split_pick(lambda: "".join(r.pick("0123456789") for _ in range(n)), lambda s: "digits " + s)


def _name(r):
    n = person(r)
    return (["My name is {v}.", "I am {v}.", "Hi, I'm {v}.", "Call me {v}.", "Hello! My name is {v}, nice to meet you."],
            ["Nice to meet you, {v}.", "Hello, {v}!"],
            ["What is my name?", "What's my name?", "Do you remember my name?", "Who am I?", "Can you tell me my name?"], ["Your name is {v}."], n)


RELATIVES = "sister brother mother father friend neighbour teacher cousin aunt uncle daughter son boss".split()


def _relative(r):
    k = r.pick(RELATIVES)
    return (["My %s is called {v}." % k, "My %s's name is {v}." % k, "I have a %s named {v}." % k], ["{v} is a nice name.", "I will remember {v}."],
            ["What is my %s's name?" % k, "What is my %s called?" % k, "Do you remember the name of my %s?" % k], ["Your %s is called {v}." % k], person(r))


def _pet(r):
    k = r.pick(ANIMALS)
    return (["My %s is called {v}." % k, "I have a %s named {v}." % k], ["{v} sounds lovely.", "I will remember {v}."],
            ["What is my %s called?" % k, "What is the name of my %s?" % k], ["Your %s is called {v}." % k], coin(r))


def _code(r):
    k = r.pick(["door", "safe", "gate", "locker", "bike", "ticket", "parcel", "room"] + ["%s %s" % (c, o) for c in COLOURS[:6] for o in ("door", "box", "safe", "locker")])
    return (["The code of the %s is {v}." % k, "Remember this: the %s has the code {v}." % k, "The number of the %s is {v}." % k, "Please remember the code {v} for the %s." % k],
            ["I will remember it.", "The code of the %s is {v}. Got it." % k],
            ["What is the code of the %s?" % k, "What was the code of the %s?" % k, "Which number did I give you for the %s?" % k, "Tell me the code of the %s." % k],
            ["The code of the %s is {v}." % k], digits(r, r.upto(2, 6)))


def _phone(r):
    p = person(r)
    return (["%s's phone number is {v}." % p, "The phone number of %s is {v}." % p], ["Noted.", "I will remember it."],
            ["What is %s's phone number?" % p, "What is the phone number of %s?" % p, "How can I call %s?" % p], ["%s's phone number is {v}." % p], digits(r, r.upto(4, 7)))


def _place(r):
    while True:
        o, v = r.pick(OBJECTS), r.pick(PLACES)
        if held("place %s %s" % (o, v)) == r.test:
            break
    return (["I left my %s in {v}." % o, "My %s is in {v}." % o, "I put the %s in {v}." % o], ["I will remember that.", "Your %s is in {v}." % o],
            ["Where is my %s?" % o, "Where did I leave my %s?" % o], ["Your %s is in {v}." % o], v)


def _taste(r):
    while True:
        kind, pool = r.pick([("colour", COLOURS), ("food", FOODS)])
        v = r.pick(pool)
        w = r.pick(["My favourite %s is {v}.", "The %s I like best is {v}."]) % kind
        if held("taste " + w + v) == r.test:
            break
    return ([w], ["Good choice.", "I like {v} too."], ["What is my favourite %s?" % kind, "Which %s do I like best?" % kind], ["Your favourite %s is {v}." % kind], v)


def _job(r):
    while True:
        v, w = r.pick(JOBS), r.pick(["I work as a {v}.", "I am a {v}.", "My job is {v}."])
        if held("myjob " + w + v) == r.test:
            break
    return ([w], ["That sounds interesting."], ["What is my job?", "What do I do for work?"], ["You work as a {v}."], v)


def _plan(r):
    d, p = r.pick("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()), person(r)
    return (["On %s I meet {v}." % d, "I am going to see {v} on %s." % d], ["Have a good time."],
            ["Whom do I meet on %s?" % d, "Who will I see on %s?" % d], ["On %s you meet {v}." % d], p)


KINDS = [_name, _name, _relative, _relative, _pet, _code, _code, _code, _phone, _phone, _place, _taste, _job, _plan]


def fact(r):
    tell, ack, ask, answer, v = r.pick(KINDS)(r)
    return [r.pick(x).replace("{v}", v) for x in (tell, ack, ask, answer)] + [v]


def facts(r, n):
    """n facts whose questions differ."""
    out, seen = [], set()
    while len(out) < n:
        f = fact(r)
        key = f[3].replace(f[4], "")
        if key not in seen:
            seen.add(key)
            out.append(f)
    return out


NOT_TOLD = [("What is my name?", "You have not told me your name."), ("What is the code of the {x}?", "You have not told me the code of the {x}."),
            ("What is my favourite colour?", "You have not told me your favourite colour."), ("Where is my {x}?", "You have not told me where your {x} is."),
            ("How old am I?", "You have not told me how old you are."), ("What is my sister's name?", "You have not told me your sister's name.")]


def not_told(r):
    q, a = r.pick(NOT_TOLD)
    x = r.split_pick(lambda: r.pick(OBJECTS), lambda o: "nottold " + o)
    return sample("refuse", chat(q.replace("{x}", x), a.replace("{x}", x)), {"type": "refuse"})


def conversation(r, filler, length):
    """Facts told among other turns, asked at the end. `length` is about the tokens of what lies between."""
    n = r.upto(1, 3)
    told = facts(r, n)
    turns = []
    if n > 1 and r.chance(0.4):
        turns += [" ".join(f[0] for f in told), r.pick(["I will remember all of it.", "Noted, thank you for telling me."])]
        told_in_one = True
    else:
        told_in_one = False
        turns += [told[0][0], told[0][1]]
    size, k = 0, 1
    while size < length or (not told_in_one and k < n):
        if not told_in_one and k < n and (size >= length * k / n or r.chance(0.1)):
            turns += [told[k][0], told[k][1]]
            k += 1
            continue
        t = [m["content"] for m in filler(r)]
        turns += t
        size += sum(len(x) for x in t) / 3.7 + 8 * len(t)
    r.shuffle(told)
    for f in told[:1 if r.test else n]:
        turns += [f[2], f[3]]
        if not r.test and r.chance(0.3) and length > 100:
            turns += [m["content"] for m in filler(r)]
    f = told[0]
    if r.test:
        turns = turns[:len(turns)]
    return sample("recall_long" if length > 300 else "recall", chat(*turns), {"type": "contains", "all": [f[4]]})


def needles(r, filler, length):
    """Facts inside one long text of the user, asked in the same message or in the next one."""
    n = r.upto(1, 4)
    told = facts(r, n)
    lines, size = [], 0
    while size < length:
        t = filler(r)
        lines.append(t)
        size += len(t) / 3.7
    for f in told:
        lines.insert(r.upto(0, len(lines)), f[0])
    f = told[0]
    body = " ".join(lines) if r.chance(0.5) else "\n".join(lines)
    if r.chance(0.5):
        turns = [r.pick(["Read this and answer the question at the end.\n\n", "Here is a text.\n\n", ""]) + body + "\n\n" + f[2], f[3]]
    else:
        turns = [r.pick(["Read this: ", "Here is a text. I will ask you about it.\n\n"]) + body, r.pick(["I have read it.", "What do you want to know?"]), f[2], f[3]]
    if not r.test:
        for g in told[1:]:
            turns += [g[2], g[3]]
    return sample("recall_long" if length > 300 else "recall", chat(*turns), {"type": "contains", "all": [f[4]]})
