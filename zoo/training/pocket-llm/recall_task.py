"""Remembering names and numbers that the user said, across turns and across up to about 1,700 tokens.

Held out: names and values. A test conversation tells a name or value that no training conversation holds.
"""
from base import (chat, city, coin, held, person, phrase, sample, ADJECTIVES, ANIMALS, CITIES, COLOURS, DAYS, FEELINGS, FOODS, JOBS,
                  MONTHS, OBJECTS, PLACES)


def digits(r, n):
    return r.split_pick(lambda: "".join(r.pick("0123456789") for _ in range(n)), lambda s: "digits " + s)


def _name(r):
    n = person(r)
    return (["My name is {v}.", "I am {v}.", "Hi, I'm {v}.", "Call me {v}.", "Hello! My name is {v}, nice to meet you."],
            ["Nice to meet you, {v}.", "Hello, {v}!"],
            ["What is my name?", "What's my name?", "Do you remember my name?", "Who am I?", "Can you tell me my name?", "What did I say my name was?", "what is my name", "Say my name.", "So, what was my name again?"], ["Your name is {v}."], n)


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
        kind, pool = r.pick([("colour", COLOURS), ("color", COLOURS), ("food", FOODS), ("animal", ANIMALS)])
        v = r.pick(pool)
        w = r.pick(["My favourite %s is {v}.", "My favorite %s is {v}.", "The %s I like best is {v}."]) % kind
        if held("taste " + w + v) == r.test:
            break
    return ([w], ["Good choice.", "I like {v} too."], ["What is my favourite %s?" % kind, "What is my favorite %s?" % kind, "What's my favorite %s?" % kind, "Which %s do I like best?" % kind], [("Your favorite %s is {v}." if "favorite" in w else "Your favourite %s is {v}.") % kind], v)


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


SECRETS = ["password", "secret word", "code word", "magic word", "key word"]


def _secret(r):
    k = r.pick(SECRETS)
    v = r.pick([coin, lambda r: r.split_pick(lambda: r.pick(r.pick([OBJECTS, ANIMALS, FOODS])), lambda w: "secret " + w), phrase])(r)
    v = v.lower() if r.chance(0.5) else v
    return (["The %s is {v}." % k, "Remember the %s: {v}." % k, "Please remember this %s: {v}" % k, "My %s is {v}." % k], ["I will remember the %s." % k, "Noted."],
            ["What is the %s?" % k, "What was the %s?" % k, "Tell me the %s." % k, "Which %s did I tell you?" % k, "Do you remember the %s?" % k], ["The %s is {v}." % k], v)


def _number(r):
    k = r.pick(["lucky number", "favourite number", "favorite number", "house number", "seat number", "ticket number", "order number", "secret number", "number"])
    return (["My %s is {v}." % k, "Remember my %s: {v}." % k, "Remember that my %s is {v}." % k], ["I will remember your %s." % k, "Noted."],
            ["What is my %s?" % k, "What was my %s?" % k, "Tell me my %s." % k, "Which %s did I give you?" % k], ["Your %s is {v}." % k], digits(r, r.upto(2, 5)))


def _home(r):
    return (["I live in {v}.", "My home is in {v}.", "I am from {v}.", "I come from {v}."], ["{v} sounds nice.", "I will remember that."],
            ["Where do I live?", "Which city do I live in?", "Where is my home?", "Where am I from?"], ["You live in {v}."], city(r))


def _own(r):
    """Any thing with any value: the general case."""
    k = r.split_pick(lambda: r.pick([r.pick(ADJECTIVES) + " ", r.pick(COLOURS) + " ", ""]) + r.pick(OBJECTS + ANIMALS + ["project", "team", "ship", "horse", "plan", "car", "robot", "planet", "street", "shop", "book"]), lambda k: "own " + k)
    w = r.pick(["name", "number", "owner", "price", "colour", "weight", "maker", "age", "address", "title", "date"])
    v = {"name": coin, "owner": person, "maker": person, "address": city, "title": phrase, "colour": lambda r: r.pick(COLOURS),
         "date": lambda r: "%d %s" % (r.upto(1, 28), r.pick(MONTHS))}.get(w, lambda r: digits(r, r.upto(2, 4)))(r)
    if w in ("colour", "date") and r.test:               # too few values to hold some out
        return _own(r)
    return (["The %s of the %s is {v}." % (w, k), "Remember: the %s of the %s is {v}." % (w, k), "Note that the %s's %s is {v}." % (k, w)], ["Noted.", "I will remember that."],
            ["What is the %s of the %s?" % (w, k), "What is the %s's %s?" % (k, w), "Tell me the %s of the %s." % (w, k)], ["The %s of the %s is {v}." % (w, k)], v)


def _date(r):
    k = r.pick(["birthday", "holiday", "exam", "wedding", "appointment", "flight", "party", "meeting"])
    v = r.split_pick(lambda: r.pick(["%d %s" % (r.upto(1, 28), r.pick(MONTHS)), "%s %d" % (r.pick(MONTHS), r.upto(1, 28)), "%02d:%02d" % (r.upto(0, 23), r.upto(0, 59))]), lambda v: "date " + v)
    on = "at" if ":" in v else "on"
    return (["My %s is %s {v}." % (k, on), "Remember that my %s is %s {v}." % (k, on)], ["Noted.", "I will remember your %s." % k],
            ["When is my %s?" % k, "Do you remember when my %s is?" % k], ["Your %s is %s {v}." % (k, on)], v)


def _asked(r):
    w, v = r.pick([("number", digits(r, r.upto(2, 6))), ("name", person(r)), ("word", coin(r).lower()), ("word", r.split_pick(lambda: r.pick(r.pick([OBJECTS, ANIMALS, FOODS])), lambda w: "secret " + w)), ("code", digits(r, r.upto(3, 6))), ("city", city(r))])
    return (["Remember the %s {v}." % w, "Please remember the %s {v}." % w, "Remember this %s: {v}" % w, "Keep the %s {v} in mind." % w], ["I will remember it.", "I will remember the %s {v}." % w, "Noted."],
            ["Which %s did I ask you to remember?" % w, "What was the %s?" % w, "Which %s should you remember?" % w, "What %s did I tell you?" % w, "Tell me the %s." % w], ["The %s is {v}." % w], v)


KINDS = [_asked, _asked, _own, _own, _own, _secret, _secret, _number, _number, _home, _date, _name, _name, _relative, _relative, _pet, _code, _code, _code, _phone, _phone, _place, _taste, _job, _plan]


def fact(r):
    tell, ack, ask, answer, v = r.pick(KINDS)(r)
    f = [r.pick(x).replace("{v}", v) for x in (tell, ack, ask, answer)] + [v]
    if f[0][-1] == "." and ":" not in f[0] and r.chance(0.12):
        f[0] = f[0][:-1] + r.pick(TAILS).format(f=r.pick(FEELINGS), food=r.pick(FOODS), anm=r.pick(ANIMALS), d=r.pick(DAYS), c=r.pick(CITIES))
    return f


TAILS = [" and I am {f}.", " and I like {food}.", " and I have a {anm}.", " and today is {d}.", ", by the way.", " and I like to read."]


def joined(r, told):
    """Several facts in one message: sentence after sentence, or with `and`; sometimes with a tail that nobody asks for."""
    if r.chance(0.5):
        return " ".join(f[0] for f in told)
    parts = [f[0].rstrip(".") for f in told]
    parts = [parts[0]] + [p if p.startswith("I ") or p.startswith("I'm") or ":" in p or p[:2] in ("Hi", "He") or not p.split(" ")[0].split("'")[0] in LOWER else p[0].lower() + p[1:] for p in parts[1:]]
    return " and ".join(parts) + "."


LOWER = {"My", "The", "Remember", "Please", "Note", "On", "Call", "Keep"}


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
        turns += [joined(r, told), r.pick(["I will remember all of it.", "Noted, thank you for telling me."])]
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
