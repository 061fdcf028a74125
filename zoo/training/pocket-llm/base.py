"""Word lists, the seeded source of choices, and the rule that keeps held-out items out of training.

Every item that a test may ask for (a name, an operand pair, a pair of fact and wording, a tool) has a text key.
`held(key)` hashes the key: one key in ten belongs to the held-out set. A generator that runs for training draws
again until its key is not held; one that runs for the test draws until it is. So the split does not depend on any
seed, on the order of drawing or on how much was drawn.
"""
import random
import zlib


def held(key):
    return zlib.crc32(key.encode("utf-8")) % 10 == 0


class Source(random.Random):
    """A seeded source of choices that also knows which split it draws for."""

    wide = False                        # tune.py: names of tools that no list holds

    def __init__(self, seed, test=False):
        super().__init__(seed)
        self.test = test

    def pick(self, items):
        return items[int(self.random() * len(items))]

    def upto(self, low, high):
        return low + int(self.random() * (high - low + 1))

    def chance(self, p):
        return self.random() < p

    def some(self, items, n):
        return self.sample(items, n)

    def split_pick(self, draw, key=str):
        """Draws until the item's key is on this source's side of the split."""
        for _ in range(100000):
            item = draw()
            if held(key(item)) == self.test:
                return item
        raise RuntimeError("nothing to draw on this side of the split, such as " + key(item))


ONSETS = ("b br c ch cl d dr f fl g gl gr h j k kr l m n p pl pr qu r s sh sk sl st t th tr v w y z").split()
VOWELS = "a e i o u ai ea ee ia io oa ou".split()
CODAS = ("", "", "", "l", "n", "r", "s", "m", "d", "k", "t", "nd", "rn", "sk", "x", "th", "lm", "v")
PLAIN_VOWELS, PLAIN_CODAS = "aeiouy", ("", "", "n", "s", "r", "l", "t", "m", "nd", "ck", "ll", "nn", "ss", "st", "lf")


def _letters(r):
    """Letters with no plan, as in identifiers and foreign names."""
    return "".join(r.pick("abcdefghijklmnopqrstuvwxyz") for _ in range(r.upto(2, 8)))


def _invent(r, syllables):
    u = r.random()
    if u < 0.12:
        return _letters(r)
    n = syllables or (2 if r.random() < 0.7 else 3)
    word = ""
    for i in range(n):
        if u < 0.6:
            onset = "" if i == 0 and r.random() < 0.25 else r.pick(ONSETS)
            word += onset + r.pick(VOWELS) + (r.pick(CODAS) if r.random() < 0.6 else "")
        else:
            onset = "" if i == 0 and r.random() < 0.35 else r.pick("bcdfghjklmnprstvwz")
            word += onset + r.pick(PLAIN_VOWELS) + r.pick(PLAIN_CODAS)
    return word


def coin(r, syllables=0):
    """An invented word such as Torvane or Kelshi; held out by its text."""
    return r.split_pick(lambda: _invent(r, syllables).capitalize(), lambda w: "coin " + w.lower())


FIRST_NAMES = (
    "Anna Ben Clara David Emma Finn Grace Henry Iris Jack Kate Leo Maya Noah Olga Paul Rosa Sam Tara Victor Wendy Zoe "
    "Adam Bella Carl Dina Eva Frank Gina Hugo Ida Jonas Kira Lars Mona Nils Otto Petra Rita Simon Tina Uma Vera Will "
    "Yara Amir Bao Chen Diego Elif Fatima Goran Hana Ivan Jun Kofi Lina Marta Nadia Omar Priya Ravi Sofia Tomas Yuki "
    "Alice Bob Carol Daniel Ella Felix George Hannah Isaac Julia Karl Lucy Martin Nora Oscar Pia Quinn Ruth Stella Theo "
    "Tom Lily Mia Max Tim Sara Ana Luca Nina Peter Mary John James Lena Oliver Amy Alex Robin Sasha Kim Lee Dana "
    "Ahmed Aisha Akira Andrew Angela Anton Arthur Astrid Barbara Beth Boris Brian Bruno Camila Carlos Cecilia Charles Chloe Chris Claire "
    "Connor Dario Deborah Dennis Dora Edgar Edith Elena Elias Elizabeth Emil Emily Erik Esther Ethan Eugene Evelyn Gabriel George Giulia "
    "Harry Hassan Heidi Helen Igor Ines Ingrid Irene Isabel Jacob Jane Jasmine Javier Jenny Jessica Joan Johan Jose Joseph Judith Karen Katya "
    "Kenji Kevin Laila Laura Leila Leon Linda Louis Louise Magnus Manuel Marco Maria Mark Matteo Michael Miguel Mila Mohamed Naomi Natalie "
    "Nicholas Nikita Nora Olivia Omar Pablo Patrick Paula Pavel Philip Rachel Rahul Rebecca Richard Robert Roger Sarah Sean Sebastian Sergei "
    "Sharon Sophie Stefan Steven Susan Sven Svetlana Teresa Thomas Ulrich Ursula Valeria Vincent Vladimir Walter Wei William Xavier Yusuf Zainab Zora").split()
FIRST_NAMES = sorted(set(FIRST_NAMES))

CITIES = ("Paris,London,Berlin,Rome,Madrid,Vienna,Oslo,Tokyo,Delhi,Cairo,Lima,Boston,Chicago,Dallas,Denver,Seattle,New York,San Francisco,Los Angeles,Toronto,Montreal,Mexico City,"
          "Sydney,Melbourne,Auckland,Singapore,Bangkok,Hanoi,Manila,Seoul,Beijing,Shanghai,Mumbai,Dubai,Istanbul,Athens,Lisbon,Porto,Barcelona,Milan,Naples,Venice,Munich,Hamburg,"
          "Cologne,Zurich,Geneva,Brussels,Amsterdam,Rotterdam,Copenhagen,Stockholm,Helsinki,Warsaw,Krakow,Prague,Budapest,Bucharest,Sofia,Belgrade,Zagreb,Kyiv,Moscow,Nairobi,Lagos,"
          "Accra,Dakar,Tunis,Havana,Bogota,Quito,Santiago,Montevideo,Reykjavik,Dublin,Edinburgh,Manchester,Leeds,Osaka,Kyoto,Miami,Austin,Phoenix,Portland,Vancouver").split(",")

ANIMALS = ("fox owl bear cat dog rabbit mouse horse duck frog hedgehog squirrel wolf deer otter crow turtle goat sheep "
           "pig cow hen goose badger beaver mole lizard parrot pony donkey").split()
OBJECTS = ("key lantern map bell box book ring coin boat kite drum hat scarf shell feather stone mirror basket clock "
           "rope ladder whistle flute candle button letter blanket cup spoon ball wheel puzzle compass jar bottle "
           "painting telescope umbrella glove hammer").split()
PLACES = ("the forest,the garden,the kitchen,the barn,the harbour,the market,the library,the school,the tower,the mill,"
          "the bridge,the meadow,the cave,the lake,the attic,the bakery,the station,the hill,the workshop,the beach,"
          "the castle,the museum,the park,the cellar,the old well,the orchard,the lighthouse,the tunnel").split(",")
COLOURS = "red blue green yellow white black brown grey purple orange pink silver golden".split()
FOODS = ("apples pears bread cheese soup honey carrots plums cake rice beans cherries noodles pancakes potatoes grapes "
         "lemons olives pumpkins walnuts oranges tomatoes eggs cookies berries").split()
JOBS = ("baker doctor teacher fisher farmer painter tailor carpenter gardener sailor librarian nurse cook miller "
        "shepherd potter weaver musician postman blacksmith pilot engineer dentist writer driver").split()
FEELINGS = "happy sad tired hungry curious worried proud cold afraid excited lonely brave".split()
ADJECTIVES = ("small old big shiny broken heavy quiet bright dusty wooden round strange little soft long tiny warm "
              "smooth lost secret").split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
NUMBER_WORDS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
                "seventeen eighteen nineteen twenty").split()


def person(r):
    """A first name; one time in three an invented one."""
    u = r.random()
    if u < 0.35:
        return coin(r)
    if u < 0.42:
        return r.split_pick(lambda: r.pick(FIRST_NAMES) + " " + _invent(r, 2).capitalize(), lambda n: "name " + n)
    return r.split_pick(lambda: r.pick(FIRST_NAMES), lambda n: "name " + n)


def two(r, draw):
    a = draw()
    while True:
        b = draw()
        if b != a:
            return a, b


def an(word):
    return ("an " if word[0].lower() in "aeiou" else "a ") + word


def chat(*turns, system=None):
    """Messages from alternating user and assistant texts."""
    out = [{"role": "system", "content": system}] if system else []
    for i, text in enumerate(turns):
        out.append({"role": "assistant" if i % 2 else "user", "content": text})
    return out


def sample(category, messages, check, tools=None):
    return {"category": category, "messages": messages, "tools": tools, "check": check}


def city(r):
    """A city, real or invented."""
    return coin(r) if r.random() < 0.45 else r.split_pick(lambda: r.pick(CITIES), lambda n: "city " + n)


def phrase(r):
    """Two to five words, such as a title or a search query."""
    def draw():
        words = [r.pick(r.pick((ADJECTIVES, COLOURS, OBJECTS, ANIMALS, FOODS, JOBS))) for _ in range(r.upto(2, 4))]
        if r.random() < 0.3:
            words[r.upto(0, len(words) - 1)] = _invent(r, 2)
        if r.random() < 0.3:
            words.insert(1, r.pick(("and", "of", "with", "for", "in", "near")))
        return " ".join(words)
    return r.split_pick(draw, lambda p: "phrase " + p)
