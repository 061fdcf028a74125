"""JSON that follows a schema given in the prompt.

A record (names and values) is drawn, told in a sentence or a list, and asked for as JSON under a schema written as
JSON Schema, as a bare example of keys and types, or in words. Held out: values (names, numbers) and key sets.
"""
import json
from base import (an, chat, city, coin, held, person, phrase, sample, ANIMALS, COLOURS, DAYS, FEELINGS, FOODS, JOBS, MONTHS, OBJECTS,
                  PLACES)

STRING_KEYS = {"name": None, "first_name": None, "owner": None, "author": None, "friend": None, "customer": None, "player": None, "guest": None,
               "city": "city", "town": "city", "country": "coin", "street": "coin", "company": "coin", "product": "coin", "title": "phrase", "ship": "coin", "subject": "phrase", "description": "phrase", "note": "quote", "message": "quote", "email": "email", "phone": "phone", "date": "date",
               "colour": COLOURS, "color": COLOURS, "job": JOBS, "animal": ANIMALS, "pet": ANIMALS, "item": OBJECTS, "object": OBJECTS, "food": FOODS, "day": DAYS,
               "month": MONTHS, "mood": FEELINGS, "place": PLACES, "id": "id", "code": "id"}
INT_KEYS = "age count quantity year price score pages seats floor level rooms weight height points total size wheels".split()
NUM_KEYS = "price weight temperature length distance rating height width".split()
BOOL_KEYS = "active open paid member available broken urgent married sold ready finished new".split()
LIST_KEYS = {"colours": COLOURS, "tags": OBJECTS, "foods": FOODS, "animals": ANIMALS, "items": OBJECTS, "days": DAYS, "friends": None, "hobbies": JOBS}
NUM_LIST_KEYS = "scores numbers prices sizes".split()
GROUP_KEYS = "address owner details contact location info".split()


def string_value(r, kind):
    if kind is None:
        return person(r)
    if kind == "coin":
        return coin(r)
    if kind == "city":
        return city(r)
    if kind == "phrase":
        return phrase(r)
    if kind == "quote":                                  # characters that JSON must escape
        p = phrase(r)
        return p if r.chance(0.5) else r.pick(['the "%s"', "%s \\ x", '"%s" it says', "50%% %s", "%s/%s" % (coin(r), "%s")]).replace("%s", p).replace("%%", "%")
    if kind == "email":
        return "%s@%s.com" % (coin(r).lower(), coin(r).lower())
    if kind == "phone":
        return r.split_pick(lambda: "".join(r.pick("0123456789") for _ in range(r.upto(4, 7))), lambda d: "phone " + d)
    if kind == "date":
        return r.split_pick(lambda: "20%02d-%02d-%02d" % (r.upto(0, 60), r.upto(1, 12), r.upto(1, 28)), lambda d: "jdate " + d)
    if kind == "id":
        return "".join(r.pick("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(2)) + "-" + "".join(r.pick("0123456789") for _ in range(r.upto(2, 4)))
    return r.pick(kind)


def number(r, lo, hi):
    return r.split_pick(lambda: r.upto(lo, hi), lambda n: "json %d" % n)


def any_key(r):
    """A key that no list holds, so that keys are copied and not known."""
    return r.pick([lambda: r.pick(OBJECTS) + "_" + r.pick(["name", "type", "label", "kind"]), lambda: coin(r).lower(), lambda: r.pick(COLOURS) + r.pick(OBJECTS).capitalize()])()


def field(r, used, depth):
    """-> key, schema, value"""
    while True:
        u = r.random()
        if u < 0.42:
            k = r.pick(list(STRING_KEYS))
            if r.chance(0.1):
                k = any_key(r)
                v, s = string_value(r, r.pick([None, "coin", "phrase"])), {"type": "string"}
            elif r.chance(0.12) and isinstance(STRING_KEYS[k], list):
                v = string_value(r, STRING_KEYS[k])
                options = list(dict.fromkeys([v] + [r.pick(STRING_KEYS[k]) for _ in range(2)]))
                r.shuffle(options)
                s = {"type": "string", "enum": options}
            else:
                v = string_value(r, STRING_KEYS[k])
                s = {"type": "string"}
        elif u < 0.64:
            k, s = r.pick(INT_KEYS) if r.chance(0.9) else any_key(r), {"type": "integer"}
            if r.chance(0.08):
                s["minimum"] = 0
            v = number(r, 1, 99) if r.chance(0.6) else number(r, 100, 2100)
        elif u < 0.72:
            k, s = r.pick(NUM_KEYS), {"type": "number"}
            v = number(r, 1, 99) + r.upto(1, 9) / 10
        elif u < 0.84:
            k, s, v = r.pick(BOOL_KEYS), {"type": "boolean"}, r.chance(0.5)
        elif u < 0.93:
            if r.chance(0.7):
                k = r.pick(list(LIST_KEYS))
                s = {"type": "array", "items": {"type": "string"}}
                v = [string_value(r, LIST_KEYS[k]) for _ in range(r.upto(1, 3))]
                v = list(dict.fromkeys(v))
            else:
                k, s = r.pick(NUM_LIST_KEYS), {"type": "array", "items": {"type": "integer"}}
                v = [number(r, 1, 99) for _ in range(r.upto(2, 4))]
        elif depth == 0 and r.chance(0.25):
            k = r.pick(["people", "rows", "entries", "orders", "products"])
            one, _ = record(r, r.upto(1, 2), 1)
            v = [fill(r, one) for _ in range(r.upto(1, 3))]
            s = {"type": "array", "items": one}
        elif depth == 0:
            k = r.pick(GROUP_KEYS)
            if k in used:
                continue
            s, v = record(r, r.upto(1, 3), 1)
        else:
            continue
        if k not in used:
            used.add(k)
            return k, s, v


def fill(r, s):
    """A fresh value for a schema."""
    t = s["type"]
    if "enum" in s:
        return r.pick(s["enum"])
    if t == "object":
        return {k: fill(r, x) for k, x in s["properties"].items()}
    if t == "array":
        return [fill(r, s["items"]) for _ in range(r.upto(1, 3))]
    return {"string": lambda: string_value(r, r.pick([None, "coin", "city", COLOURS])), "integer": lambda: number(r, 1, 99),
            "number": lambda: number(r, 1, 99) + r.upto(1, 9) / 10, "boolean": lambda: r.chance(0.5)}[t]()


def record(r, n, depth=0):
    used, props, value = set(), {}, {}
    for _ in range(n):
        k, s, v = field(r, used, depth)
        props[k], value[k] = s, v
    schema = {"type": "object", "properties": props, "required": list(props)}
    if r.chance(0.3):
        schema["additionalProperties"] = False
    return schema, value


def word(v):
    if v is True:
        return "yes"
    if v is False:
        return "no"
    if isinstance(v, list):
        return " and ".join([", ".join(map(str, v[:-1])), str(v[-1])]) if len(v) > 1 else str(v[0])
    return str(v)


def tell(r, value, prefix=""):
    """Sentences or a list of the record's values."""
    style = r.pick(["list", "colon", "is", "is"])
    out = []
    for k, v in value.items():
        label = (prefix + k).replace("_", " ")
        if isinstance(v, list) and isinstance(v[0], dict):
            out.append(" ".join("%s number %d: %s." % (label, i + 1, ", ".join("%s %s" % (a.replace("_", " "), word(b)) for a, b in x.items())) for i, x in enumerate(v)))
        elif isinstance(v, dict):
            out.append(tell(r, v, k + " "))
        elif isinstance(v, bool) and style == "is":
            out.append(("It is %s." if v else "It is not %s.") % label)
        elif style == "is":
            out.append(("The %s are %s." if isinstance(v, list) else "The %s is %s.") % (label, word(v)))
        elif style == "colon":
            out.append("%s: %s;" % (label, word(v)))
        else:
            out.append("- %s: %s\n" % (label, word(v)))
    return "".join("\n" + x if x[0] == "-" else " " + x for x in out).strip() if style == "list" else " ".join(out)


def example_of(schema):
    """The schema as a bare pattern of keys and types."""
    t = schema["type"]
    if t == "object":
        return {k: example_of(s) for k, s in schema["properties"].items()}
    if t == "array":
        return [example_of(schema["items"])]
    return "|".join(schema["enum"]) if "enum" in schema else t


NATURAL = [
    ("person", [("name", "string", person), ("age", "integer", lambda r: number(r, 1, 99)), ("city", "string", city), ("job", "string", lambda r: r.pick(JOBS)), ("married", "boolean", lambda r: r.chance(0.5))],
     {"name": "{name}", "age": " is {age} years old", "city": " lives in {city}", "job": " works as {an_job}", "married": " is {not_married}married"}),
    ("product", [("product", "string", lambda r: r.pick(OBJECTS)), ("price", "number", lambda r: number(r, 1, 99) + r.upto(1, 9) / 10), ("quantity", "integer", lambda r: number(r, 1, 99)), ("colour", "string", lambda r: r.pick(COLOURS)), ("in_stock", "boolean", lambda r: r.chance(0.5))],
     {"product": "The {product}", "price": " costs {price} euros", "quantity": " comes in boxes of {quantity}", "colour": " is {colour}", "in_stock": " is {not_in_stock}in stock"}),
    ("event", [("event", "string", lambda r: r.pick("party meeting concert wedding lesson race".split())), ("day", "string", lambda r: r.pick(DAYS)), ("place", "string", lambda r: r.pick(PLACES)), ("guests", "integer", lambda r: number(r, 1, 99)), ("host", "string", person)],
     {"event": "The {event}", "day": " is on {day}", "place": " takes place in {place}", "guests": " has {guests} guests", "host": " is hosted by {host}"}),
    ("pet", [("pet", "string", coin), ("kind", "string", lambda r: r.pick(ANIMALS)), ("age", "integer", lambda r: number(r, 1, 30)), ("colour", "string", lambda r: r.pick(COLOURS)), ("owner", "string", person)],
     {"pet": "{pet}", "kind": " is {an_kind}", "age": " is {age} years old", "colour": " is {colour}", "owner": " belongs to {owner}"}),
]


PEOPLE_FORMS = ["A person named {name}, aged {age}, living in {city}.", "{name}, {age}, from {city}.", "{name} ({age}), {job}.", "{name} (age {age}) lives in {city}.", "This is {name}. {name} is {age} and works as {an_job} in {city}.", "A {job} called {name}, {age} years old.",
                "{name} aged {age}", "a person named {name} aged {age} living in {city}", "My name is {name}, I am {age} years old and I live in {city}.", "I am {name}, {an_job} from {city}.", "name {name}, age {age}", "User: {name}, {age} years, {job}, {city}", "{name} is {age}."]


def natural(r):
    """A plain sentence; the schema asks for some of what it says."""
    _, fields, words = r.pick(NATURAL)
    value = {k: draw(r) for k, _, draw in fields}
    kinds = {k: t for k, t, _ in fields}
    first = fields[0][0]
    rest = r.some([k for k in value if k != first], r.upto(1, 4))
    fmt = {k: v for k, v in value.items() if not isinstance(v, bool)}
    for k, v in value.items():
        if isinstance(v, bool):
            fmt["not_" + k] = "" if v else "not "
        elif isinstance(v, str):
            fmt["an_" + k] = an(v)
    if first == "name" and r.chance(0.6):
        f, fmt["not_married"] = r.pick(PEOPLE_FORMS), fmt["not_married"]
        kinds.update(country="string")
        value = {k: v for k, v in value.items() if "{" + k + "}" in f or "{an_" + k + "}" in f}
        asked = list(value)
        if len(asked) > 2 and r.chance(0.3):
            asked.remove(r.pick(asked[1:]))
        if r.chance(0.6):
            r.shuffle(asked)
        return f.format(**fmt), {"type": "object", "properties": {k: {"type": kinds[k]} for k in asked}, "required": asked}, {k: value[k] for k in asked}
    parts = [words[k].format(**fmt) for k in rest]
    said = words[first].format(**fmt) + (parts[0] if len(parts) == 1 else ",".join(parts[:-1]) + " and" + parts[-1]) + "."
    asked = [k for k in value if k in rest or k == first]
    if len(asked) > 2 and r.chance(0.3):
        asked.remove(r.pick(asked[1:]))
    r.shuffle(asked)
    schema = {"type": "object", "properties": {k: {"type": kinds[k]} for k in asked}, "required": asked}
    if r.chance(0.2):
        schema["additionalProperties"] = False
    return said, schema, {k: value[k] for k in asked}


ASK = ["Give me JSON that follows this schema.", "Answer with JSON that matches this schema:", "Write one JSON object for this schema.", "Turn the text into JSON. Schema:", "Extract the data as JSON. Use this schema:",
       "Return only JSON. The schema is:", "Reply with a JSON object that follows this JSON schema:", "Answer in JSON.", "Convert to JSON with this schema:", "Respond with JSON only, following this schema:"]


def extract(r):
    if r.chance(0.25):
        said, schema, value = r.split_pick(lambda: natural(r), lambda p: "natural " + p[0])
    else:
        schema, value = r.split_pick(lambda: record(r, r.upto(1, 6)), lambda p: "keys " + ",".join(sorted(p[1])))
        keys = list(value)
        if r.chance(0.3):
            r.shuffle(keys)
        said = tell(r, {k: value[k] for k in keys})
    form = r.random()
    if form < 0.6:
        pattern = json.dumps(schema, indent=2 if r.chance(0.15) else None)
    else:
        pattern = json.dumps(example_of(schema))
    ask = r.pick(ASK)
    if form >= 0.6 and r.chance(0.2):
        ask = "Output JSON:"
    text = r.pick(["Give me JSON for this: {t} Schema: {p}", "Create JSON for {t} matching the schema: {p}", "Extract JSON following this schema {p} from: {t}", "{a}\n{p}\n\n{t}", "{a} {p}\nText: {t}", "{t}\n\n{a}\n{p}", "{a}\n{p}\n\n{t}", "{a} {p}\nText: {t}", "{t}\n\n{a}\n{p}"]).format(a=ask, p=pattern, t=said)
    answer = json.dumps(value, ensure_ascii=False)
    system = None
    if r.chance(0.2):
        system, text = r.pick(["You answer only in JSON that follows this schema: ", "Reply with JSON. Schema: "]) + pattern, said
    return sample("json", chat(text, answer, system=system), {"type": "json", "schema": schema, "value": value})


def make_up(r):
    """No data given: any valid object will do; the check is the schema only."""
    schema, value = r.split_pick(lambda: record(r, r.upto(1, 5)), lambda p: "keys " + ",".join(sorted(p[1])))
    text = r.pick(["Make up a JSON object for this schema: {p}", "Give me any example JSON that follows this schema:\n{p}", "Write a valid JSON object. Schema: {p}"]).format(p=json.dumps(schema))
    return sample("json", chat(text, json.dumps(value, ensure_ascii=False)), {"type": "json", "schema": schema})
