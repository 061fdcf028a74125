"""JSON that follows a schema given in the prompt.

A record (names and values) is drawn, told in a sentence or a list, and asked for as JSON under a schema written as
JSON Schema, as a bare example of keys and types, or in words. Held out: values (names, numbers) and key sets.
"""
import json
from base import an, chat, coin, held, person, sample, ANIMALS, COLOURS, DAYS, FEELINGS, FOODS, JOBS, MONTHS, OBJECTS, PLACES

STRING_KEYS = {"name": None, "first_name": None, "owner": None, "author": None, "friend": None, "customer": None, "player": None, "guest": None,
               "city": "coin", "town": "coin", "country": "coin", "street": "coin", "company": "coin", "product": "coin", "title": "coin", "ship": "coin",
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
    if kind == "id":
        return "".join(r.pick("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(2)) + "-" + "".join(r.pick("0123456789") for _ in range(r.upto(2, 4)))
    return r.pick(kind)


def number(r, lo, hi):
    return r.split_pick(lambda: r.upto(lo, hi), lambda n: "json %d" % n)


def field(r, used, depth):
    """-> key, schema, value"""
    while True:
        u = r.random()
        if u < 0.42:
            k = r.pick(list(STRING_KEYS))
            if r.chance(0.12) and isinstance(STRING_KEYS[k], list):
                v = string_value(r, STRING_KEYS[k])
                options = list(dict.fromkeys([v] + [r.pick(STRING_KEYS[k]) for _ in range(2)]))
                r.shuffle(options)
                s = {"type": "string", "enum": options}
            else:
                v = string_value(r, STRING_KEYS[k])
                s = {"type": "string"}
        elif u < 0.64:
            k, s = r.pick(INT_KEYS), {"type": "integer"}
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
        if isinstance(v, dict):
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
        return [schema["items"]["type"]]
    return "|".join(schema["enum"]) if "enum" in schema else t


ASK = ["Give me JSON that follows this schema.", "Answer with JSON that matches this schema:", "Write one JSON object for this schema.", "Turn the text into JSON. Schema:", "Extract the data as JSON. Use this schema:",
       "Return only JSON. The schema is:"]


def extract(r):
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
    text = r.pick(["{a}\n{p}\n\n{t}", "{a} {p}\nText: {t}", "{t}\n\n{a}\n{p}"]).format(a=ask, p=pattern, t=said)
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
