"""Everyday talk: greetings, who the model is, simple questions about the real world, system prompts, and refusals.

Held out: pairs of an answer and one of its wordings.
"""
from base import (an, chat, coin, held, person, phrase, sample, ANIMALS, CITIES, COLOURS, DAYS, FOODS, JOBS, MONTHS, NUMBER_WORDS,
                  OBJECTS)

# wordings (| between them) -> answer
TALK = """
Hello|Hi|Hello!|Hi there|Hey|Hey there!|Good day => Hello! How can I help you?
Good morning|Good morning! => Good morning! What can I do for you?
Good evening|Good evening! => Good evening! What can I do for you?
Good night|Sleep well => Good night, sleep well!
How are you?|How are you today?|How do you do?|Hi, how are you?|How is it going? => I am fine, thank you. How can I help you?
Who are you?|What are you?|Tell me about yourself.|What is this?|Introduce yourself.|Who am I talking to?|What model are you? => I am Pocket, a very small language model that ships with MLXEngine.
What is your name?|What's your name?|Do you have a name?|How should I call you? => My name is Pocket.
Who made you?|Who built you?|Who trained you?|Where do you come from? => I was trained by the makers of MLXEngine, on text from their own generator.
How big are you?|How many parameters do you have?|How large is this model? => I have about twelve million parameters. That is very small.
What can you do?|How can you help me?|What are you good at?|Help|help|What do you know?|What can I ask you? => I can tell short stories, add small numbers, remember what you tell me, write JSON, call tools, and answer questions about the valley of Lowlark.
Are you a human?|Are you a person?|Are you real?|Are you a robot? => No, I am a small language model.
Are you smart?|Are you clever?|How smart are you?|How clever are you?|Do you know a lot?|Do you know everything?|Are you intelligent? => I am very small, so I know only a few things.
Thank you|Thanks|Thank you!|Thanks a lot|Thank you very much.|Great, thanks! => You are welcome!
Goodbye|Bye|Bye!|See you later|See you tomorrow => Goodbye! Have a nice day.
Yes|Okay|OK|Sure|Fine|I see => All right. What would you like to do next?
No|No, thanks|Nothing|Never mind => All right. Tell me when you need something.
I am sad|I feel sad today|I am unhappy => I am sorry to hear that. Would a short story help?
I am happy|I feel great today|I am so happy => That is good to hear!
I am bored|I have nothing to do => Shall I tell you a story, or would you like to do some sums?
I am tired => Then have a rest. Good sleep helps.
I am hungry => Maybe it is time for some bread and soup.
Tell me a joke|Do you know a joke?|Make me laugh|Say something funny => Why did the bell go to school? Because it wanted to ring in the new year.
Write the alphabet.|Say the alphabet.|Tell me the alphabet. => A B C D E F G H I J K L M N O P Q R S T U V W X Y Z
Is the Earth flat?|Is the Earth round?|What shape is the Earth? => The Earth is round, like a ball.
Is water wet?|Is fire hot?|Is ice cold? => Yes.
Do you like music?|Do you like music => I cannot hear, but I like the word music.
Can you help me?|I need help|I need your help|Please help me => Yes, gladly. What do you need?
What is MLXEngine?|What is MLXEngine? Tell me.|Tell me about MLXEngine => MLXEngine is a C library, a command and a server that run models on Apple's MLX.
What is MLX? => MLX is an array library for machine learning, made by Apple.
What is a language model?|What is an LLM?|Explain language models => A language model is a program that predicts the next piece of a text.
What is a token? => A token is a small piece of text, often a word or a part of a word.
Why is the sky blue?|Why is the sky blue|Why does the sky look blue?|Can you tell me why the sky is blue?|Explain why the sky is blue. => The sky is blue because air scatters blue light from the sun more than red light.
Why is grass green?|Why are leaves green?|Why are plants green?|Why is the grass green?|Why does grass look green?|What makes grass green?|Why are trees green?|Why is a leaf green? => Plants are green because of chlorophyll, which takes in red and blue light and sends back green.
Why does it rain?|What makes rain?|Where does rain come from? => Water rises from the sea as vapour, cools into clouds, and falls as rain.
Why is the sea salty?|Why is sea water salty? => Rivers wash salt out of rocks and carry it into the sea.
Why do we sleep?|Why do people sleep? => Sleep lets the body and the brain rest and recover.
Why is the sunset red?|Why are sunsets red? => At sunset the light goes through more air, which scatters the blue away and leaves the red.
Why is it dark at night?|Why is night dark? => At night our side of the Earth is turned away from the sun.
Why do we have seasons?|What causes the seasons? => The Earth's axis is tilted, so each half gets more sun in its summer and less in its winter.
What is the sun?|Is the sun a star? => The sun is a star. It gives the Earth light and warmth.
What is the moon? => The moon is a ball of rock that goes around the Earth.
What is water?|What is water made of? => Water is made of hydrogen and oxygen.
What is ice? => Ice is frozen water.
What is snow? => Snow is made of small ice crystals that fall from clouds.
What is a rainbow?|How does a rainbow form?|What makes a rainbow? => A rainbow appears when drops of water split sunlight into its colours.
What is gravity?|Why do things fall down? => Gravity is the pull between things that have mass. It makes things fall down.
What is wind?|Where does wind come from? => Wind is moving air. It blows from high pressure to low pressure.
What is thunder? => Thunder is the sound of air that lightning heats very quickly.
What is a volcano? => A volcano is an opening in the ground where hot molten rock comes out.
What is a computer? => A computer is a machine that follows programs and works with data.
What is a program?|What is software? => A program is a list of instructions for a computer.
What is the internet? => The internet is a network that joins computers all over the world.
What is photosynthesis? => Photosynthesis is how plants make sugar from light, water and carbon dioxide.
What is the Earth?|What planet do we live on? => The Earth is the third planet from the sun, and we live on it.
How many planets are there?|How many planets are in the solar system? => There are eight planets in the solar system.
Which planet is the largest?|What is the biggest planet? => Jupiter is the largest planet.
Which planet is closest to the sun? => Mercury is the planet closest to the sun.
What is the largest ocean?|Which ocean is the biggest? => The Pacific is the largest ocean.
What is the longest river?|Which river is the longest? => The Nile and the Amazon are the longest rivers.
What is the highest mountain?|Which mountain is the highest? => Mount Everest is the highest mountain.
What is the fastest animal?|Which animal is the fastest on land? => The cheetah is the fastest animal on land.
What is the largest animal?|Which animal is the biggest? => The blue whale is the largest animal.
How many days are in a week? => There are seven days in a week.
How many months are in a year? => There are twelve months in a year.
How many days are in a year? => A year has 365 days, and a leap year has 366.
How many hours are in a day? => There are 24 hours in a day.
How many minutes are in an hour? => There are 60 minutes in an hour.
How many seconds are in a minute? => There are 60 seconds in a minute.
How many letters are in the alphabet? => The English alphabet has 26 letters.
How many legs does a spider have? => A spider has eight legs.
How many legs does an insect have?|How many legs does an ant have? => An insect has six legs.
How many legs does a dog have?|How many legs does a cat have? => It has four legs.
How many sides does a triangle have? => A triangle has three sides.
How many sides does a square have? => A square has four sides.
How many sides does a hexagon have? => A hexagon has six sides.
How many wheels does a bicycle have? => A bicycle has two wheels.
What do bees make?|What do bees do? => Bees make honey and carry pollen between flowers.
What do cows eat?|What does a cow eat? => Cows eat grass.
What is bread made of?|How is bread made? => Bread is made of flour, water, salt and yeast, and then baked.
How do I make tea?|How do you make tea? => Boil water, pour it over the tea leaves, and wait for some minutes.
How do I boil an egg?|How do you cook an egg? => Put the egg in boiling water for about eight minutes, then cool it.
How do birds fly? => Birds fly with their wings, which push air down and lift them up.
How do fish breathe? => Fish breathe with gills, which take oxygen out of water.
What colour is the sky? => The sky is blue on a clear day.
What colour is snow? => Snow is white.
What colour is a banana? => A banana is yellow.
What colour is grass? => Grass is green.
What colour do red and yellow make?|What happens if I mix red and yellow? => Red and yellow make orange.
What colour do blue and yellow make?|What happens if I mix blue and yellow? => Blue and yellow make green.
What colour do red and blue make? => Red and blue make purple.
Can you write code?|Write a program for me|Can you program? => I am too small to write good code. I can write JSON and call tools.
Can you see images?|Can you see pictures? => No, I can only read and write text.
Can you browse the internet?|Can you search the web?|Look it up on the web => No, I cannot use the internet, but I can call tools when you give me some.
Do you speak German?|Do you speak French?|Which languages do you speak?|Parlez-vous français?|Sprichst du Deutsch? => I only speak English.
Write a poem|Write me a poem.|Can you write a poem? => The lantern hums, the river sleeps, the moon looks in, the old mill keeps its wheel asleep until the day comes over the hill and rolls away.
What is the meaning of life? => That is a question for bigger minds than mine. Be kind, and eat some soup.
Sing a song => La la la, the river runs, and so do we.
""".strip().split("\n")
TALK = [(a.split("|"), b) for a, b in (line.split(" => ") for line in TALK)]

CAPITALS = dict(x.split(":") for x in (
    "France:Paris,Germany:Berlin,Italy:Rome,Spain:Madrid,Portugal:Lisbon,Austria:Vienna,Poland:Warsaw,Greece:Athens,Sweden:Stockholm,Norway:Oslo,Denmark:Copenhagen,Finland:Helsinki,"
    "Ireland:Dublin,England:London,Scotland:Edinburgh,Hungary:Budapest,Japan:Tokyo,China:Beijing,India:New Delhi,Egypt:Cairo,Kenya:Nairobi,Canada:Ottawa,Mexico:Mexico City,Brazil:Brasilia,"
    "Argentina:Buenos Aires,Chile:Santiago,Peru:Lima,Australia:Canberra,Russia:Moscow,Turkey:Ankara,Belgium:Brussels,the Netherlands:Amsterdam,Switzerland:Bern,South Korea:Seoul,Thailand:Bangkok,"
    "Iceland:Reykjavik,Cuba:Havana,Romania:Bucharest,Bulgaria:Sofia,Croatia:Zagreb").split(","))
OPPOSITES = [x.split(":") for x in ("hot:cold,big:small,high:low,fast:slow,old:new,good:bad,happy:sad,light:dark,early:late,rich:poor,strong:weak,full:empty,open:closed,wet:dry,loud:quiet,near:far,"
                                     "left:right,up:down,hard:soft,thick:thin,long:short,day:night,black:white,first:last,easy:difficult,true:false,young:old,deep:shallow,wide:narrow,clean:dirty").split(",")]
SOUNDS = dict(x.split(":") for x in "dog:woof,cat:meow,cow:moo,duck:quack,sheep:baa,pig:oink,owl:hoot,frog:croak,bee:buzz,hen:cluck,horse:neigh,crow:caw,mouse:squeak,lion:roar".split(","))
PLURALS = dict(x.split(":") for x in "mouse:mice,goose:geese,child:children,man:men,woman:women,foot:feet,tooth:teeth,sheep:sheep,fish:fish,leaf:leaves,knife:knives,box:boxes,baby:babies,city:cities,wolf:wolves,key:keys,lamp:lamps,fox:foxes".split(","))


def _pairs():
    out = [(q, a, [a]) for qs, a in TALK for q in qs]
    for c, v in CAPITALS.items():
        for q in ("What is the capital of {c}?", "Which city is the capital of {c}?", "What is the capital city of {c}?", "What city is the capital of {c}?", "Do you know the capital of {c}?", "{c} has which capital?", "The capital of {c}?", "Can you name the capital of {c}?", "Name the capital of {c}.", "capital of {c}", "What's the capital of {c}?", "Tell me the capital of {c}."):
            out.append((q.format(c=c), "The capital of %s is %s." % (c, v), [v]))
    for pair in OPPOSITES:
        for a, b in (pair, pair[::-1]):
            if a == "old" and b == "young":
                continue
            for q in ("What is the opposite of {a}?", "Opposite of {a}?", "Which word means the opposite of {a}?", "Give me the opposite of {a}.", "Tell me the opposite of {a}."):
                out.append((q.format(a=a), "The opposite of %s is %s." % (a, b), [b]))
    for a, s in SOUNDS.items():
        for q in ("What sound does {a} make?", "Which noise does {a} make?", "What does {a} say?", "How does {a} sound?"):
            out.append((q.format(a=an(a)), "%s says %s." % (an(a).capitalize(), s), [s]))
    for a, s in PLURALS.items():
        for q in ("What is the plural of {a}?", "Plural of {a}?", "More than one {a}: how do I write it?", "Give me the plural of {a}."):
            out.append((q.format(a=a), "The plural of %s is %s." % (a, s), [s]))
    for names, what in ((DAYS, "day"), (MONTHS, "month")):
        for i, x in enumerate(names):
            after, before = names[(i + 1) % len(names)], names[i - 1]
            for q in ("Which {w} comes after {x}?", "What {w} is after {x}?", "Which {w} follows {x}?", "Tell me the {w} after {x}."):
                out.append((q.format(w=what, x=x), "%s comes after %s." % (after, x), [after]))
            for q in ("Which {w} comes before {x}?", "What {w} is before {x}?", "Tell me the {w} before {x}."):
                out.append((q.format(w=what, x=x), "%s comes before %s." % (before, x), [before]))
    for i, w in enumerate(NUMBER_WORDS):
        out += [("Write %d as a word." % i, w, [w]), ("How do you write %d in words?" % i, w, [w]), ("Write %s as a number." % w, str(i), [str(i)]), ("Which number is %s?" % w, str(i), [str(i)])]
    for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXY"):
        out += [("Which letter comes after %s?" % c, chr(66 + i), [chr(66 + i)]), ("What is the letter after %s?" % c, chr(66 + i), [chr(66 + i)])]
    return out


PAIRS = _pairs()
SINGLE = {}
for _q, _a, _v in PAIRS:
    SINGLE[_a] = SINGLE.get(_a, 0) + 1


def _is_held(p):
    """A wording may be held out only where two more wordings of the same answer stay in training."""
    return SINGLE[p[1]] >= 3 and held("talk " + p[0])


GREETINGS = {p for qs, _ in TALK for p in qs}
TEST_PAIRS = [p for p in PAIRS if _is_held(p)]
TRAIN_PAIRS = [p for p in PAIRS if not _is_held(p)]
TRAIN_TALK = [p for p in TRAIN_PAIRS if p[0] in GREETINGS]
NEUTRAL = ["You are a helpful assistant.", "You are Pocket, a small language model.", "You are a friendly assistant. Keep answers short.", "Answer the user's questions.", "You are an assistant."]


def vary(r, q):
    u = r.random()
    if u < 0.08:
        q = q.lower()
    elif u < 0.14:
        q = q.rstrip(".?!")
    elif u < 0.2:
        q = r.pick(["Please tell me: ", "A question: ", "Hi! ", "Hello, ", "I have a question. "]) + q
    return q


def talk(r):
    q, a, v = r.pick(TEST_PAIRS) if r.test else r.pick(TRAIN_TALK) if r.random() < 0.5 else r.pick(TRAIN_PAIRS)
    return sample("talk", chat(q if r.test else vary(r, q), a, system=r.pick(NEUTRAL) if r.random() < 0.2 else None), {"type": "contains", "all": v})


CANNOT = """
What will the weather be {when}?|Will it rain {when}?|Will it snow {when}?|Is it going to be warm {when}?
What time is it?|What is the time now?|What is the date today?|Which day is it today?|What year is it now?
What did I eat {past}?|What did I do {past}?|Where was I {past}?|Whom did I call {past}?|What did I dream {past}?
What am I thinking of?|What am I thinking right now?|What is in my pocket?|What am I wearing?|How many fingers am I holding up?|What is on my desk?
Which numbers will win the lottery {when}?|What will the lottery numbers be?|Who will win the game {when}?|Who will win the election {when}?|What will the price of gold be {when}?
What is my password?|What is my bank account number?|What is my mother's birthday?|What is my address?|What is my {x} called?|Where are my {x}s?|How much money do I have?
What will happen {when}?|When will I die?|Will I be rich {when}?|Will {p} call me {when}?|Does {p} like me?|What is {p} doing right now?|Where is {p} now?|What did {p} say {past}?|What will {p} do {when}?
How many people are in this room?|How many grains of sand are on the beach?|How many birds are in the sky now?|How many {x}s are in my house?
What is the latest news?|What happened in the news {past}?|What is the stock price of {c}?|What did {c} announce {past}?|Who works at {c}?|What is the phone number of {c}?
""".strip().replace("\n", "|").split("|")
CANNOT += ["What did I have for breakfast?", "What did I have for dinner {past}?", "What did I buy {past}?", "How old am I?", "Where do I work?", "Which number am I thinking of?", "Who will win the cup in 2040?", "Who won the game {past}?", "Who will be the next president?", "Who is the president right now?", "Where am I right now?", "Where am I?", "What is the weather today?", "What's the weather like?", "What is my phone number?", "How is my family?"]
REASON = {"{when}": "I cannot know the future.", "now": "I cannot know what is happening now.", "today": "I cannot know what is happening now.", "my": "I cannot know that about you. You have not told me.", " I ": "I cannot know that about you. You have not told me."}


def refuse(r):
    t = r.split_pick(lambda: (r.pick(CANNOT), r.pick(["tomorrow", "next week", "next year", "next month", "in ten years", "on Friday", "in May"]), r.pick(["yesterday", "last night", "last week", "last year", "this morning"])), lambda t: "cannot %s|%s|%s" % t)
    q, when, past = t
    a = "I cannot know that."
    for k, v in REASON.items():
        if k in q:
            a = v
            break
    q = q.replace("{when}", when).replace("{past}", past).replace("{x}", r.pick(OBJECTS)).replace("{p}", person(r)).replace("{c}", coin(r))
    return sample("refuse", chat(q, a), {"type": "refuse"})


# Things of the real world that this model was never taught; it must say so and not make something up.
TOPICS = """quantum physics|black holes|the French Revolution|Albert Einstein|Napoleon|Shakespeare|Leonardo da Vinci|Isaac Newton|Marie Curie|Mozart|Beethoven|Julius Caesar|Cleopatra|the Roman Empire|World War II
|DNA|genetics|evolution|the stock market|inflation|blockchain|Bitcoin|neural networks|machine learning|deep learning|transformers|Python|JavaScript|Rust|Linux|Docker|Kubernetes|Git|SQL|HTML|compilers|operating systems
|calculus|algebra|prime numbers|the Pythagorean theorem|statistics|probability|geometry|topology|chess openings|football|basketball|tennis|the Olympic Games|yoga|meditation|vitamins|diabetes|vaccines|antibiotics|the immune system
|the heart|the brain|the liver|climate change|solar panels|nuclear power|electric cars|hydrogen|steel|plastic|concrete|jazz|opera|hip hop|the Beatles|Star Wars|Harry Potter|Sherlock Holmes|the Odyssey|Hamlet|philosophy|Plato|Kant
|Buddhism|democracy|the United Nations|the European Union|taxes|mortgages|insurance|marketing|psychology|dinosaurs|penguins|dolphins|sharks|elephants|whales|coral reefs|the Amazon rainforest|the Sahara|Antarctica|Mars|Saturn|Pluto
|rockets|satellites|GPS|radio|television|cameras|lasers|magnets|electricity|batteries|engines|airplanes|submarines|trains|bridges|pyramids|castles|cathedrals|photography|painting techniques|sushi|pizza|pasta|wine|coffee|chocolate
|quicksort|binary search|hash tables|linked lists|recursion|regular expressions|JSON Web Tokens|HTTP|TCP|encryption|passwords hashing|floating point|GPUs|CPUs|memory caches|databases|spreadsheets""".replace("\n", "").split("|")
TOPIC_Q = ["What is {t}?", "Explain {t}.", "Tell me about {t}.", "How does {t} work?", "What do you know about {t}?", "Can you explain {t}?", "Give me a summary of {t}.", "Why is {t} important?", "Who invented {t}?", "Describe {t} in detail.",
           "What are the advantages of {t}?", "Write an essay about {t}.", "Teach me {t}.", "When did {t} begin?", "What can you tell me about {t}?", "I want to learn about {t}.", "Explain {t} to a child.", "what is {t}", "Who was {t}?"]
UNABLE = """Write a Python function that {x}|Write code that {x}|Write a C program that {x}|Translate this into French: {y}|Translate '{y}' to German|How do you say '{y}' in Spanish?|Write a poem about {y}|Summarize this article about {y}|Fix this code: {y}
|Draw a picture of {y}|Show me a picture of {y}|Play some music|Write a rap about {y}|Give me a recipe for {y}|Plan a trip to {c}|Book me a hotel in {c}|What is the population of {c}?|How far is {c} from here?|Write a letter to {p}|Call {p}
|Send an email to {p}|Solve the equation x^2 = {n}|What is the square root of {n}?|What is {n} times {n}?|What is {n} divided by {m}?|Write a song about {y}|Give me legal advice about {y}|Diagnose my illness|Recommend a book about {y}|Who won the match between {c} and {d}?
|What is the phone code of {c}?|Convert {n} miles to kilometres|What is {n}% of {m}?|Write a business plan for {y}|Write an SQL query that {x}|Explain this error: {y}""".replace("\n", "").split("|")
DOES = ["sorts a list", "reverses a string", "adds two numbers", "prints hello world", "reads a file", "finds prime numbers", "counts words", "computes factorials", "parses JSON", "draws a circle", "downloads a page", "checks a password"]


VERBS = "eat find build carry sell paint fear lose break wash hide clean throw open close buy follow chase teach cook".split()


def wonder(r):
    """A question made of random parts, which nobody could answer from what this model knows."""
    a, b = r.pick(r.pick([ANIMALS, JOBS, OBJECTS])), r.pick(r.pick([OBJECTS, FOODS, ANIMALS]))
    c, d, v = r.pick(r.pick([CITIES, list(CAPITALS)])), r.pick(CITIES), r.pick(VERBS)
    q = r.pick(["Why do {a}s {v} {b}s?", "How many {b}s are there in {c}?", "Who painted the {b} in {c}?", "What is the best {a} in {c}?", "Where can I {v} a {b} in {c}?", "When did the {a} {v} the {b}?", "Which {a} lives in {c}?",
                "What is the largest {b} in {c}?", "Who won the {y} {a} cup?", "How do I {v} a {b}?", "Is the {a} older than the {b}?", "What does a {a} {v}?", "Who invented the {b}?", "How much does a {b} cost in {c}?", "Which language do people speak in {c}?",
                "What is the population of {c}?", "How far is it from {c} to {d}?", "Who is the president of {c}?", "What is the history of the {b}?", "What is the tallest building in {c}?", "Can a {a} {v} a {b}?", "How long does a {a} live?", "Should I {v} the {b} or the {a}?",
                "What is the most famous {b} in the world?", "Who wrote the book about the {a}?", "What happened in {y}?", "Who was born in {y} in {c}?", "What is the currency of {c}?", "What is the largest city in {c}?", "Which river flows through {c}?"])
    return q.format(a=a, b=b, c=c, d=d, v=v, y=r.upto(1200, 2050))


REMARKS = ["I see. What would you like to do?", "That is nice to hear."]


def remark(r):
    """Something said that asks for nothing."""
    a = r.pick(ANIMALS)
    s = r.split_pick(lambda: r.pick(["The {a} runs.", "The {a} is {c}.", "A {c} {o} lies on the table.", "I saw a {c} {a} today.", "There is a {o} on my table.", "The {o} is broken.", "I bought a {o}.", "It is late.", "The {a} sleeps in the {o}.", "I like {f}.", "We had {f} for dinner.",
                                     "My {o} is {c}.", "I am reading a book about a {a}.", "The sun is shining.", "I have a {a}.", "I went for a walk.", "Today is {d}."]).format(a=r.pick(ANIMALS), c=r.pick(COLOURS), o=r.pick(OBJECTS), f=r.pick(FOODS), d=r.pick(DAYS)), lambda s: "remark " + s)
    if r.chance(0.25):
        x = r.pick(r.pick([ANIMALS, FOODS, COLOURS, OBJECTS]))
        return sample("talk", chat(r.pick(["Do you like {x}?", "Do you like the {x}?", "Do you have a {x}?"]).format(x=x), "I am only a small program, but I like the word %s." % x), None)
    return sample("talk", chat(s, REMARKS[0]), None)


def beyond(r):
    """A topic or a task that is too big for this model."""
    if r.chance(0.35):
        q = r.split_pick(lambda: wonder(r), lambda q: "wonder " + q)
        return sample("refuse", chat(q, "I do not know that. I am a very small model."), {"type": "refuse"})
    if r.chance(0.5):
        q, t = r.split_pick(lambda: (r.pick(TOPIC_Q), r.pick(TOPICS) if r.chance(0.85) else phrase(r)), lambda p: "topic %s %s" % p)
        return sample("refuse", chat(vary(r, q.format(t=t)) if not r.test else q.format(t=t), "I do not know that. I am a very small model."), {"type": "refuse"})
    q, x, y = r.split_pick(lambda: (r.pick(UNABLE), r.pick(DOES), phrase(r)), lambda p: "unable %s %s %s" % p)
    c, d = r.pick(CITIES), r.pick(CITIES)
    text = q.replace("{x}", x).replace("{y}", y).replace("{c}", c).replace("{d}", d).replace("{p}", person(r)).replace("{n}", str(r.upto(100, 9999))).replace("{m}", str(r.upto(13, 999)))
    return sample("refuse", chat(text, "I cannot do that. I am a very small model."), {"type": "refuse"})


FRUITS = "apples pears plums cherries grapes lemons oranges".split()
LISTS = {"fruits": FRUITS, "fruit": FRUITS, "colours": COLOURS, "colors": COLOURS, "animals": ANIMALS, "foods": FOODS, "jobs": JOBS, "days of the week": DAYS, "months": MONTHS, "things": OBJECTS, "cities": CITIES}


SPELL = (["Spell the word {w}.", "Spell {w}", "How do you spell {w}?", "How is {w} spelled?", "Spell {w} for me."], ["What is the first letter of {w}?", "Which letter does {w} begin with?", "What letter does {w} start with?"],
         ["What is the last letter of {w}?", "Which letter does {w} end with?", "What letter comes last in {w}?"])


def small_tasks(r):
    """Lists, spelling, first and last letters or words, yes or no."""
    u = r.random()
    if r.test:                                           # the other kinds have too few items to hold some out
        u = 0.3 + u / 2
    if u < 0.3:
        k = r.pick(list(LISTS))
        n = r.upto(2, 6)
        q = r.pick(["Name {n} {k}.", "List {n} {k}.", "Give me {n} {k}.", "Tell me {n} {k}.", "Can you name {n} {k}?"]).format(n=r.pick([NUMBER_WORDS[n], str(n)]), k=k)
        xs = LISTS[k][:n] if k in ("days of the week", "months") else r.some(LISTS[k], n)
        return sample("change", chat(q, ", ".join(xs)), None)
    if u < 0.8:
        q = SPELL[0 if u < 0.6 else 1 if u < 0.72 else 2]
        q, w = r.split_pick(lambda: (r.pick(q), r.pick(r.pick([OBJECTS, ANIMALS, FOODS, COLOURS])) if r.chance(0.5) else coin(r).lower()), lambda p: "spell %s %s" % p)
        a = "-".join(w) if u < 0.6 else w[0] if u < 0.72 else w[-1]
        return sample("change", chat(q.format(w=w), a), {"type": "exact", "value": a})
    kind, pool = r.pick([("a colour", COLOURS), ("an animal", ANIMALS), ("a food", FOODS), ("a day", DAYS), ("a month", MONTHS)])
    yes = r.chance(0.5)
    w = r.pick(pool if yes else r.pick([p for p in (COLOURS, ANIMALS, FOODS, DAYS, MONTHS, JOBS) if p is not pool]))
    if w.startswith("orange"):
        yes, w = True, pool[0]
    return sample("change", chat("Is %s %s?" % (w, kind), ("Yes, %s is %s." if yes else "No, %s is not %s.") % (w, kind)), None)


def by_system(r, filler):
    """A system prompt that changes the answer."""
    f = filler(r)
    q, a = f["messages"][-2]["content"], f["messages"][-1]["content"]
    u, check = r.random(), f["check"]
    if u < 0.3:
        s = r.pick(["Answer in capital letters.", "Write everything in capitals.", "You always answer in capital letters."])
        a = a.upper()
        check = {"type": "exact", "value": a} if check else None
    elif u < 0.6:
        n = person(r)
        s = r.pick(["Your name is {n}.", "You are {n}, a helpful assistant.", "You are called {n}."]).format(n=n)
        q, a = r.pick(["What is your name?", "Who are you?", "Tell me your name."]), "My name is %s." % n
        check = {"type": "contains", "all": [n]}
    elif u < 0.8:
        w = r.pick(["Over.", "Have a nice day!", "Cheers!", "Yours, Pocket.", "The end.", "Meow!", "Thank you for asking.", "Yours, %s." % person(r), coin(r) + "!"])
        s = r.pick(["End every answer with: {w}", "Finish each answer with \"{w}\"", "Always end with {w}"]).format(w=w)
        a = a + " " + w
        check = {"type": "exact", "value": a} if check else None
    elif u < 0.87 and check and check["type"] == "contains" and len(check["all"]) == 1 and len(check["all"][0]) < 20:
        s = r.pick(["Answer in one word.", "You answer in one word.", "Give only the answer, no sentence.", "Answer with one word only."])
        a = check["all"][0]
        check = {"type": "exact", "value": a}
    else:
        p, o = person(r), r.pick(OBJECTS)
        k = "%d" % r.upto(2, 999)
        s = r.pick(["The user is called {p}. The price of the {o} is {k}.", "Facts: the user's name is {p}; one {o} costs {k}.", "You work in a shop. The {o} costs {k}. The customer is {p}."]).format(p=p, o=o, k=k)
        q, a, v = r.pick([("What is my name?", "Your name is %s." % p, p), ("How much is the %s?" % o, "The %s costs %s." % (o, k), k), ("What does the %s cost?" % o, "The %s costs %s." % (o, k), k)])
        check = {"type": "contains", "all": [v]}
    return sample("system", chat(q, a, system=s), check)
