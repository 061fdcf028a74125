"""Tool calls in the Hermes form, with tools whose names, parameters and wording vary, and the use of their results.

A tool is composed of an action, a thing and one to three parameters. Held out: pairs of action and thing, and the
values of the arguments. Test tools are thus never seen under their name, nor the values with any tool.
"""
import json
from base import an, chat, city, coin, held, person, phrase, sample, COLOURS, DAYS, FEELINGS, FOODS, MONTHS, NUMBER_WORDS, OBJECTS

# parameter: type, description, value source, phrase in a request, whether it can stand as the object of the request
PARAMS = {
    "city": ("string", "Name of the city", city, " in {v}"),
    "location": ("string", "The place to look at", city, " in {v}"),
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
NUMBER_PAIR = lambda r: r.upto(1, 99)  # noqa: E731
# Everyday tools: names, parameters (name choices, type, description, source), wordings with {0}, {1}, ...
COMMON = [
    (["get_weather", "get_current_weather", "weather", "fetch_weather"], "Get the current weather", [(["city", "location", "place"], "string", "City name", city)],
     ["What is the weather in {0}?", "What's the weather like in {0}?", "How is the weather in {0} today?", "Weather in {0}?", "Is it raining in {0}?", "Is it cold in {0}?", "Tell me the weather in {0}.", "Check the weather in {0}"]),
    (["get_weather", "get_temperature", "current_weather"], "Get the weather in a unit", [(["location", "city"], "string", "The city", city), (["unit", "units"], ["celsius", "fahrenheit"], "Unit", lambda r: r.pick(["celsius", "fahrenheit"]))],
     ["What is the weather in {0} in {1}?", "Temperature in {0} in {1}, please.", "How warm is it in {0}? Use {1}.", "Give me the weather for {0} in {1}."]),
    (["get_forecast", "weather_forecast"], "Weather forecast", [(["city", "location"], "string", "City", city), (["days", "num_days"], "integer", "Number of days", lambda r: r.upto(1, 14))],
     ["What is the forecast for {0} for the next {1} days?", "Give me a {1} day forecast for {0}.", "How will the weather in {0} be over {1} days?"]),
    (["add", "add_numbers", "sum"], "Add two numbers", [(["a", "x", "first"], "integer", "First number", NUMBER_PAIR), (["b", "y", "second"], "integer", "Second number", NUMBER_PAIR)],
     ["What is {0} plus {1}?", "Add {0} and {1}.", "What is {0} + {1}?", "Please add {0} and {1}", "Use the tool to add {0} and {1}."]),
    (["multiply", "multiply_numbers"], "Multiply two numbers", [(["a", "x", "first"], "integer", "First number", NUMBER_PAIR), (["b", "y", "second"], "integer", "Second number", NUMBER_PAIR)],
     ["What is {0} times {1}?", "Multiply {0} by {1}.", "What is {0} * {1}?", "Multiply {0} and {1}"]),
    (["calculator", "calculate", "evaluate"], "Evaluate an expression", [(["expression", "expr"], "string", "The expression", lambda r: r.pick(["%d + %d", "%d * %d", "%d - %d", "%d / %d"]) % (r.upto(100, 9999), r.upto(2, 999)))],
     ["What is {0}?", "Calculate {0}", "Compute {0}.", "How much is {0}?"]),
    (["search", "web_search", "search_web", "google"], "Search the web", [(["query", "q", "text"], "string", "Search query", phrase)],
     ["Search the web for {0}.", "Search for {0}", "Look up {0}.", "Find information about {0}", "Google {0}", "Please search for {0}."]),
    (["send_email", "email", "send_mail"], "Send an email", [(["to", "recipient"], "string", "Who gets it", lambda r: person(r) if r.chance(0.6) else "%s@%s.com" % (coin(r).lower(), coin(r).lower())), (["subject", "title"], "string", "Subject", phrase)],
     ["Send an email to {0} with the subject {1}.", "Email {0} about {1}", "Write an email to {0}, subject: {1}"]),
    (["send_message", "send_sms", "text"], "Send a text message", [(["to", "name", "contact"], "string", "Name of the contact", person), (["message", "text", "body"], "string", "The text", phrase)],
     ["Send {0} the message {1}.", "Tell {0}: {1}", "Text {0}: {1}", "Send a message to {0}: {1}"]),
    (["set_alarm", "create_alarm"], "Set an alarm", [(["time", "at"], "string", "Time as HH:MM", PARAMS["time"][2])], ["Set an alarm for {0}.", "Wake me up at {0}.", "Wake me at {0}", "I need an alarm at {0}."]),
    (["set_timer", "start_timer"], "Start a timer", [(["minutes", "duration"], "integer", "Minutes", lambda r: r.upto(1, 90))], ["Set a timer for {0} minutes.", "Start a {0} minute timer.", "Timer: {0} minutes", "Remind me in {0} minutes."]),
    (["create_reminder", "add_reminder", "remind"], "Create a reminder", [(["text", "task", "title"], "string", "What to do", phrase), (["day", "date"], "string", "Day", lambda r: r.pick(DAYS))],
     ["Remind me on {1} of {0}.", "Add a reminder for {1}: {0}", "Remind me of {0} on {1}."]),
    (["create_event", "add_event", "schedule_meeting"], "Add an event to the calendar", [(["title", "name"], "string", "Title", phrase), (["date"], "string", "Date as YYYY-MM-DD", PARAMS["date"][2]), (["time"], "string", "Time as HH:MM", PARAMS["time"][2])],
     ["Create an event {0} on {1} at {2}.", "Put {0} in my calendar on {1} at {2}.", "Schedule {0} for {1} at {2}."]),
    (["get_time", "current_time", "get_current_time"], "Get the current time in a city", [(["city", "location", "timezone"], "string", "City", city)], ["What time is it in {0}?", "What is the time in {0}?", "Tell me the current time in {0}.", "Time in {0}?"]),
    (["translate", "translate_text"], "Translate a text", [(["text", "sentence"], "string", "The text", phrase), (["language", "target_language", "to"], "string", "Target language", lambda r: r.pick("French German Spanish Italian Japanese Polish Greek Dutch".split()))],
     ["Translate {0} to {1}.", "How do you say {0} in {1}?", "Translate {0} into {1}."]),
    (["convert_currency", "exchange", "currency_converter"], "Convert money", [(["amount", "value"], "number", "Amount", lambda r: r.upto(1, 999)), (["from", "from_currency", "source"], "string", "From", lambda r: r.pick("USD EUR GBP".split())), (["to", "to_currency", "target"], "string", "To", lambda r: r.pick("JPY CHF SEK".split()))],
     ["Convert {0} {1} to {2}.", "How much is {0} {1} in {2}?", "Change {0} {1} into {2}"]),
    (["get_stock_price", "stock_price", "get_quote"], "Get a stock price", [(["symbol", "ticker", "company"], "string", "Ticker symbol", lambda r: "".join(r.pick("ABCDEFGHIKLMNOPRSTUVXYZ") for _ in range(r.upto(3, 4))))], ["What is the stock price of {0}?", "How much is {0} trading for?", "Stock price of {0}, please.", "Get the price of {0} stock."]),
    (["play_song", "play_music", "play"], "Play music", [(["title", "song", "track"], "string", "Title", phrase), (["artist"], "string", "Artist", person)], ["Play {0} by {1}.", "I want to hear {0} by {1}", "Put on {0} by {1}."]),
    (["turn_on_light", "light_on", "switch_on_light"], "Turn on the light of a room", [(["room", "location"], "string", "The room", lambda r: r.pick("kitchen bedroom bathroom garage hall office attic cellar garden".split()))], ["Turn on the light in the {0}.", "Switch on the {0} light.", "Make light in the {0}, please."]),
    (["set_thermostat", "set_temperature"], "Set the temperature of a room", [(["room"], "string", "The room", lambda r: r.pick("kitchen bedroom bathroom garage hall office attic cellar".split())), (["temperature", "degrees"], "number", "Degrees", lambda r: r.upto(14, 26))], ["Set the {0} to {1} degrees.", "Make it {1} degrees in the {0}.", "Heat the {0} to {1} degrees."]),
    (["get_capital", "find_capital"], "Look up the capital of a country", [(["country", "name"], "string", "Country", coin)], ["What is the capital of {0}?", "Look up the capital of {0}.", "Find the capital of {0}"]),
    (["find_restaurant", "search_restaurants"], "Find a restaurant", [(["cuisine", "food", "kind"], "string", "Kind of food", lambda r: r.pick("Italian Chinese Indian Greek Thai French Mexican Turkish".split())), (["city", "location"], "string", "City", city)],
     ["Find {0_an} restaurant in {1}.", "Where can I eat {0} food in {1}?", "I want {0} food in {1}."]),
    (["book_table", "reserve_table"], "Reserve a table", [(["restaurant", "name"], "string", "Restaurant", coin), (["people", "guests", "party_size"], "integer", "Number of people", lambda r: r.upto(2, 12)), (["time"], "string", "Time as HH:MM", PARAMS["time"][2])],
     ["Book a table at {0} for {1} people at {2}.", "Reserve a table for {1} at {0} at {2}.", "I need a table at {0} for {1} at {2}"]),
    (["get_user", "lookup_user", "find_user", "get_customer"], "Look up a user", [(["name", "username", "user"], "string", "Name", person)], ["Look up the user {0}.", "Find the user {0}", "Who is the user {0}?", "Show me the user {0}."]),
    (["get_order", "order_status", "track_order"], "Look up an order", [(["order_id", "id", "number"], "string", "Order number", PARAMS["id"][2])], ["Where is my order {0}?", "What is the status of order {0}?", "Track order {0}.", "Look up order {0}"]),
    (["roll_dice", "roll"], "Roll dice", [(["sides"], "integer", "Sides of a die", lambda r: r.upto(4, 20)), (["count", "dice"], "integer", "How many dice", lambda r: r.upto(2, 9))], ["Roll {1} dice with {0} sides.", "Roll {1} {0}-sided dice."]),
    (["read_file", "open_file", "cat"], "Read a file", [(["path", "file", "filename"], "string", "Path of the file", lambda r: coin(r).lower() + r.pick([".txt", ".md", ".json", "/" + coin(r).lower() + ".c"]))], ["Read the file {0}.", "Open {0}", "What is in {0}?", "Show me the file {0}."]),
    (["get_distance", "distance"], "Distance between two cities", [(["from", "origin", "start"], "string", "Start", city), (["to", "destination", "end"], "string", "End", coin)], ["How far is it from {0} to {1}?", "What is the distance from {0} to {1}?", "Distance from {0} to {1}"]),
    (["book_flight", "search_flights", "find_flights"], "Find a flight", [(["from", "origin", "departure"], "string", "Departure", city), (["to", "destination", "arrival"], "string", "Destination", coin), (["date"], "string", "Date", PARAMS["date"][2])],
     ["Find a flight from {0} to {1} on {2}.", "I want to fly from {0} to {1} on {2}", "Book a flight from {0} to {1} for {2}."]),
    (["remember", "save_note", "add_note"], "Save a note", [(["text", "note", "content"], "string", "The note", phrase)], ["Save a note: {0}", "Write down: {0}", "Note this: {0}", "Add the note {0}"]),
]


POSSESSIONS = ["phone number", "age", "address", "birthday", "salary", "email address", "account balance", "score", "height", "room number", "job title", "favourite colour", "order", "schedule", "location", "rating", "manager", "home town"]
PLACES_OF = ["population", "area", "mayor", "time zone", "postal code", "founding year", "elevation", "river", "language", "currency"]


VERBS = "get lookup find fetch query read show load ask give pull see tell count check scan".split()


def attribute_tool(r, taken):
    """A tool that looks one thing up about a person or a place."""
    def draw():
        person_ = r.chance(0.6)
        return r.pick(["get", "lookup", "find", "fetch", "query"]), r.pick(POSSESSIONS if person_ else PLACES_OF), r.pick(["person", "name", "user", "who", "employee"] if person_ else ["city", "town", "place", "location"]), person_
    def invented():
        noun = r.pick([coin(r).lower(), r.pick(OBJECTS), "%s %s" % (r.pick(COLOURS), r.pick(OBJECTS)), "%s %s" % (coin(r).lower(), r.pick(["level", "rate", "code", "list", "name"])), draw()[1]])
        return r.pick(VERBS), noun, r.pick([draw()[2], r.pick(OBJECTS), coin(r).lower()]), r.chance(0.6)
    verb, noun, param, person_ = r.split_pick(invented if r.wide and r.chance(0.6) else draw, lambda d: "attribute %s %s %s" % d[:3])
    if noun in taken:
        return None
    name = verb + "_" + noun.replace(" ", "_") if r.chance(0.7) else verb + "".join(w.capitalize() for w in noun.split(" "))
    f = {"name": name, "description": r.pick(["Look up the {n} of {k}", "Get the {n} of {k}.", "Returns the {n} for {k}"]).format(n=noun, k=r.pick(["a person", "someone"]) if person_ else "a place"),
         "parameters": {"type": "object", "properties": {param: {"type": "string"}}, "required": [param]}}
    asks = ["What is {0}'s %s?", "What is the %s of {0}?", "Look up the %s of {0}.", "Tell me {0}'s %s.", "Find the %s of {0}", "I need {0}'s %s.", "{0}'s %s, please."]
    return {"tool": {"type": "function", "function": f}, "asks": [a % noun for a in asks], "fields": [(param, "string", "", person if person_ else city)], "name": name, "noun": noun, "what": noun}


def common_tool(r, taken):
    """One of the everyday tools; the held-out key is the pair of its name and parameter names."""
    if r.chance(0.75 if r.wide else 0.3):
        return attribute_tool(r, taken)
    def draw():
        names, what, params, asks = r.pick(COMMON)
        return r.pick(names), what, [(r.pick(p[0]), *p[1:]) for p in params], asks
    name, what, params, asks = r.split_pick(draw, lambda d: "common %s %s" % (d[0], " ".join(p[0] for p in d[2])))
    if what in taken or name in taken:
        return None
    if r.wide and r.chance(0.5):
        name = r.pick([lambda: name + "_" + coin(r).lower(), lambda: coin(r).lower() + "_" + name, lambda: r.pick(VERBS) + "_" + name, lambda: "".join(w.capitalize() for w in name.split("_")), lambda: name + "_" + r.pick(OBJECTS)])()
        if held("common %s %s" % (name, " ".join(p[0] for p in params))):
            return None
    props = {}
    for n, kind, d, _ in params:
        props[n] = {"type": "string", "enum": kind} if isinstance(kind, list) else {"type": kind}
        if r.chance(0.7):
            props[n]["description"] = d
    f = {"name": name, "description": what + r.pick(["", "."]), "parameters": {"type": "object", "properties": props, "required": list(props)}}
    return {"tool": {"type": "function", "function": f}, "asks": asks, "fields": params, "name": name, "noun": name, "what": what}


def common_request(r, t):
    values = [r.split_pick(lambda: draw(r), lambda x: "arg %s" % x) if isinstance(kind, str) and n in ("date", "time") else draw(r) for n, kind, _, draw in t["fields"]]
    text = r.pick(t["asks"])
    text = text.replace("{0_an}", an(str(values[0]))).format(*values)
    if r.chance(0.1):
        text = r.pick(["Please: ", "Hi! ", "Hello, ", "I have a question. ", "Could you help me? "]) + text
    return text, {f[0]: v for f, v in zip(t["fields"], values)}


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
    share = r.pick([0, 0.5, 1])
    while len(tools) < n:
        t = common_tool(r, taken) if r.random() < share else make_tool(r, taken)
        if t:
            taken |= {t["noun"], t.get("what")}
            if "asks" in t and t["fields"][0][0] in ("a", "x", "first"):
                taken |= {"Evaluate an expression"}
            elif t.get("what") in SAME:
                taken |= SAME[t["what"]]
            tools.append(t)
    return tools


# tools that would answer the same request
SAME = {s: g for g in ({"Get the current weather", "Get the weather in a unit", "Weather forecast"}, {"Send an email", "Send a text message"}, {"Start a timer", "Create a reminder", "Add an event to the calendar", "Set an alarm"},
                       {"Add two numbers", "Multiply two numbers", "Evaluate an expression"}, {"Search the web", "Look up a user", "Read a file", "Look up the capital of a country", "Look up an order"},
                       {"Save a note", "Send a text message", "Create a reminder"}, {"Set the temperature of a room", "Turn on the light of a room"}) for s in g}


def request(r, t):
    """-> wording of a request for the tool, its arguments"""
    if "asks" in t:
        return common_request(r, t)
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
    said = [RESULTS[k][1].format(n=noun, v=data[k]) for k in ks]
    if r.chance(0.6):                                    # a key that no list holds
        k = r.pick([r.pick(OBJECTS), coin(r).lower(), r.pick(OBJECTS) + "_" + r.pick(["name", "number", "level", "type"]), coin(r).lower() + "_" + r.pick("abcdefghijklmnop")])
        data[k] = r.pick([lambda: r.upto(0, 9999), lambda: coin(r), lambda: phrase(r)])()
        said.append("The %s is %s." % (k.replace("_", " "), data[k]))
    return data, " ".join(said)


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
    if "what" in t and "weather" in t["what"]:
        d = {"temperature": r.upto(-20, 40), "condition": r.pick(["sunny", "cloudy", "rainy", "windy", "snowy", "foggy"])}
        place = next(iter(args.values()))
        if r.chance(0.3):
            d = {"city": place, **d}
        data, said = d, "It is %d degrees and %s in %s." % (d["temperature"], d["condition"], place)
    elif "what" in t and t["what"].endswith("two numbers"):
        a, b = args.values()
        v = a + b if "Add" in t["what"] else a * b
        data, said = r.pick([{"result": v}, {"value": v}, {"answer": v}]), "The result is %d." % v
    text_result = None
    if r.chance(0.15):                                   # a result that is no JSON object
        v = str(r.pick([lambda: r.upto(0, 99999), lambda: coin(r), lambda: phrase(r), lambda: person(r), lambda: "%03d-%04d" % (r.upto(0, 999), r.upto(0, 9999))])())
        data, said, text_result = {"result": v}, "The result is %s." % v, v
    elif r.chance(0.1):
        error = r.pick(["not found", "timeout", "no connection", "access denied", "unknown id"])
        data, said = {"error": error}, "The tool answered with an error: %s." % error
    if "temperature" in data and "condition" in data:
        check = [str(data["temperature"]), data["condition"]]
    else:
        check = [str(v) for v in data.values()]
    m += [{"role": "assistant", "content": "", "tool_calls": [call(t, args)]}, {"role": "tool", "content": text_result or json.dumps(data, ensure_ascii=False)}, {"role": "assistant", "content": said}]
    return sample("tool_result", m, {"type": "contains", "all": check}, [t["tool"] for t in tools])


def no_tool(r, filler):
    """Tools are there, but the question needs none."""
    while True:
        tools, f = toolbox(r), filler(r)
        able = any(t.get("what") for t in tools)
        if not (able and f["category"] in ("arithmetic", "refuse")) and not (f["category"] == "talk" and any(t.get("what") in ("Look up the capital of a country", "Search the web") for t in tools)):
            break
    check = f["check"] and dict(f["check"], no_call=True)
    system = r.pick(SYSTEMS)
    m = ([{"role": "system", "content": system}] if system else []) + [x for x in f["messages"] if x["role"] != "system"]
    return sample("tool_none", m, check, [t["tool"] for t in tools])


def missing_tool(r):
    """None of the tools fits the request: the answer says so and calls nothing."""
    tools = toolbox(r)
    taken = {x["noun"] for x in tools} | {x.get("what") for x in tools} | {"Add two numbers", "Multiply two numbers", "Evaluate an expression", "Look up the capital of a country"}
    for x in tools:
        taken |= SAME.get(x.get("what"), set())
    while not (t := common_tool(r, taken) if r.chance(0.4) else make_tool(r, taken)):
        pass
    text, _ = request(r, t)
    return sample("tool_none", chat(text, "I have no tool for that.", system=r.pick(SYSTEMS)), {"type": "refuse", "no_call": True}, [x["tool"] for x in tools])
