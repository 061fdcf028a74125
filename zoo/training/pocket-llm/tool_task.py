"""Tool calls in the Hermes form, with tools whose names, parameters and wording vary, and the use of their results.

A tool is composed of an action, a thing and one to three parameters. Held out: pairs of action and thing, and the
values of the arguments. Test tools are thus never seen under their name, nor the values with any tool.
"""
import json
from base import an, chat, coin, held, person, sample, COLOURS, DAYS, FEELINGS, FOODS, MONTHS, NUMBER_WORDS, OBJECTS

# parameter: type, description, value source, phrase in a request, whether it can stand as the object of the request
PARAMS = {
    "city": ("string", "Name of the city", coin, " in {v}"),
    "location": ("string", "The place to look at", coin, " in {v}"),
    "town": ("string", "Name of the town", coin, " for the town {v}"),
    "person": ("string", "Name of the person", person, " for {v}"),
    "name": ("string", "The name to use", person, " under the name {v}"),
    "recipient": ("string", "Who gets it", person, " to {v}"),
    "author": ("string", "Name of the author", person, " by {v}"),
    "day": ("string", "Day of the week", lambda r: r.pick(DAYS), " on {v}"),
    "month": ("string", "Name of the month", lambda r: r.pick(MONTHS), " in the month of {v}"),
    "date": ("string", "Date as YYYY-MM-DD", lambda r: "20%02d-%02d-%02d" % (r.upto(20, 39), r.upto(1, 12), r.upto(1, 28)), " on {v}"),
    "time": ("string", "Time as HH:MM", lambda r: "%02d:%02d" % (r.upto(0, 23), r.upto(0, 59)), " at {v}"),
    "count": ("integer", "How many", lambda r: r.upto(2, 99), ", {v} of them"),
    "limit": ("integer", "Largest number of results", lambda r: r.upto(1, 50), ", at most {v} results"),
    "minutes": ("integer", "Length in minutes", lambda r: r.upto(1, 90), " for {v} minutes"),
    "people": ("integer", "Number of people", lambda r: r.upto(1, 12), " for {v} people"),
    "price": ("number", "Highest price", lambda r: r.upto(1, 99) + r.upto(0, 9) / 10, " for at most {v} euros"),
    "id": ("string", "The identifier", lambda r: "".join(r.pick("ABCDEFGHKLMNPRST") for _ in range(2)) + "-" + "".join(r.pick("0123456789") for _ in range(r.upto(2, 4))), " with the id {v}"),
    "colour": ("string", "The colour", lambda r: r.pick(COLOURS), " in {v}"),
    "unit": ("enum", "The unit", lambda r: r.pick(["celsius", "fahrenheit"]), " in {v}"),
    "language": ("enum", "The language", lambda r: r.pick(["english", "german", "french", "spanish"]), " in {v}"),
    "urgent": ("boolean", "Whether it is urgent", lambda r: r.chance(0.7), None),
}
ENUMS = {"unit": ["celsius", "fahrenheit"], "language": ["english", "german", "french", "spanish"]}
ACTIONS = {
    "get": ["Get the {n}", "Show me the {n}", "What is the {n}", "I want to see the {n}", "Tell me the {n}"],
    "find": ["Find the {n}", "Find me a {n}", "I am looking for a {n}", "Can you find a {n}"],
    "search": ["Search for a {n}", "Search the {n} list", "Do a {n} search"],
    "book": ["Book a {n}", "I would like to book a {n}", "Please book me a {n}"],
    "create": ["Create a {n}", "Make a new {n}", "I need a new {n}"],
    "send": ["Send a {n}", "Please send a {n}", "Can you send a {n}"],
    "delete": ["Delete the {n}", "Remove the {n}", "Please delete the {n}"],
    "update": ["Update the {n}", "Change the {n}", "Please change the {n}"],
    "check": ["Check the {n}", "Please check the {n}", "Can you check the {n}"],
    "order": ["Order a {n}", "I want to order a {n}", "Please order a {n}"],
    "cancel": ["Cancel the {n}", "Please cancel the {n}", "I want to cancel the {n}"],
    "set": ["Set the {n}", "Please set the {n}", "Set a {n}"],
    "list": ["List every {n}", "Give me a list of each {n}", "List the {n}"],
    "add": ["Add a {n}", "Please add a {n}", "Add one {n}"],
    "start": ["Start the {n}", "Please start the {n}", "Can you start the {n}"],
    "track": ["Track the {n}", "Where is the {n}", "Follow the {n}"],
}
NOUNS = ("weather forecast alarm timer reminder meeting flight train ticket hotel room table taxi parcel package letter message email note task "
         "recipe song playlist book movie photo map route price invoice payment account balance loan score game match calendar event "
         "temperature light heater door window camera robot order product stock contact appointment course exam report file folder "
         "backup printer sensor pump garden museum concert lesson bus ferry bicycle tent ladder lamp kettle market").split()
QUERY = {"calculate": 0}


def tool_name(r, action, noun):
    u = r.random()
    if u < 0.7:
        return "%s_%s" % (action, noun)
    if u < 0.85:
        return action + noun.capitalize()
    return r.pick(["%s_%s_v2", "%s_the_%s", "%s_my_%s", "%s_%s_now"]) % (action, noun)


def make_tool(r, taken):
    action, noun = r.split_pick(lambda: (r.pick(list(ACTIONS)), r.pick(NOUNS)), lambda p: "tool %s %s" % p)
    if noun in taken:
        return None
    ps = r.some(list(PARAMS), r.pick([1, 1, 2, 2, 3]))
    clash = [{"city", "location", "town"}, {"person", "name", "recipient", "author"}, {"colour", "language", "unit"}, {"day", "date", "month"}, {"minutes", "people"}, {"count", "limit"}]
    for c in clash:
        same = [p for p in ps if p in c]
        for p in same[1:]:
            ps.remove(p)
    props, required = {}, []
    for p in ps:
        t, d = PARAMS[p][0], PARAMS[p][1]
        props[p] = {"type": "string" if t == "enum" else t, "description": d}
        if t == "enum":
            props[p]["enum"] = ENUMS[p]
        if p != "urgent" and r.chance(0.85):
            required.append(p)
    name = tool_name(r, action, noun)
    if r.chance(0.25):
        for p in props:
            if r.chance(0.5):
                del props[p]["description"]
    f = {"name": name, "description": r.pick(["{A} the {n}.", "{A} a {n}.", "Use this to {a} the {n}.", "{A}s the {n} for the user."]).format(A=action.capitalize(), a=action, n=noun),
         "parameters": {"type": "object", "properties": props, "required": required}}
    return {"tool": {"type": "function", "function": f}, "action": action, "noun": noun, "params": ps, "name": name}


def toolbox(r):
    tools, taken = [], set()
    n = r.pick([1, 1, 2, 2, 3, 4])
    while len(tools) < n:
        t = make_tool(r, taken)
        if t:
            taken.add(t["noun"])
            tools.append(t)
    return tools


def request(r, t):
    """-> wording of a request for the tool, its arguments"""
    args, text = {}, r.pick(ACTIONS[t["action"]]).replace("{n}", t["noun"])
    phrases = []
    required = t["tool"]["function"]["parameters"]["required"]
    for p in t["params"]:
        if p not in required and r.chance(0.4):
            continue
        kind, _, draw, phrase = PARAMS[p]
        v = r.split_pick(lambda: draw(r), lambda x: "arg %s" % x) if kind in ("integer", "number") or p in ("date", "time", "id") else draw(r)
        if p == "urgent":
            args[p] = v
            phrases.append((", it is urgent" if v else ", it is not urgent"))
            continue
        args[p] = v
        phrases.append(phrase.format(v=v))
    tail = [x for x in phrases if x[0] == ","]
    text += "".join([x for x in phrases if x[0] != ","] + tail)
    if text.startswith(("What", "Where", "Can")):
        text += "?"
    else:
        text += r.pick([".", ".", "", ", please."])
    # the arguments come in the order of the tool's parameters
    return text, {p: args[p] for p in t["params"] if p in args}


def call(t, args):
    return {"type": "function", "function": {"name": t["name"], "arguments": args}}


RESULTS = {
    "status": (lambda r: r.pick(["confirmed", "done", "open", "closed", "delayed", "pending", "ready", "sent"]), "The {n} is {v}."),
    "temperature": (lambda r: r.upto(-20, 40), "The temperature is {v} degrees."),
    "price": (lambda r: r.upto(2, 999), "The price is {v} euros."),
    "number": (lambda r: r.upto(100, 99999), "The number is {v}."),
    "place": (lambda r: coin(r), "The place is {v}."),
    "contact": (lambda r: person(r), "The contact is {v}."),
    "time": (lambda r: "%02d:%02d" % (r.upto(0, 23), r.upto(0, 59)), "The time is {v}."),
    "count": (lambda r: r.upto(0, 99), "The count is {v}."),
    "day": (lambda r: r.pick(DAYS), "The day is {v}."),
    "code": (lambda r: "".join(r.pick("ABCDEFGHKLMNPRST0123456789") for _ in range(r.upto(4, 6))), "The code is {v}."),
}


def result(r, noun):
    ks = r.some(list(RESULTS), r.upto(1, 3))
    data = {k: RESULTS[k][0](r) for k in ks}
    return data, " ".join(RESULTS[k][1].format(n=noun, v=data[k]) for k in ks)


SYSTEMS = [None, None, None, "You are a helpful assistant.", "You are a helpful assistant with tools.", "Use the tools when they help.", "You are Pocket. Call a tool when the user needs one."]


def tool_call(r):
    """The right call for a request, out of one to four tools."""
    tools = toolbox(r)
    t = r.pick(tools)
    text, args = request(r, t)
    m = chat(text, system=r.pick(SYSTEMS))
    m.append({"role": "assistant", "content": "", "tool_calls": [call(t, args)]})
    check = {"type": "tool", "calls": [{"name": t["name"], "arguments": args}]}
    if not r.test and r.chance(0.45):       # go on to the result, and sometimes to a second request
        data, said = result(r, t["noun"])
        m += [{"role": "tool", "content": json.dumps(data, ensure_ascii=False)}, {"role": "assistant", "content": said}]
        if r.chance(0.4):
            t = r.pick(tools)
            text, args = request(r, t)
            m += [{"role": "user", "content": text}, {"role": "assistant", "content": "", "tool_calls": [call(t, args)]}]
    return sample("tool", m, check, [t["tool"] for t in tools])


def two_calls(r):
    tools = toolbox(r)
    a, b = r.pick(tools), r.pick(tools)
    ta, aa = request(r, a)
    tb, ab = request(r, b)
    m = chat(ta.rstrip(".?") + r.pick([". Also: ", ". And then: "]) + tb, system=r.pick(SYSTEMS))
    m.append({"role": "assistant", "content": "", "tool_calls": [call(a, aa), call(b, ab)]})
    return sample("tool", m, {"type": "tool", "calls": [{"name": a["name"], "arguments": aa}, {"name": b["name"], "arguments": ab}]}, [t["tool"] for t in tools])


def tool_result(r):
    """The answer that uses a tool's result."""
    tools = toolbox(r)
    t = r.pick(tools)
    text, args = request(r, t)
    m = chat(text, system=r.pick(SYSTEMS))
    data, said = result(r, t["noun"])
    if r.chance(0.1):
        error = r.pick(["not found", "timeout", "no connection", "access denied", "unknown id"])
        data, said = {"error": error}, "The tool answered with an error: %s." % error
    m += [{"role": "assistant", "content": "", "tool_calls": [call(t, args)]}, {"role": "tool", "content": json.dumps(data, ensure_ascii=False)}, {"role": "assistant", "content": said}]
    return sample("tool_result", m, {"type": "contains", "all": [str(v) for v in data.values()]}, [t["tool"] for t in tools])


def no_tool(r, filler):
    """Tools are there, but the question needs none."""
    tools = toolbox(r)
    f = filler(r)
    check = f["check"] and dict(f["check"], no_call=True)
    system = r.pick(SYSTEMS)
    m = ([{"role": "system", "content": system}] if system else []) + [x for x in f["messages"] if x["role"] != "system"]
    return sample("tool_none", m, check, [t["tool"] for t in tools])


def missing_tool(r):
    """None of the tools fits the request: the answer says so and calls nothing."""
    tools = toolbox(r)
    while True:
        t = make_tool(r, {x["noun"] for x in tools})
        if t and t["noun"] not in {x["noun"] for x in tools}:
            break
    text, _ = request(r, t)
    return sample("tool_none", chat(text, "I have no tool for that.", system=r.pick(SYSTEMS)), {"type": "refuse", "no_call": True}, [x["tool"] for x in tools])
