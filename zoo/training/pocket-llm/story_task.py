"""Short stories from a small machine of people, things and places, and questions about them.

The story's state (who has the thing, where it is, who helped) gives the true answers. Held out: invented and first
names (base.person) and the triple of animal, object and place.
"""
from base import an, chat, held, person, sample, two, ADJECTIVES, ANIMALS, COLOURS, DAYS, FEELINGS, FOODS, JOBS, OBJECTS, PLACES

BEINGS = ANIMALS + "dragon robot princess prince king queen wizard pirate ghost knight giant witch elf monkey elephant lion tiger penguin snail spider bee butterfly unicorn boy girl".split()
OPEN = ["One {day}, {a} went to {p1}.", "It was a cold {day} morning when {a} walked to {p1}.", "{a} the {job} lived near {p1}.", "Long ago, a {job} named {a} worked in {p1}.",
        "On {day}, {a} woke up early and walked to {p1}.", "Once upon a time there was {an_job} called {a}. Every {day} {a} went to {p1}."]
FIND = ["There {a} found {an_adj} {o}.", "Under a bench lay {an_adj} {o}. {a} picked it up.", "{a} saw {an_adj} {o} and took it home.", "In the grass {a} found {an_adj} {o}."]
LOSE = ["But on the way home {a} lost the {o} in {p2}.", "Later the {o} fell out of the bag in {p2}.", "In {p2}, {a} put the {o} down and forgot it."]
FEEL = ["{a} was very {f1}.", "This made {a} {f1}.", "{a} felt {f1} and sat down."]
HELP = ["{anm_a} named {b} came by and asked what was wrong.", "Then {b}, a friendly {anm}, came along.", "A {col} {anm} called {b} heard everything and wanted to help."]
BACK = ["{b} looked everywhere and found the {o} in {p2}.", "Together they walked to {p2} and found the {o}.", "{b} ran to {p2} and brought the {o} back."]
ANIMAL_OPEN = ["Once upon a time there was {an_adj} {anm0} called {a}. {a} lived near {p1}.", "In {p1} there lived {an_anm0} named {a}.", "One {day}, {an_adj} {anm0} named {a} came to {p1}."]
THANK = ["{a} gave {b} some {food} to say thank you.", "To thank {b}, {a} shared some {food}.", "{a} smiled and cooked {food} for {b}."]
GIVE = ["In the end {a} gave the {o} to {c}.", "{a} kept the {o} on a shelf.", "{a} gave the {o} to {c}, who had owned it all along."]
CLOSE = ["From that day on they were friends.", "That night everybody slept well.", "And {a} never forgot that {day}.", ""]


def story(r):
    """-> text, list of (question, answer, value)"""
    a, b = two(r, lambda: person(r))
    while (c := person(r)) in (a, b):
        pass
    p1, p2 = two(r, lambda: r.pick(PLACES))
    while True:
        anm, o = r.pick(ANIMALS), r.pick(OBJECTS)
        if held("story %s %s %s" % (anm, o, p2)) == r.test:
            break
    job, adj, col, food, f1, day = r.pick(JOBS), r.pick(ADJECTIVES), r.pick(COLOURS), r.pick(FOODS), r.pick(FEELINGS), r.pick(DAYS)
    w = dict(a=a, b=b, c=c, p1=p1, p2=p2, anm=anm, anm_a=an(anm).capitalize(), o=o, job=job, an_job=an(job), adj=adj, an_adj=an(adj), col=col, food=food, f1=f1, day=day)
    anm0 = r.pick(BEINGS)
    beast = r.chance(0.3)
    w.update(anm0=anm0, an_anm0=an(anm0))
    opening, give = r.pick(ANIMAL_OPEN if beast else OPEN), r.pick(GIVE)
    parts = [opening, r.pick(FIND)]
    qs = [("Who found the %s first?" % o, "%s found the %s." % (a, o), a), ("What did %s find?" % a, "%s found %s %s." % (a, an(adj), o), o),
          ("Where did %s go?" % a, "%s went to %s." % (a, p1), p1) if "went" in opening or "walked" in opening else ("Which place is near %s?" % a, "It is %s." % p1, p1)]
    if beast:
        qs.insert(2, ("What kind of animal was %s?" % a, "%s was %s." % (a, an(anm0)), anm0))
    full = r.chance(0.75)
    if full:
        parts += [r.pick(LOSE), r.pick(FEEL), r.pick(HELP), r.pick(BACK), r.pick(THANK)]
        qs += [("Where was the %s lost?" % o, "The %s was lost in %s." % (o, p2), p2), ("How did %s feel?" % a, "%s felt %s." % (a, f1), f1), ("Who helped %s?" % a, "%s helped %s." % (b, a), b),
               ("What kind of animal was %s?" % b, "%s was %s." % (b, an(anm)), anm), ("What did %s get as thanks?" % b, "%s got %s." % (b, food), food), ("Who is %s?" % b, "%s is %s." % (b, an(anm)), anm)]
    parts += [give]
    if "{c}" in give:
        qs += [("Who has the %s at the end?" % o, "%s has the %s at the end." % (c, o), c)]
    else:
        qs += [("Who has the %s at the end?" % o, "%s has the %s at the end." % (a, o), a)]
    parts.append(r.pick(CLOSE))
    if "{job}" in opening or "{an_job}" in opening:
        qs.append(("What is %s's job?" % a, "%s is %s." % (a, an(job)), job))
    if "{day}" in opening:
        qs.append(("On which day did this happen?", "It happened on %s." % day, day))
    return " ".join(x for x in parts if x).format(**w), qs


def story_question(r):
    text, qs = story(r)
    r.shuffle(qs)
    if r.chance(0.5):
        turns = [r.pick(["{s}\n\n{q}", "Read the story and answer. {s} {q}", "Story: {s}\nQuestion: {q}", "Here is a story: {s}\n{q}"]).format(s=text, q=qs[0][0]), qs[0][1]]
        last = 0
    else:
        turns = [r.pick(["Read this story: ", "Here is a story. ", "Listen to this: "]) + text, r.pick(["That is a nice story.", "I have read it. What do you want to know?", "Thank you for the story."]), qs[0][0], qs[0][1]]
        last = 0
    if not r.test:
        for q in qs[1:r.upto(1, 4)]:
            turns += [q[0], q[1]]
    return sample("story", chat(*turns), {"type": "contains", "all": [qs[last][2]]})


def write_story(r):
    """A story on request: it must hold the character and the thing asked for."""
    text, qs = story(r)
    a, o = qs[0][2], qs[1][2]
    u = r.random()
    beasts = [v for q, _, v in qs[:3] if q.startswith("What kind")]
    if beasts and r.chance(0.5):                         # a being and a thing or a place
        other = r.pick([o, qs[3][2]])
        t = "%s and %s" % (an(beasts[0]), an(other) if other == o else r.pick([other, other.replace("the ", an(other[4:])[:-len(other[4:])])]))
        q = r.pick(["Tell me a story about {t}.", "Write a short story about {t}.", "Tell me a long story about {t}.", "A story with {t}, please.", "Can you write a story about {t}?"]).format(t=t)
        return sample("story_write", chat(q, text), {"type": "contains", "all": [beasts[0], other.replace("the ", "")]})
    if beasts and r.chance(0.5):
        q = r.pick(["Tell me a short story about {t}.", "Tell me a story about {t}.", "Write a story about {t}.", "Tell me about {t} in a story.", "I want a story about {t}", "Tell a tale of {t}."]).format(t=an(beasts[0]))
        return sample("story_write", chat(q, text), {"type": "contains", "all": [beasts[0]]})
    if text.startswith(("Once upon a time", "Long ago")) and r.chance(0.4):
        return sample("story_write", chat(r.pick(["Once upon a time", "Once upon a time...", "Continue: Once upon a time", "Start a story with: Once upon a time"]) if text[0] == "O" else r.pick(["Long ago", "Long ago..."]), text), None)
    if u < 0.3:                                          # only one thing asked for
        thing = r.pick([v for _, _, v in qs[:4] if v])
        t = an(thing) if thing in OBJECTS or thing in BEINGS else thing
        q = r.pick(["Tell me a story about {t}.", "Write a short story about {t}.", "Tell me a short story about {t}.", "Can you tell me a story with {t}?", "Write a story about {t}", "A story about {t}, please."]).format(t=t)
        return sample("story_write", chat(q, text), {"type": "contains", "all": [thing]})
    q = r.pick(["Write a short story about {a} and {o}.", "Tell me a story about {a} and {o}.", "Can you tell a story with {a} and {o}?", "Please write a story about {a}, who finds {o}."]).format(a=a, o=an(o))
    if u > 0.85:
        q = r.pick(["Tell me a story.", "Tell me a short story.", "tell me a story", "A story, please.", "Story!", "Write a short story.", "Can you tell me a story?", "I would like to hear a story, please.", "Tell me another story."])
        return sample("story_write", chat(q, text), None)
    return sample("story_write", chat(q, text), {"type": "contains", "all": [a, o]})


SCENE = ["{a} is {anj}.", "{a} lives near {p1}.", "{a} owns {an_adj} {o}.", "{a} likes {food}.", "{a} has a {col} {anm}.", "{a} feels {f1} today.", "{a} goes to {p2} every {day}."]
SCENE_Q = [("What is {a}'s job?", "{a} is {anj}.", "job"), ("Where does {a} live?", "{a} lives near {p1}.", "p1"), ("What does {a} own?", "{a} owns {an_adj} {o}.", "o"), ("What does {a} like?", "{a} likes {food}.", "food"),
           ("What animal does {a} have?", "{a} has a {col} {anm}.", "anm"), ("How does {a} feel?", "{a} feels {f1}.", "f1"), ("Where does {a} go every {day}?", "{a} goes to {p2}.", "p2")]


def scene(r):
    """Facts about two or three people, told in a row; one is asked. Names must be kept apart."""
    people, used = [], set()
    while len(people) < r.upto(2, 3):
        a = person(r)
        if a not in used:
            used.add(a)
            job, adj = r.pick(JOBS), r.pick(ADJECTIVES)
            p1, p2 = two(r, lambda: r.pick(PLACES))
            people.append(dict(a=a, job=job, anj=an(job), p1=p1, p2=p2, o=r.pick(OBJECTS), adj=adj, an_adj=an(adj), food=r.pick(FOODS), col=r.pick(COLOURS), anm=r.pick(ANIMALS), f1=r.pick(FEELINGS), day=r.pick(DAYS)))
    ks = r.some(range(len(SCENE)), 3)
    lines = [SCENE[k].format(**p) for p in people for k in ks]
    if r.chance(0.5):
        r.shuffle(lines)
    text = " ".join(lines)
    turns = []
    for i in range(1 if r.test else r.upto(1, 3)):
        p, k = r.pick(people), r.pick(ks)
        q, ans, v = SCENE_Q[k]
        turns += [(text + r.pick([" ", "\n\n"]) if not i else "") + q.format(**p), ans.format(**p)]
        value = p[v]
    return sample("story", chat(*turns), {"type": "contains", "all": [value]})


def prose(r):
    """Plain lines of text: filler for long contexts."""
    t = story(r)[0]
    return t
