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
        while True:
            item = draw()
            if held(key(item)) == self.test:
                return item


ONSETS = ("b br c ch cl d dr f fl g gl gr h j k kr l m n p pl pr qu r s sh sk sl st t th tr v w y z").split()
VOWELS = "a e i o u ai ea ee ia io oa ou".split()
CODAS = ("", "", "", "l", "n", "r", "s", "m", "d", "k", "t", "nd", "rn", "sk", "x", "th", "lm", "v")


def coin(r, syllables=0):
    """An invented word such as Torvane or Kelshi; held out by its text."""
    def draw():
        n = syllables or (2 if r.random() < 0.7 else 3)
        word = "".join(r.pick(ONSETS) + r.pick(VOWELS) + (r.pick(CODAS) if r.random() < 0.6 else "") for _ in range(n))
        return word.capitalize()
    return r.split_pick(draw, lambda w: "coin " + w.lower())


FIRST_NAMES = (
    "Anna Ben Clara David Emma Finn Grace Henry Iris Jack Kate Leo Maya Noah Olga Paul Rosa Sam Tara Victor Wendy Zoe "
    "Adam Bella Carl Dina Eva Frank Gina Hugo Ida Jonas Kira Lars Mona Nils Otto Petra Rita Simon Tina Uma Vera Will "
    "Yara Amir Bao Chen Diego Elif Fatima Goran Hana Ivan Jun Kofi Lina Marta Nadia Omar Priya Ravi Sofia Tomas Yuki "
    "Alice Bob Carol Daniel Ella Felix George Hannah Isaac Julia Karl Lucy Martin Nora Oscar Pia Quinn Ruth Stella Theo "
    "Tom Lily Mia Max Tim Sara Ana Luca Nina Peter Mary John James Lena Oliver Amy Alex Robin Sasha Kim Lee Dana").split()

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
    if r.random() < 0.35:
        return coin(r)
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
