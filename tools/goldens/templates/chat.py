"""chat.py: draws whole chat templates and conversations, for fresh.py --grammar chat.

A template is put together from the pieces that published ones consist of (system prompt, tools,
turns, blocks of content, reasoning, calls, results, dates, generation prompt), each in several
spellings, with whitespace control at random. A conversation has the fields that callers send, and
at times the ones that they should not: null and missing content, blocks, arguments as text,
roles that nobody knows. All of it is made up here; none is a published template's text.
"""
TEXTS = ["Hi", "", " ", "  padded \n", "\n\nlines\r\nhere\n", "Was ist 2 < 3 & \"x\"?", "日本語 😀 ﬁ", "<think>\nhm\n</think>\n\nIt is 4.", "a</think>b</think>\n\n c",
         "<tool_call>x</tool_call>", "{{ x }} {% y %}", "it's \\n \\\"", "line1\nline2\n\n  line3", "<|im_end|>", "[INST] a [/INST]", "\u00a0nb\u2028sp\u3000", "ÀÉ straße İ", "0", "x" * 40]
WORDS = ["user", "assistant", "system", "tool", "### ", "<|u|>", "[A]", "\\n", "<s>", ": ", " | ", "é"]
ROLES = ["user", "assistant", "user", "assistant", "system", "tool", "developer", "ipython", "odd"]
SCALARS = [0, 1, -3, 2.5, 1e-7, 1e22, 123456789012345678901, True, False, None, "x", "", "ü\n\"q\"", "<b>&'"]


class Talk:
    """A random conversation with what goes beside it."""

    def __init__(self, rng):
        self.r = rng

    def pick(self, *options):
        return self.r.choice(options)

    def value(self, depth=2):
        k = self.r.random()
        if depth == 0 or k < 0.6:
            return self.r.choice(SCALARS)
        if k < 0.8:
            return [self.value(depth - 1) for _ in range(self.r.randrange(4))]
        return {self.pick("k", "a b", "é", "type", "1", "items"): self.value(depth - 1) for _ in range(self.r.randrange(4))}

    def part(self):
        text = self.r.choice(TEXTS)
        return self.pick({"type": "text", "text": text}, {"type": "text", "text": text}, {"type": "text", "text": text}, {"type": "image"}, {"type": "image", "url": "http://x/y.png"},
                         {"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "audio", "audio": "z"}, {"type": "video"}, {"type": "text", "content": text}, {"text": text},
                         {"type": "thinking", "thinking": text}, {"type": "tool_reference", "name": "f"}, text)

    def content(self):
        k = self.r.random()
        if k < 0.7:
            return self.r.choice(TEXTS)
        if k < 0.9:
            return [self.part() for _ in range(self.r.randrange(4))]
        return self.pick(None, None, {"a": 1}, 5, [], True, {"type": "text", "text": "lone"})

    def arguments(self):
        a = {self.pick("city", "n", "opts", "ü", "items", "x y"): self.value() for _ in range(self.r.randrange(4))}
        return self.pick(a, a, a, '{"city": "Oslo", "n": [1, 2.0]}', "{}", "no json", None, [], {})

    def call(self):
        f = {"name": self.pick("f", "get_weather", "add-up", "ns.f"), "arguments": self.arguments()}
        c = self.pick({"type": "function", "function": f}, {"id": "call_1", "type": "function", "function": f}, {"id": self.pick("a1", "123456789", ""), "function": f}, f)
        return dict(c)

    def message(self, role=None):
        m = {"role": role or self.r.choice(ROLES)}
        if self.r.random() < 0.95:
            m["content"] = self.content()
        if m["role"] == "assistant" or self.r.random() < 0.05:
            if self.r.random() < 0.35:
                m["tool_calls"] = self.pick([self.call() for _ in range(self.pick(1, 1, 2, 3))], [self.call()], [], None)
            if self.r.random() < 0.3:
                m[self.pick("reasoning_content", "reasoning_content", "thinking", "reasoning")] = self.pick(*TEXTS[:9], None, "Step 1.\nStep 2.")
        if m["role"] in ("tool", "ipython"):
            m.update(self.pick({}, {"name": "f"}, {"tool_call_id": "call_1"}, {"tool_call_id": "call_1", "name": "get_weather"}))
        if self.r.random() < 0.05:
            m.update(self.pick({"name": "Bob"}, {"prefix": True}, {"weight": 0}, {"documents": []}, {"tools": []}, {"recipient": "all"}, {"items": 1}, {"content": None}))
        if self.r.random() < 0.02:
            del m["role"]
        return m

    def messages(self):
        k = self.r.random()
        if k < 0.02:
            return []
        if k < 0.35:
            return [self.message() for _ in range(self.pick(1, 2, 3, 5))]
        out = [self.message("system")] if self.r.random() < 0.5 else []
        for _ in range(self.pick(1, 1, 2, 3, 4)):
            out += [self.message("user"), self.message("assistant")]
            if out[-1].get("tool_calls"):
                out += [self.message("tool") for _ in out[-1]["tool_calls"]] + self.pick([], [self.message("assistant")])
        return out if self.r.random() < 0.4 else out[:-1]

    def schema(self, depth=2):
        kind = self.pick("string", "integer", "number", "boolean", "array", "object", ["string", "null"], "null")
        s = {"type": kind}
        if self.r.random() < 0.6:
            s["description"] = self.r.choice(TEXTS)
        if self.r.random() < 0.2:
            s["enum"] = self.pick(["a", "b"], [1, 2], ["x", None])
        if self.r.random() < 0.1:
            s["default"] = self.r.choice(SCALARS)
        if self.r.random() < 0.05:
            s = {"anyOf": [{"type": "string"}, {"type": "null"}]}
        if kind == "array" and depth:
            s["items"] = self.schema(depth - 1)
        if kind == "object" and depth:
            s.update(self.parameters(depth - 1))
        return s

    def parameters(self, depth=2):
        names = self.r.sample(["city", "n", "opts", "tags", "type", "ü"], self.r.randrange(4))
        p = {"type": "object", "properties": {n: self.schema(depth) for n in names}}
        if self.r.random() < 0.6:
            p["required"] = names[:self.r.randrange(3)]
        return p

    def tool(self):
        f = {"name": self.pick("f", "get_weather", "add"), "description": self.r.choice(TEXTS)}
        if self.r.random() < 0.9:
            f["parameters"] = self.pick(self.parameters(), self.parameters(), {}, {"type": "object"}, None)
        if self.r.random() < 0.1:
            f["return"] = {"type": "string"}
        return self.pick({"type": "function", "function": f}, {"type": "function", "function": f}, {"type": "function", "function": f}, f, {"function": f})

    def line(self):
        r = self.r
        line = {"messages": self.messages(), "strftime_now": self.pick("2031-05-17T10:22:33", "2024-02-29T00:05:09", "1999-12-31 23:59:59.999999")}
        if r.random() < 0.7:
            line["add_generation_prompt"] = r.random() < 0.7
        if r.random() < 0.85:
            line.update(bos_token="<s>", eos_token="</s>", pad_token="<pad>")
        if r.random() < 0.5:
            line["tools"] = self.pick([self.tool() for _ in range(self.pick(1, 1, 2, 3))], [self.tool()], [], None)
        if r.random() < 0.15:
            line["documents"] = self.pick([{"title": r.choice(TEXTS), "text": r.choice(TEXTS)}, {"doc_id": 1, "title": "T", "text": "x", "contents": "c"}], [{"text": "only"}], [], None)
        for name, values in (("enable_thinking", (True, False, None)), ("reasoning_effort", ("low", "high", None)), ("thinking", (True, False)), ("date_string", ("26 Jul 2024", None)),
                             ("builtin_tools", (["brave_search", "x"], [])), ("custom_tools", ([],)), ("tool_choice", ("auto", {"name": "f"})), ("model_identity", ("I am Bo.",)),
                             ("xml_tools", (True, False)), ("response_format", ({"type": "json_schema", "json_schema": {"b": [1, {"a": None}]}},)), ("language", ("de", "é")), ("keep", (0, 1, 2, 10))):
            if r.random() < 0.12:
                line[name] = r.choice(values)
        if r.random() < 0.08:
            line["continue_final_message"] = self.pick(True, True, "content", "reasoning_content", "thinking", "x")
            if r.random() < 0.8:
                line.pop("add_generation_prompt", None)
        return line


class Chat:
    def __init__(self, rng):
        self.r = rng

    def pick(self, *options):
        return self.r.choice(options)

    # ---- spelling ----

    def tag(self, inner):
        s = lambda *o: self.pick("", "", "-", *o)  # noqa: E731
        return "{%" + s("-", "+") + self.pick(" ", " ", "") + inner + self.pick(" ", " ", "") + s("+") + "%}" + self.pick("", "", "", "\n", "\n  ", " ")

    def out(self, *parts):
        parts = [p for p in parts if p]
        glue = self.pick(" + ", " ~ ", "}}{{") if len(parts) > 1 else ""
        if glue == "}}{{":
            return "".join(self.out(p) for p in parts)
        return "{{" + self.pick("", "-", "- ", " ") + glue.join(parts) + self.pick(" ", "", " -") + "}}"

    def quoted(self, text=None):
        text = self.r.choice(WORDS) if text is None else text
        return self.pick("'%s'", '"%s"') % text

    def gap(self):
        return self.pick("", "", "", "\n", "\n\n", "  ", " \n\t", "text\n", "  text ", "<|x|>", "\n    ", "é", "{#- note #}", "{# note -#}\n", "\n  {# note #}\n")

    def at(self, of, name):
        return self.pick(f"{of}.{name}", f"{of}['{name}']", f"{of}[\"{name}\"]", f"{of}.{name}", f"{of}.get('{name}')")

    def has(self, of, name):
        x = self.at(of, name)
        return self.pick(f"{x} is defined", f"{x}", f"'{name}' in {of}", f"{x} is defined and {x}", f"{x} is defined and {x} is not none", f"{of}.get('{name}', none) is not none", f"{x} is not none",
                         f"{of}|selectattr('{name}')|list" if self.r.random() < 0.02 else f"({x} or none) is string", f"{x}|default(none)")

    def when(self, test, yes, no=None, other=None):
        out = self.tag("if " + test) + yes
        if other:
            out += self.tag("elif " + other[0]) + other[1]
        if no is not None:
            out += self.tag("else") + no
        return out + self.tag("endif")

    def each(self, target, of, body, test=None, more=""):
        empty = self.tag("else") + self.gap() if self.r.random() < 0.1 else ""
        return self.tag(f"for {target} in {of}" + (f" if {test}" if test else "") + more) + body + empty + self.tag("endfor")

    # ---- texts ----

    def polish(self, x):
        """A text expression, treated as templates do."""
        return self.pick(x, x, x, f"{x}|trim", f"{x} | trim", f"{x}.strip()", f"({x})|string", f"{x}.strip('\\n')", f"{x}.rstrip()", f"{x}|default('', true)", f"({x} or '')", f"{x}|upper|lower", f"{x}|e", f"{x}|safe",
                         f"{x}.split('</think>')[-1].lstrip('\\n')", f"{x}.split('</think>')|last|trim", f"({x}.split('</think>')[0].split('<think>')[-1])", f"{x}|replace('<|', '< |')", f"{x}.replace('\\n', ' ')",
                         f"{x}|length|string", f"{x}[:{self.pick(3, -1, 10)}]", f"{x}[{self.pick(1, -3)}:]", f"{x}|indent({self.pick(2, '4, true', 'first=true, width=1')})", f"{x}|tojson", f"{x}|capitalize", f"{x}.title()",
                         f"{x}.splitlines()|join('|')", f"'%s' % {x}", f"'{{}}:{{:>5}}'.format({x}, loop.index0|default(7))", f"{x}|wordcount|string", f"{x}|truncate({self.pick('9', '12, true', '5, false, chr')})".replace("chr", "'..'"),
                         f"{x}|urlencode", f"{x}|wordwrap(8)", f"{x}|striptags", f"{x}.partition('\\n')[{self.pick(0, 2)}]", f"{x}|reverse", f"{x}|list|join('.')", f"{x}|center(12)", f"{x}.removesuffix('</think>').lstrip()",
                         f"{x}.rsplit(' ', 1)[0]", f"({x}|string|lower).count('a')|string", f"{x}|first|d('')", f"{x}|pprint", f"{x}.encode('utf-8')|string", f"{x}.zfill(9)", f"{x}|xmlattr" if self.r.random() < 0.1 else x)

    def block_text(self, x):
        """Writes content that may be a text, blocks or nothing."""
        o = self.out
        p = lambda name: self.at("part", name)  # noqa: E731
        inner = self.pick(
            lambda: self.when(f"{p('type')} == 'text'", o(self.polish(p("text")))), lambda: self.when(f"{p('type')} == 'text'", o(p("text")), o("'<image>'")),
            lambda: self.when(f"part is mapping and {p('type')} in ['image', 'image_url']", self.tag("set ns.images = ns.images + 1") + o("'<img' ~ ns.images ~ '>'"), None, (f"'text' in part", o(p("text")))),
            lambda: self.when("part is string", o("part"), o(f"part.{self.pick('text', 'content', 'type')}")), lambda: o(self.polish(p("text"))),
            lambda: self.tag(f"set ns.text = ns.text ~ {p('text')}"))()
        loop = self.each("part", x + self.pick("", "", f"|selectattr('type', 'equalto', 'text')", "|rejectattr('type', 'eq', 'image')", "[::-1]", "|sort(attribute='type')", "|list"), inner + self.pick("", self.when("not loop.last", self.gap())))
        joined = o(f"{x}|{self.pick(chr(39).join(['selectattr(', 'type', ', ', 'equalto', ', ', 'text', ')']) + '|', '')}map(attribute='text')|{self.pick('join', 'join(' + chr(39) + ', ' + chr(39) + ')', 'list')}")
        return self.pick(lambda: o(self.polish(x)), lambda: o(self.polish(x)), lambda: self.when(f"{x} is string", o(self.polish(x)), loop),
                         lambda: self.when(f"{x} is string", o(x), self.gap(), (f"{x} is {self.pick('iterable', 'sequence')} and {x} is not mapping", loop)),
                         lambda: self.when(f"{x} is not string", joined, o(self.polish(x))), lambda: self.when(f"{x} is none", self.gap(), o(x)),
                         lambda: o(f"show({x})"), lambda: o(f"show({x}, {self.pick('true', 'false', 'sep=' + self.quoted())})"))()

    def show_macro(self):
        body = self.tag("if content is string") + self.out("content" + self.pick("", "|trim")) + self.tag("elif content is iterable") + self.each("item", "content", self.when(
            self.pick("'text' in item", "item.type == 'text'", "item is mapping"), self.out("item.text", "sep"), self.out("item"))) + self.tag("else") + self.pick("", self.out("content"), "{{ raise_exception('bad content') }}") + self.tag("endif")
        return self.tag(f"macro show(content, strip={self.pick('false', 'true')}, sep='')") + body + self.tag("endmacro")

    # ---- system, tools, dates ----

    def start(self):
        t, o = self.tag, self.out
        first = self.pick("messages[0].role", "messages[0]['role']", "messages|first|attr('role')", "(messages|first).role")
        split = self.when(f"{first} == {self.quoted('system')}", t("set system = " + self.polish(self.pick("messages[0].content", "messages[0]['content']"))) + t(f"set loop_messages = {self.pick('messages[1:]', 'messages[1:]|list', 'messages')}"),
                          t(f"set system = {self.pick(self.quoted('You are kind.'), 'none', 'false', chr(39) * 2)}") + t("set loop_messages = messages"))
        return self.pick(lambda: split, lambda: split, lambda: t("set loop_messages = messages") + t("set system = none"),
                         lambda: t("set system = messages|selectattr('role', 'equalto', 'system')|map(attribute='content')|" + self.pick("join('\\n')", "first|default('')", "list|last|d('x')")) + t("set loop_messages = messages|rejectattr('role', 'eq', 'system')|list"),
                         lambda: t("set loop_messages, system = messages, messages[0].content"), lambda: t("set loop_messages") + "x" + t("endset") + t("set loop_messages = messages") + t("set system") + self.gap() + o("messages[0].content") + t("endset"))()

    def system(self):
        o = self.out
        return self.pick(lambda: self.when(self.pick("system", "system is defined and system", "system is not none", "system|length > 0"), self.gap() + o(self.polish("system")) + self.gap(), self.pick(None, self.gap())),
                         lambda: self.block_text("system"), lambda: "", lambda: self.tag("with text = system") + o("text") + self.tag("endwith"))()

    def dates(self):
        f = self.pick("%d %b %Y", "%Y-%m-%d", "%B %d, %Y", "%A %H:%M", "%d/%m/%y %I:%M %p", "%j %U %w", "%-d %B")
        return self.pick(lambda: self.out(f"strftime_now('{f}')"), lambda: self.when("date_string is not defined", self.when("strftime_now is defined", self.tag(f"set date_string = strftime_now({self.quoted(f)})"), self.tag("set date_string = '26 Jul 2024'"))) + self.out("date_string"))()

    def json(self, x):
        return x + self.pick("|tojson", "|tojson", " | tojson(indent=4)", "|tojson(indent=2)", "|tojson(ensure_ascii=False)", "|tojson(ensure_ascii=true)", "|tojson(separators=(',', ':'))", "|tojson(sort_keys=true)",
                             "|tojson(indent=1, separators=(',', ': '), sort_keys=True)", "|string", "|tojson|safe", "|tojson|replace('\"', \"'\")", "|tojson|length", "|tojson(indent='\\t')", "|items|list|tojson", "|dictsort|tojson", "|pprint")

    def properties(self, f):
        o = self.out
        p = self.pick(f"{f}.parameters.properties", f"{f}['parameters']['properties']", f"({f}.parameters or {{}}).get('properties', {{}})")
        line = self.pick(o("name", "': '", "spec.type|string"), o("name", "json_type(spec)"), o("name") + self.when(f"name in {f}.parameters.required", "*"), o(f"'- %s (%s)' % (name, spec.get('type', 'any'))"),
                         o("name") + self.each("key", "spec", o("key", "'='", self.json("spec[key]"))), o("name", "spec.description|default('-')|indent(2)"), self.when("spec.enum is defined", o("spec.enum|join(', ')"), o(self.json("spec"))))
        return self.each(self.pick("name, spec", "(name, spec)"), p + self.pick(".items()", ".items()", "|items", "|dictsort", "|dictsort(reverse=true)"), self.gap() + line + self.pick("", self.when("not loop.last", ", ")))

    def type_macro(self):
        return self.tag("macro json_type(spec)") + self.when("spec.type == 'array'", "array[" + self.out("json_type(spec['items'])" if self.r.random() < 0.8 else "json_type(spec.items)") + "]", self.out("spec.type"),
                                                             ("spec.type is sequence and spec.type is not string", self.out("spec.type|join(' | ')")) if self.r.random() < 0.6 else None) + self.when("spec.enum", self.out("spec.enum")) + self.tag("endmacro")

    def tools(self):
        o = self.out
        f = self.pick("tool.function", "tool['function']", "tool", "(tool.function if tool.function is defined else tool)", "tool.get('function', tool)")
        body = self.pick(lambda: o(self.json("tool")), lambda: o(self.json(f)), lambda: o(f"{f}.name", "': '", f"{f}.description") + self.properties(f), lambda: self.properties(f),
                         lambda: self.tag(f"set f = {f}") + o("f.name") + self.gap() + o(self.json("f.parameters")), lambda: o(f"'{{}} {{!r}}'.format({f}.name, {f}.description)"))()
        loop = self.each("tool", "tools" + self.pick("", "", "|sort(attribute='type')", "|selectattr('function')", "|list", "|unique|list"), self.gap() + body + self.gap())
        return self.when(self.pick("tools", "tools is defined and tools", "tools is not none", "tools is iterable and tools | length > 0", "tools and tools|length > 1", "not tools is none"),
                         self.gap() + self.pick(lambda: loop, lambda: loop, lambda: loop, lambda: o(self.json("tools")), lambda: o("tools|map('tojson')|join('\\n')"), lambda: o("tools|map(attribute='function')|map(attribute='name')|join(', ')"),
                                                lambda: o(self.pick("tools|groupby('type')|list", "tools|map(attribute='function.name')|list|tojson", "tools|batch(2)|list|length|string", "tools|sum(start=0, attribute='x')" if self.r.random() < 0.05 else "tools|first|d({})")))() + self.gap(),
                         self.pick(None, None, self.gap()))

    def documents(self):
        return self.when(self.pick("documents", "documents is defined and documents", "documents is not none"), self.each("doc", "documents", self.pick(self.out("loop.index0", "doc.title", "doc['text']"), self.each("k, v", "doc.items()", self.out("k|capitalize", "': '", "v")),
                                                                                                                                                 self.out("doc|tojson"), self.out("doc.get('text', '')|truncate(5)"))))

    # ---- turns ----

    def check(self, m):
        return self.pick(f"({m}.role == 'user') != (loop.index0 % 2 == 0)", f"{m}['role'] not in ['user', 'assistant', 'system', 'tool']", f"{m}.role != messages[loop.index0 - 1].role and loop.first", f"{m}.content is none", "not loop.last and loop.length > 9",
                         f"loop.previtem is defined and loop.previtem.role == {m}.role")

    def calls(self, m):
        o, t = self.out, self.tag
        f = self.pick("call.function", "call['function']", "(call.function or call)", "f", "f", "f")
        args = self.at(f, "arguments")
        shown = self.pick(lambda: o(self.json(args)), lambda: o(self.json(args)), lambda: self.when(f"{args} is string", o(args), o(self.json(args))), lambda: o(args),
                          lambda: self.each("k, v", self.pick(f"{args}.items()", f"{args}|items", f"{args}|dictsort"), o(self.pick("k ~ '=' ~ v", "k", "'<' + k + '>'")) + self.pick(o("v|string"), o("v if v is string else v|tojson"), self.when("v is mapping or (v is sequence and v is not string)", o("v|tojson"), o("v"))) + self.gap()),
                          lambda: self.when(f"{args} is mapping", o(f"{args}|length"), o(args)), lambda: o(f"'{{\"name\": \"' + {f}.name + '\", \"arguments\": '", self.json(args), "'}'"))()
        body = (self.when("call.function", t("set f = call.function"), t("set f = call")) if f == "f" else "") + self.gap() + o(self.at(f, "name")) + shown + self.pick("", o("call.id"), self.when("call.id is defined", o("call.id")), self.when("call.id|length != 9", o("raise_exception('id')")), o("loop.index"))
        return self.when(self.has(m, "tool_calls"), self.each("call", self.pick(f"{m}.tool_calls", f"{m}['tool_calls']"), body + self.pick("", self.when("not loop.last", self.gap()), t("set ns.calls = ns.calls + 1"))), self.pick(None, None, self.block_text(self.at(m, "content"))))

    def reasoning(self, m):
        x = self.pick(f"{m}.reasoning_content", f"{m}['reasoning_content']", f"{m}.thinking", f"{m}.reasoning", f"{m}.get('reasoning_content', '')")
        return self.when(self.pick(f"{x} is string", f"{x}", f"{x} is defined and {x} is not none", f"'reasoning_content' in {m}", f"loop.index0 > ns.last and {x}", f"'</think>' in {m}.content"), self.gap() + self.out(self.polish(x)) + self.gap(),
                         self.pick(None, self.tag(f"set reasoning = {m}.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n')") + self.out("reasoning")))

    def turn(self, m):
        o = self.out
        content = self.pick(f"{m}.content", f"{m}['content']", f"{m}[\"content\"]", "content", f"{m}.get('content')", f"{m}.content")
        write = lambda: self.gap() + self.block_text(content) + self.gap()  # noqa: E731
        say = lambda role: self.pick(lambda: write(), lambda: self.reasoning(m) + write(), lambda: write() + self.calls(m), lambda: self.reasoning(m) + write() + self.calls(m), lambda: self.tag("generation") + write() + self.tag("endgeneration") + self.gap())() \
            if role == "assistant" else self.pick(write, write, lambda: self.when(self.pick("loop.first", "loop.last", "loop.previtem.role != 'tool'", f"loop.nextitem is undefined", f"loop.changed({m}.role)", "loop.index0 == ns.last"), self.gap(), self.pick(None, self.gap())) + write(), lambda: o(f"{m}.name|default('?')") + write())()  # noqa: E731
        head = self.pick("", self.tag(f"set content = {self.polish(m + '.content')}"), self.tag(f"set content = {m}.content if {m}.content is string else ''"), self.tag(f"set content = show({m}.content)"), o(f"'<|' + {m}.role + '|>'", "'\\n'"), o(f"{m}['role']|title"), o(f"loop.cycle('a', 'b')"))
        body = head + self.tag(f"if {m}.role == 'user'" if self.r.random() < 0.8 else f"if {m}['role'] in ('user', 'developer')") + say("user")
        for role in self.r.sample(["assistant", "system", "tool"], self.pick(1, 2, 3)):
            body += self.tag(self.pick(f"elif {m}.role == '{role}'", f"elif {m}['role'] == '{role}'", f"elif {m}.role is eq '{role}'", f"elif {m}.role.startswith('{role[:3]}')")) + say(role)
        return body + self.pick("", self.tag("else") + self.pick(self.gap(), o(f"raise_exception('Unknown role: ' ~ {m}.role)"), write())) + self.tag("endif")

    def turns(self):
        m = self.pick("message", "message", "m", "messages[loop.index0]", "msg")
        name = m if m.isidentifier() else "message"
        body = self.turn(m)
        if self.r.random() < 0.2:
            body = self.when(self.check(m), self.out(self.pick("raise_exception('Roles must alternate')", "'!'", "raise_exception(" + m + ".role)")), self.pick(None, self.gap())) + body
        if self.r.random() < 0.1:
            body += self.when(self.pick("loop.index > 3", "loop.last", f"{m}.role == 'odd'"), self.tag(self.pick("break", "continue"))) + self.gap()
        of = self.pick("messages", "loop_messages", "loop_messages", "messages[-4:]", "messages[::-1]", "messages|reverse", "loop_messages|selectattr('content')", "messages|batch(1)|sum(start=[])", "(messages + [])", "loop_messages|slice(1)|first")
        return self.each(name, of, body, self.pick(None, None, None, f"{name}.role != 'system'", f"{name}.content", f"loop.index0 == 0" if self.r.random() < 0.1 else f"'role' in {name}"))

    def counters(self):
        t = self.tag
        ns = t("set ns = namespace(last=-1, images=0, calls=0, text='', found=false)")
        back = self.each("message", self.pick("messages[::-1]", "messages|reverse"), t("set index = (messages|length - 1) - loop.index0") + self.when(
            "not ns.found and message.role == 'user'" + self.pick("", " and message.content is string", " and not(message.content.startswith('<tool_response>'))"), t("set ns.found = true") + t("set ns.last = index")))
        ahead = self.each("message", "messages", self.when("message.role == 'user'", t("set ns.last = loop.index0")))
        return ns + self.pick("", "", back, ahead)

    def end(self):
        o = self.out
        think = self.when(self.pick("enable_thinking is defined and enable_thinking is false", "enable_thinking is defined and not enable_thinking", "enable_thinking|default(true)", "not thinking", "reasoning_effort == 'high'", "ns.found"), "<think>\\n\\n</think>".replace("\\n", "\n"), self.pick(None, o("'<think>\\n'")))
        return self.when(self.pick("add_generation_prompt", "add_generation_prompt", "add_generation_prompt is defined and add_generation_prompt", "add_generation_prompt and messages[-1].role != 'assistant'", "add_generation_prompt and (messages|last).role == 'user'"),
                         self.gap() + o(self.quoted()) + self.pick("", think), self.pick(None, None, o("eos_token"), self.gap()))

    def extra(self):
        o, t = self.out, self.tag
        return self.pick(lambda: o("bos_token"), lambda: o("bos_token|d('')"), lambda: self.when("not add_generation_prompt is defined", t("set add_generation_prompt = false")), lambda: self.when("response_format is defined", o("response_format|tojson(indent=2)")),
                         lambda: o("messages|length"), lambda: o("messages|map(attribute='role')|join(',')"), lambda: self.when("messages|length == 0", o("raise_exception('empty')")), lambda: o("messages|groupby('role')|map('first')|join('/')"), lambda: o("model_identity|default('none given')"),
                         lambda: o("(messages|selectattr('role', 'in', ['user', 'tool'])|list|length) % 2 == 0"), lambda: o("messages|map(attribute='content')|select('string')|map('length')|sum"), lambda: self.when("keep is defined", t("set messages = messages[-keep:]")),
                         lambda: o("(builtin_tools or [])|reject('eq', 'x')|join"), lambda: t("set sep = joiner(', ')") + self.each("m", "messages", o("sep()", "m.role")), lambda: t("filter upper") + o("messages[0].content") + t("endfilter"),
                         lambda: t(f"set x = {{'user': 'U', 'assistant': 'A'}}") + self.each("m", "messages", o("x.get(m.role, '?')")), lambda: "{% raw %}{{ x }}{% endraw %}", lambda: t("macro part(a, b='-')") + o("a", "b", "varargs", "kwargs") + t("endmacro") + t("call part(1, 2, 3, z=messages|length)") + t("endcall"),
                         lambda: t("macro box(w)") + "[" + o("caller(w)") + "]" + t("endmacro") + t("call(w) box('é')") + o("w", "messages[-1].role") + t("endcall"))()

    def template(self):
        parts = [self.counters(), self.show_macro()] + ([self.type_macro()] if self.r.random() < 0.7 else []) + [self.start()]
        for piece, p in ((self.extra, 0.4), (self.dates, 0.2), (self.system, 0.7), (self.tools, 0.7), (self.documents, 0.15), (self.extra, 0.3), (self.turns, 0.97), (self.extra, 0.2), (self.end, 0.9)):
            if self.r.random() < p:
                parts += [self.gap(), piece()]
        return "".join(parts) + self.gap()

    def line(self):
        return dict(Talk(self.r).line(), template=self.template())
