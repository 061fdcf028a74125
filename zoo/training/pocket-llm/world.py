"""The closed world: the valley of Lowlark, its towns, people, beasts and treasures, and questions about them.

The world is fixed (one seed, never changed). All facts are in training; what is held out is the pair of a fact and a
wording: a test question asks a fact in words in which that fact was never asked in training.
"""
import random
from base import an, chat, coin, held, sample, COLOURS, FOODS, JOBS, MONTHS

VALLEY = "Lowlark"
TOWNS = ("Torvane Kelmoor Brindle Ashwick Dunmere Fallowby Greyhaven Hollin Istermouth Jarrowdale "
         "Larkspur Mossgate Northwell Oakley Pellham Quillon Rushford Saltby Thornbury Umberley").split()
RIVERS = "Tamber Silverrun Wend Coldwater Ister".split()
GOODS = ("bread cheese glass boats clocks honey wool pottery apples lamps bells carpets tea salt paper "
         "violins candles boots maps pears").split()
PEOPLE = ("Aldo Berta Casper Delia Edmund Fiora Gregor Hilda Ingram Juno Kasimir Lorna Matthis Nessa Orlin Perla "
          "Quentin Rosalind Silas Tamsin Ulric Viola Wilmot Xenia Yorick Zelda Ambrose Briony Cedric Dorothea "
          "Ephraim Flora Gideon Harriet Ignatius Jocasta Kester Leonora Mortimer Nerissa").split()
PETS = "cat dog parrot rabbit tortoise pony goat goose hedgehog ferret".split()
PET_NAMES = ("Pip Socks Biscuit Thunder Pebble Mittens Rusty Clover Shadow Button Pepper Nutmeg Bramble Comet Daisy Echo "
             "Fudge Ginger Hazel Inky Jasper Kipper Lucky Muffin Noodle Olive Patch Quincy Rocket Sunny Tulip Umber "
             "Velvet Waffle Yoyo Ziggy Acorn Bubbles Crumpet Dumpling").split()
HOBBIES = "chess singing swimming painting fishing dancing cycling baking juggling reading gardening stargazing".split()
BEASTS = "glimmer fox,stone otter,moon hare,river goat,ember owl,mist deer,thistle bear,copper toad".split(",")
HOMES = "the high caves,the reed beds,the old orchards,the northern cliffs,the deep forest,the hot springs,the salt marsh,the hollow hills".split(",")
TREASURES = "the Copper Bell,the Glass Crown,the Winter Lamp,the Long Spoon,the Silver Map,the Singing Stone,the Blue Anchor,the Paper Sword".split(",")
ROWS, COLUMNS = 4, 5


def _build():
    r = random.Random(20770401)
    towns, people, beasts, treasures = {}, {}, {}, {}
    order = TOWNS[:]
    r.shuffle(order)
    goods, mayors = GOODS[:], PEOPLE[:]
    r.shuffle(goods)
    r.shuffle(mayors)
    for i, t in enumerate(order):
        towns[t] = {"goods": goods[i], "mayor": mayors[i], "river": RIVERS[i % COLUMNS], "flag": r.choice(COLOURS),
                    "founded": str(r.randrange(1102, 1898)), "festival": r.choice(MONTHS)}
        row, col = divmod(i, COLUMNS)
        if row > 0:
            towns[t]["north"] = order[i - COLUMNS]
        if row < ROWS - 1:
            towns[t]["south"] = order[i + COLUMNS]
        if col > 0:
            towns[t]["west"] = order[i - 1]
        if col < COLUMNS - 1:
            towns[t]["east"] = order[i + 1]
    pets = PET_NAMES[:]
    r.shuffle(pets)
    for i, p in enumerate(PEOPLE):
        people[p] = {"job": JOBS[(i * 7) % len(JOBS)], "town": r.choice(TOWNS), "pet": r.choice(PETS), "petname": pets[i],
                     "food": r.choice(FOODS), "age": str(r.randrange(19, 90)), "hobby": r.choice(HOBBIES)}
    for t in towns:
        people[towns[t]["mayor"]]["town"] = t
    for i, b in enumerate(BEASTS):
        beasts[b] = {"colour": r.choice(COLOURS), "eats": r.choice(FOODS), "home": HOMES[i]}
    keepers = TOWNS[:]
    r.shuffle(keepers)
    for i, t in enumerate(TREASURES):
        treasures[t] = {"kept": keepers[i], "maker": PEOPLE[(i * 11 + 3) % len(PEOPLE)]}
    return {"town": towns, "person": people, "beast": beasts, "treasure": treasures}


WORLD = _build()

# kind, relation: questions ({e} is the entity), statements ({e}, {v})
RELATIONS = {
    ("town", "goods"): (["What is {e} known for?", "What do they make in {e}?", "Which goods come from {e}?", "What does the town of {e} sell?", "Tell me what {e} is famous for."],
                        ["{e} is known for its {v}.", "{e} is famous for {v}."]),
    ("town", "mayor"): (["Who is the mayor of {e}?", "What is the name of {e}'s mayor?", "Who leads the town of {e}?", "Tell me the mayor of {e}.", "{e} has a mayor. Who is it?"],
                        ["The mayor of {e} is {v}.", "{v} is the mayor of {e}."]),
    ("town", "river"): (["Which river flows through {e}?", "What is the river in {e} called?", "On which river is {e}?", "Name the river of {e}.", "What river would I see in {e}?"],
                        ["The river {v} flows through {e}.", "{e} lies on the river {v}."]),
    ("town", "flag"): (["What colour is the flag of {e}?", "Which colour does {e}'s flag have?", "Describe the flag of {e}.", "What is the flag colour of {e}?"],
                       ["The flag of {e} is {v}.", "{e} has a {v} flag."]),
    ("town", "founded"): (["When was {e} founded?", "In which year was {e} founded?", "How old is the town of {e}?", "What year was {e} built?"],
                          ["{e} was founded in {v}."]),
    ("town", "festival"): (["When is the festival of {e}?", "In which month is {e}'s festival?", "When do people in {e} hold their festival?", "What month is the festival in {e}?"],
                           ["The festival of {e} is in {v}.", "{e} holds its festival in {v}."]),
    ("town", "north"): (["Which town is north of {e}?", "What lies north of {e}?", "If I walk north from {e}, where do I get?"], ["North of {e} lies {v}."]),
    ("town", "south"): (["Which town is south of {e}?", "What lies south of {e}?", "If I walk south from {e}, where do I get?"], ["South of {e} lies {v}."]),
    ("town", "east"): (["Which town is east of {e}?", "What lies east of {e}?", "If I walk east from {e}, where do I get?"], ["East of {e} lies {v}."]),
    ("town", "west"): (["Which town is west of {e}?", "What lies west of {e}?", "If I walk west from {e}, where do I get?"], ["West of {e} lies {v}."]),
    ("person", "job"): (["What is {e}'s job?", "What does {e} do for a living?", "What work does {e} do?", "Tell me {e}'s profession.", "Which job does {e} have?"],
                        ["{e} works as a {v}.", "{e} is a {v}."]),
    ("person", "town"): (["Where does {e} live?", "In which town does {e} live?", "Which town is {e}'s home?", "What town is {e} from?", "Where is {e}'s house?"],
                         ["{e} lives in {v}.", "{e}'s home is in {v}."]),
    ("person", "pet"): (["What pet does {e} have?", "Which animal does {e} keep?", "What kind of pet does {e} own?", "Does {e} have a pet?"],
                        ["{e} has a {v}.", "{e} keeps a {v}."]),
    ("person", "petname"): (["What is {e}'s pet called?", "What is the name of {e}'s pet?", "How does {e} call the pet?", "Name the pet of {e}."],
                            ["{e}'s pet is called {v}.", "The pet of {e} is named {v}."]),
    ("person", "food"): (["What does {e} like to eat?", "What is {e}'s favourite food?", "Which food does {e} like best?", "What should I cook for {e}?"],
                         ["{e} likes {v}.", "{e}'s favourite food is {v}."]),
    ("person", "age"): (["How old is {e}?", "What is {e}'s age?", "Tell me the age of {e}.", "How many years old is {e}?"],
                        ["{e} is {v} years old."]),
    ("person", "hobby"): (["What is {e}'s hobby?", "What does {e} do for fun?", "What does {e} enjoy in the evening?", "Which hobby does {e} have?"],
                          ["{e}'s hobby is {v}.", "{e} enjoys {v}."]),
    ("beast", "colour"): (["What colour is the {e}?", "Which colour does the {e} have?", "Describe the colour of the {e}."], ["The {e} is {v}."]),
    ("beast", "eats"): (["What does the {e} eat?", "What is the food of the {e}?", "What should I feed a {e}?"], ["The {e} eats {v}."]),
    ("beast", "home"): (["Where does the {e} live?", "Where can I find the {e}?", "What is the home of the {e}?"], ["The {e} lives in {v}."]),
    ("treasure", "kept"): (["Where is {e} kept?", "In which town is {e}?", "Which town keeps {e}?"], ["{E} is kept in {v}."]),
    ("treasure", "maker"): (["Who made {e}?", "Who is the maker of {e}?", "Which person made {e}?"], ["{E} was made by {v}.", "{v} made {e}."]),
}
REVERSE = {
    ("town", "goods"): ["Which town is known for its {v}?", "Where does the best {v} of the valley come from?", "Where do they make {v}?"],
    ("town", "mayor"): ["Which town has {v} as its mayor?", "Of which town is {v} the mayor?", "{v} is a mayor. Of which town?"],
    ("person", "petname"): ["Who has a pet called {v}?", "Whose pet is named {v}?", "Who is the owner of {v}?"],
    ("beast", "home"): ["Which beast lives in {v}?", "What lives in {v}?"],
}
FACTS = [(kind, rel, e, v) for kind in WORLD for e, d in WORLD[kind].items() for rel, v in d.items()]
BACK = [f for f in FACTS if (f[0], f[1]) in REVERSE]


def _say(text, e, v):
    return text.replace("{e}", e).replace("{E}", e[0].upper() + e[1:]).replace("{v}", v).replace(" a a", " an a").replace(" a e", " an e").replace(" a o", " an o")


def fact(r):
    """One question about the world, with its answer."""
    def draw():
        if r.random() < 0.15:
            f = r.pick(BACK)
            q = r.pick(REVERSE[f[:2]])
            return f, q, f[2]
        f = r.pick(FACTS)
        return f, r.pick(RELATIONS[f[:2]][0]), f[3]
    f, q, want = r.split_pick(draw, lambda d: "fact %s|%s|%s|%s" % (d[0][0], d[0][1], d[0][2], d[1]))
    kind, rel, e, v = f
    text = _say(q, e, v)
    if not r.test and r.random() < 0.12:
        text = text.rstrip("?.") if r.chance(0.5) else text[0].lower() + text[1:]
    if r.random() < 0.15:
        text = r.pick(["In Lowlark: ", "A question about Lowlark. ", "Tell me, please. ", "I am visiting the valley. "]) + text
    answers = RELATIONS[(kind, rel)][1]
    answer = _say(answers[0] if r.test or r.random() < 0.8 else r.pick(answers), e, v)
    return sample("world", chat(text, answer), {"type": "contains", "all": [want]})


def about(r):
    """A short paragraph on a town or person of the world."""
    kind = r.pick(["town", "person"])
    e = r.pick(list(WORLD[kind]))
    rels = r.some([k for k in WORLD[kind][e] if k not in ("north", "south", "east", "west")], 4)
    text = " ".join(_say(RELATIONS[(kind, k)][1][0], e, WORLD[kind][e][k]) for k in rels)
    q = r.pick(["Tell me about {e}.", "What do you know about {e}?", "Describe {e}.", "Who or what is {e}?"])
    lead = "{e} is a town in the valley of Lowlark. " if kind == "town" else "{e} is a person from the valley of Lowlark. "
    return sample("world", chat(_say(q, e, ""), _say(lead, e, "") + text), {"type": "contains", "all": [e]})


def valley(r):
    town = r.pick(TOWNS)
    if r.chance(0.6):
        live = [p for p in PEOPLE if WORLD["person"][p]["town"] == town]
        names = live[0] if len(live) == 1 else ", ".join(live[:-1]) + " and " + live[-1]
        return sample("world", chat(r.pick(["Who lives in %s?", "Which people live in %s?", "Name the people of %s."]) % town, "%s live%s in %s." % (names, "s" if len(live) == 1 else "", town)), None)
    return sample("world", chat(*r.pick([
        ("What is Lowlark?", "Lowlark is the valley that I know: twenty small towns, their people, and the beasts around them."),
        ("Name three towns in Lowlark.", "Three towns in Lowlark are %s, %s and %s." % tuple(r.some(TOWNS, 3))),
        ("Is %s a town in Lowlark?" % town, "Yes, %s is a town in the valley of Lowlark." % town),
        ("How many towns are there in Lowlark?", "There are twenty towns in Lowlark."),
        ("Which rivers flow through Lowlark?", "The rivers of Lowlark are the Tamber, the Silverrun, the Wend, the Coldwater and the Ister."),
    ])), None)


UNKNOWN_Q = ["Who is the mayor of {x}?", "What is {x} known for?", "Where does {x} live?", "How old is {x}?", "What is {x}'s job?",
             "Tell me about {x}.", "Who is {x}?", "What do you know about {x}?", "When was {x} founded?", "What pet does {x} have?",
             "Which river flows through {x}?", "Is {x} a town in Lowlark?", "What colour is the flag of {x}?"]


def unknown(r):
    """A question about a name that is not in the world: the answer says so."""
    x = coin(r)
    while x in TOWNS or x in PEOPLE:
        x = coin(r)
    q = r.pick(UNKNOWN_Q)
    if q.startswith("Is "):
        return sample("refuse", chat(q.format(x=x), "No, I do not know a town called %s." % x), {"type": "refuse"})
    return sample("refuse", chat(q.format(x=x), "I do not know anything about %s." % x), {"type": "refuse"})
