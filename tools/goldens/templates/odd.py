"""odd.py: draws templates that use one construct each in an odd way, for fresh.py --grammar odd.

Every filter, test, method and global of jinja2 and Python that the sandbox lets through, with
arguments that fit, that nearly fit and that do not, by position and by name; format strings of
both kinds; slices; whitespace control; blocks, macros, callers, loops, namespaces; what the sandbox
refuses. One draw is mostly one expression, so that one error hides no other.
"""
STRINGS = ["''", "'a'", "'Ab c'", "'%s|%d'", "'{} {x}'", "'äß😀'", "','", "' '", "'  x\\ty \\n'", "'l'", "'x'", "'name'",
           "'age'", "'c.k'", "'12'", "'-3.5e2'", "'0x1F'", "'1_000'", "'upper'", "'odd'", "'b,a'", "'<b>&\"</b>'",
           "'hello world, hello'", "'é'.upper()", "('<i>'|safe)", "'aXbXc'", "'ǆ ŉ ﬁ İ'", "'\\u00a0x\\u2028y'",
           "'line1\\nline2\\r\\nline3'", "'٣'", "'½'", "'_p1'", "'utf-8'", "'ascii'", "'ignore'", "'\\x00\\x7f'"]
INTS = ["0", "1", "2", "3", "-1", "-2", "7", "10", "255", "100", "true", "false", "1000000", "9223372036854775807",
        "9223372036854775808", "10**20", "-(2**63)", "2**64", "-7"]
FLOATS = ["0.0", "2.5", "-0.5", "1e3", "0.1", "1e16", "1e-7", "123456.789", "3.0", "-2.675", "1/3"]
LISTS = ["[]", "[3, 1, 2]", "['b', 'A', 'a']", "[1, 'a', none, 2.5, true]", "[[1, 2], [3]]", "(1, 2)", "()", "('x',)",
         "range(5)", "range(10, 0, -3)", "us", "strs", "ll", "[nope]", "'abc'|list", "d.items()", "d.keys()", "d.values()",
         "l|map('string')", "l|select", "us|map(attribute='name')", "[('a', 1), ('b', 2)]", "[{'k': 1}, {'k': 2}]"]
DICTS = ["{}", "{'a': 1}", "d", "{'b': [1, {'c': none}], 'a': 'x'}", "{1: 2, 'k': 3}", "{(1, 2): 3}", "us[0]", "{'x': {'y': 1}}",
         "dict(a=1, b=2)", "{none: 1, true: 2, 1.5: 3}"]
OTHERS = ["none", "true", "false", "nope", "nope2", "us[0].zz", "namespace(a=1, b='x')", "range", "dict", "m", "l.append",
          "'a'.upper", "cycler(1, 2)", "joiner('; ')", "namespace", "cycler", "1 if false", "d['zz']", "l[99]", "loop", "caller",
          "namespace", "joiner", "lipsum", "self", "'ab'.encode()"]
# name: parameters after the value
FILTERS = {
    "abs": "", "attr": "name", "batch": "linecount fill_with", "capitalize": "", "center": "width", "count": "", "d": "default_value boolean",
    "default": "default_value boolean", "dictsort": "case_sensitive by reverse", "e": "", "escape": "", "filesizeformat": "binary",
    "first": "", "float": "default", "forceescape": "", "format": "*", "groupby": "attribute default case_sensitive",
    "indent": "width first blank", "int": "default base", "items": "", "join": "d attribute", "last": "", "length": "", "list": "",
    "lower": "", "map": "*", "max": "case_sensitive attribute", "min": "case_sensitive attribute", "pprint": "", "reject": "*",
    "rejectattr": "*", "replace": "old new count", "reverse": "", "round": "precision method", "safe": "", "select": "*",
    "selectattr": "*", "slice": "slices fill_with", "sort": "reverse case_sensitive attribute", "string": "", "striptags": "",
    "sum": "attribute start", "title": "", "tojson": "ensure_ascii indent separators sort_keys", "trim": "chars",
    "truncate": "length killwords end leeway", "unique": "case_sensitive attribute", "upper": "", "urlencode": "",
    "urlize": "trim_url_limit nofollow target rel extra_schemes", "wordcount": "", "wordwrap": "width break_long_words wrapstring break_on_hyphens",
    "xmlattr": "autospace", "nofilter": "x"}
TESTS = """boolean callable defined divisibleby eq equalto escaped even false filter float ge gt greaterthan in integer iterable le
lessthan lower lt mapping ne none number odd sameas sequence string test true undefined upper notest""".split()
METHODS = {
    "str": """capitalize casefold center count encode endswith expandtabs find format format_map index isalnum isalpha isascii isdecimal
isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip maketrans partition removeprefix
removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title translate upper
zfill""".split(),
    "list": "append clear copy count extend index insert pop remove reverse sort".split(),
    "dict": "clear copy fromkeys get items keys pop popitem setdefault update values".split(),
    "int": "as_integer_ratio bit_count bit_length conjugate denominator imag numerator real to_bytes from_bytes is_integer".split(),
    "float": "as_integer_ratio conjugate hex fromhex is_integer real imag".split(),
}
KEYWORDS = {"split": ["sep", "maxsplit"], "rsplit": ["sep", "maxsplit"], "splitlines": ["keepends"], "expandtabs": ["tabsize"],
            "encode": ["encoding", "errors"], "format": ["x", "y"], "to_bytes": ["length", "byteorder", "signed"], "sort": ["key", "reverse"]}
DUNDERS = "__class__ __len__ __init__ __dict__ __mro__ __subclasses__ __globals__ __code__ __add__ __doc__ __name__ _x __zz__ func_code mro gi_frame f_locals".split()


class Odd:
    def __init__(self, rng):
        self.r = rng

    def pick(self, *options):
        return self.r.choice(options)

    def string(self):
        return self.r.choice(STRINGS) if self.r.random() < 0.8 else self.pick("s", "u", "ws", "nl", "html", "t", "num")

    def value(self, depth=1):
        k = self.r.random()
        if k < 0.3:
            return self.string()
        if k < 0.5:
            return self.r.choice(INTS)
        if k < 0.58:
            return self.r.choice(FLOATS)
        if k < 0.75:
            return self.r.choice(LISTS)
        if k < 0.87:
            return self.r.choice(DICTS)
        if k < 0.95 or depth == 0:
            return self.r.choice(OTHERS)
        return "(" + self.expression(depth - 1) + ")"

    def likely(self, name):
        """A value for a parameter of this name."""
        if self.r.random() < 0.2 and name != "precision":  # a large one takes the reference for ever
            return self.value(0)
        if name in ("width", "length", "linecount", "slices", "count", "precision", "base", "leeway", "trim_url_limit", "start", "num", "maxsplit", "tabsize"):
            return self.pick("0", "1", "2", "3", "5", "9", "16", "20", "-1", "none", "true", "2.0")
        if name in ("first", "blank", "boolean", "reverse", "case_sensitive", "killwords", "binary", "sort_keys", "ensure_ascii",
                    "nofollow", "autospace", "break_long_words", "break_on_hyphens", "keepends", "signed"):
            return self.pick("true", "false", "1", "0", "none", "''")
        if name in ("attribute", "name"):
            return self.pick("'name'", "'age'", "'c.k'", "'c'", "'zz'", "0", "1", "'0'", "'x'", "'upper'", "'name,age'", "'k'", "'__class__'")
        if name == "indent":
            return self.pick("none", "0", "1", "2", "4", "'--'", "'\\t'", "-1", "true")
        if name == "separators":
            return self.pick("(',', ':')", "none", "[', ', '=']", "('',)", "','", "(1, 2)")
        if name == "method":
            return self.pick("'ceil'", "'floor'", "'common'", "'x'")
        if name == "by":
            return self.pick("'key'", "'value'", "'x'")
        return self.string() if self.r.random() < 0.6 else self.value(0)

    def arguments(self, names):
        if names == ["*"]:
            return self.free()
        out = []
        for name in names[:self.r.choice([0, 1, 1, 2, 3, 4, 5])]:
            if self.r.random() < 0.3:
                break
            out.append(self.likely(name))
        rest = [n for n in names[len(out):] if self.r.random() < 0.25]
        self.r.shuffle(rest)
        out += [f"{n}={self.likely(n)}" for n in rest]
        if self.r.random() < 0.04:
            out.append(self.pick("zz=1", "*[1]", "**{'zz': 2}", "*'ab'", "1") if not rest else "zz=1")
        return ", ".join(out)

    def free(self):
        q = lambda: "'" + self.r.choice(list(FILTERS) if self.r.random() < 0.5 else TESTS) + "'"  # noqa: E731
        return self.pick(q, lambda: q() + ", " + self.value(0), lambda: f"attribute={self.likely('name')}",
                         lambda: f"attribute={self.likely('name')}, default={self.value(0)}", lambda: self.likely("name"),
                         lambda: self.likely("name") + ", " + q(), lambda: self.likely("name") + ", " + q() + ", " + self.value(0),
                         lambda: self.value(0) + ", " + self.value(0), lambda: "", lambda: f"x={self.value(0)}, y={self.value(0)}")()

    def fitting(self, name):
        """A value that a filter of this name works on, mostly."""
        if self.r.random() < 0.25:
            return self.value(0)
        if name in ("batch", "first", "groupby", "join", "last", "list", "map", "max", "min", "reject", "rejectattr", "reverse", "select",
                    "selectattr", "slice", "sort", "sum", "unique"):
            return self.r.choice(LISTS)
        if name in ("dictsort", "items", "xmlattr"):
            return self.r.choice(DICTS)
        if name in ("abs", "filesizeformat", "float", "int", "round"):
            return self.r.choice(INTS + FLOATS + STRINGS[:20])
        if name in ("tojson", "pprint", "string", "length", "count", "default", "d", "attr", "urlencode"):
            return self.value(0)
        return self.string()

    def filtered(self):
        name = self.r.choice(list(FILTERS))
        names = FILTERS[name].split()
        tail = f"({self.arguments(names)})" if names or self.r.random() < 0.1 else ""
        more = self.pick("", "", "", "|list", "|list|tojson", "|string", "|length", "|pprint") if name != "format" else ""
        return f"({self.fitting(name)})|{name}{tail}{more}"

    def tested(self):
        name = self.r.choice(TESTS)
        tail = self.pick("", "", f"({self.value(0)})", f" {self.pick('1', chr(39) + 'a' + chr(39), 'l', '[1]')}", f"({self.value(0)}, 1)", "(zz=1)")
        return f"({self.value()}) is {self.pick('', 'not ')}{name}{tail}"

    def method(self):
        kind = self.pick("str", "str", "str", "list", "dict", "int", "float")
        name = self.r.choice(METHODS[kind])
        of = {"str": self.string, "list": lambda: self.r.choice(LISTS), "dict": lambda: self.r.choice(DICTS),
              "int": lambda: self.r.choice(INTS), "float": lambda: self.r.choice(FLOATS)}[kind]()
        args = [self.string() if kind == "str" and self.r.random() < 0.5 else self.value(0) if self.r.random() < 0.5 else self.r.choice(INTS[:9])
                for _ in range(self.pick(0, 0, 1, 1, 1, 2, 2, 3))]
        if name == "translate":
            args = [self.pick("{97: 'X', 'b': none}", "'a'.maketrans('abc', 'xyz')", "{98: none}", "'x'.maketrans({'a': 'bb', 108: 76})",
                              "'q'.maketrans('ab', 'cd', 'l')", "[1]", "'zz'")]
        for k in KEYWORDS.get(name, []):
            if self.r.random() < 0.2:
                args.append(f"{k}={self.likely(k)}")
        call = f"({of}).{name}"
        if self.r.random() < 0.95:
            call += "(" + ", ".join(args) + ")"
        return call + self.pick("", "", "", "", "|list", "|tojson", "|string", "|length", "[0]", ".decode()", "|pprint")

    def slice(self):
        part = lambda: self.pick("", "", "0", "1", "-1", "2", "-3", "99", "-99", "none", "true", "1.5", "'a'", "2**70", "-2**70")  # noqa: E731
        return f"({self.value()})[{part()}:{part()}{self.pick('', ':' + part(), ':-1', ':-2')}]" + self.pick("", "", "|list")

    def number(self):
        v = lambda: self.pick(self.r.choice(INTS), self.r.choice(INTS), self.r.choice(FLOATS), "2**70", "10**25", "-(3**50)")  # noqa: E731
        op = lambda: self.pick("+", "-", "*", "/", "//", "%", "==", "<", ">=", "~")  # noqa: E731
        out = f"{v()} {op()} {v()}" if self.r.random() < 0.6 else f"({v()} {op()} {v()}) {op()} {v()}"
        if self.r.random() < 0.2:
            out = f"({v()}) ** {self.pick(0, 1, 2, 5, 20, 63, 64, 100, -1, 0.5)}"
        return "(" + out + ")" + self.pick("", "", "|tojson", "|string|length", "|float", "|int", "|abs", "|round(1)", "|string", "|filesizeformat",
                                           " is integer", " is number", "|pprint", " // 7", " % 1000", "|int|string|reverse", " is odd", " == 2**64")

    def percent(self):
        spec = "%" + self.pick("", "", "(x)", "(y)") + self.pick("", "", "-", "+", " ", "0", "#", "-0", "+ ", "#0") + self.pick("", "", "5", "12", "*", "1") \
            + self.pick("", "", ".0", ".3", ".*", ".") + self.pick("", "", "l", "h") + self.pick(*"diouxXeEfFgGcrsa%", "d", "s", "f", "z")
        args = self.pick(lambda: self.value(0), lambda: f"({self.value(0)},)", lambda: f"({self.r.choice(INTS)}, {self.value(0)})",
                         lambda: "{'x': " + self.value(0) + "}", lambda: self.r.choice(INTS + FLOATS))()
        return f"'a{spec}b' % ({args})" if self.r.random() < 0.7 else f"'a{spec}b'|format({args})"

    def braces(self):
        name = self.pick("", "", "", "0", "1", "x", "x[0]", "x.a", "0[k]", "x.__class__", "x.y.z", "0.real")
        spec = self.pick("", "", ":" + self.pick("", "", "<", ">", "^", "=", "*^", "0>", "é=") + self.pick("", "", "+", "-", " ") + self.pick("", "", "z") * (self.r.random() < 0.2)
                         + self.pick("", "", "#") + self.pick("", "", "0") + self.pick("", "", "1", "8", "15") + self.pick("", "", ",", "_")
                         + self.pick("", "", ".0", ".2", ".10") + self.pick("", *"bcdoxXneEfFgG%s", "d", "f", "s", "y"), ":{1}", ":>{x}")
        conv = self.pick("", "", "", "!r", "!s", "!a", "!z")
        arg = lambda: self.pick(self.value(0), self.r.choice(INTS), self.r.choice(FLOATS), self.string())  # noqa: E731
        return "'" + self.pick("", "{{", "a}}") + "{" + name + conv + spec + "}" + self.pick("", "{", "{}", "{0}") * (self.r.random() < 0.2) \
            + "'.format(" + self.pick(arg(), f"{arg()}, {arg()}", f"{arg()}, x={arg()}", "d, x=us[0]") + ")"

    def attribute(self):
        name = self.r.choice(DUNDERS) if self.r.random() < 0.6 else self.r.choice(METHODS["list"] + METHODS["dict"] + METHODS["str"])
        return self.pick(f"({self.value()}).{name}", f"({self.value()})['{name}']", f"({self.value()})|attr('{name}')",
                         f"({self.value()}).{name} is defined", f"({self.value()}).{name}.x", f"({self.value()}).{name}()")

    def called(self):
        return self.pick(
            lambda: f"range({', '.join(self.r.choice(INTS) for _ in range(self.pick(0, 1, 2, 3)))})" + self.pick("", "|list", "|length", "[1]", "|sum"),
            lambda: f"dict({self.pick('', self.value(0), 'a=1, b=[2]', '[(1, 2)], x=3', 'd, **{' + chr(39) + 'q' + chr(39) + ': 1}')})",
            lambda: f"namespace({self.pick('', self.value(0), 'a=1', 'd, x=2')})", lambda: "cycler(" + self.pick("", "1", "1, 2") + ")" + self.pick(".next()", ".current", ".reset()", ".pos", ""),
            lambda: "joiner(" + self.pick("", "'x'", "1") + ")()", lambda: "lipsum(n=0)", lambda: f"raise_exception({self.value(0)})",
            lambda: f"strftime_now({self.pick(chr(39) + '%Y-%m-%d %H:%M:%S %j %a %A %b %B %p %I %y %%' + chr(39), chr(39) + '%d %b %Y|%U %W %w %u %V %G %f %Z %z' + chr(39), self.value(0), chr(39) + '%e %k %l %s %C %D %F %T %R %r %h %n %t %c %x %X %Q' + chr(39))})",
            lambda: f"m({self.value(0)}, {self.value(0)})", lambda: f"m({self.value(0)}, zz={self.value(0)})")()

    def expression(self, depth=1):
        return self.pick(self.filtered, self.filtered, self.filtered, self.filtered, self.tested, self.method, self.method, self.method, self.slice,
                         self.number, self.percent, self.braces, self.attribute, self.called)()

    # ---- statements ----

    def sign(self):
        return self.pick("", "", "", "-", "+")

    def tag(self, inner):
        return "{%" + self.sign() + " " + inner + " " + self.sign() + "%}"

    def out(self, inner):
        return "{{" + self.pick("", "", "-") + " " + inner + " " + self.pick("", "", "-") + "}}"

    def gap(self):
        return self.pick("", " ", "\n", "  \n  ", "a", "\n\n", " b \n", "\t")

    def block(self):
        t, o, g, v = self.tag, self.out, self.gap, lambda: self.value(0)
        return self.pick(
            lambda: t("block a" + self.pick("", " scoped", " required")) + g() + o("x|d('-')") + t("endblock" + self.pick("", " a")) + g() + o(self.pick("self.a()", "self.b()", "super()", "self", "self.a")),
            lambda: t(f"set x = {v()}") + t(f"for i in {self.r.choice(LISTS)}") + t("block a" + self.pick("", " scoped")) + o("i|d('?')") + o("x") + t("set x = 2") + t("endblock") + t("endfor") + o("self.a()") + o("x"),
            lambda: t("block a") + "A" + t("block b") + o("super()") + "B" + t("endblock") + t("endblock") + o("self.b()"),
            lambda: t("include 'x'" + self.pick("", " ignore missing", " without context")), lambda: t("import 'x' as y"), lambda: t("extends 'x'"),
            lambda: t("from 'x' import y"), lambda: "{% if false %}{% include 'x' %}{% endif %}ok", lambda: t("include ['a', 'b'] ignore missing") + "ok",
            lambda: t("extends none") + "x", lambda: t("do l.append(1)"), lambda: t("trans") + "x" + t("endtrans"), lambda: "# x\n" + "## y\n" + t("debug"))()

    def macro(self):
        t, o, g, v = self.tag, self.out, self.gap, lambda: self.value(0)
        params = self.pick("", "x", "x, y=1", "x, y=x", "x=none, caller=none")
        body = self.pick(o("x"), o("x ~ y"), o("varargs") + o("kwargs"), o("caller()"), o("caller(1, 2)"), o("m.name") + o("m.arguments") + o("m.catch_kwargs") + o("m.caller"),
                         o("caller is defined"), t("if x") + o("m(0)") + t("endif") + "x")
        head = t(f"macro m({params})") + g() + body + g() + t("endmacro")
        args = self.pick("", v(), f"{v()}, {v()}", f"y={v()}", "1, 2, 3, z=4", "*[1, 2]", "**{'x': 1}", "1, x=2")
        return head + self.pick(lambda: o(f"m({args})"), lambda: t(f"call m({args})") + "[" + g() + "]" + t("endcall"), lambda: t(f"call(q) m({args})") + o("q") + t("endcall"),
                                lambda: t(f"call(q, w=3) m({args})") + o("q ~ w") + t("endcall"), lambda: o("m"), lambda: o(f"m({args})|upper"),
                                lambda: t(f"macro n(x)") + o("m(x)") + o("caller()") + t("endmacro") + t("call n(1)") + t("call m(2)") + "in" + t("endcall") + t("endcall"))()

    def loop(self):
        t, o, g = self.tag, self.out, self.gap
        what = self.pick("loop.index", "loop.cycle('a', 'b')", "loop.cycle()", "loop.changed(i)", "loop.changed(loop.index0 // 2)", "loop.previtem", "loop.nextitem", "loop.depth", "loop.depth0",
                         "loop.revindex", "loop.revindex0", "loop.last", "loop.length", "loop", "loop.previtem.x", "loop.nextitem|d('-')", "loop.zz", "loop.first", "loop(i)", "loop|list", "loop|length", "loop.index0 ~ i")
        head = f"for {self.pick('i', 'i', 'i', 'i, j', '(i, j)', 'i, (j, k)', 'loop', 'ns.x')} in {self.pick(self.r.choice(LISTS), self.r.choice(DICTS), self.value(0))}" \
            + self.pick("", "", f" if {self.pick('i', 'i is odd', 'loop.first', 'nope', 'not loop')}") + self.pick("", "", "", " recursive")
        body = o(what) + self.pick("", "", t(f"if {self.pick('loop.first', 'i == 2', 'loop.index > 2')}") + t(self.pick("break", "continue")) + t("endif")) + g() + self.pick("", o("j|d(0)"), t("set x = i") + o("x"), t("set ns.v = ns.v + 1"))
        pre = self.pick("", "", "{% set ns = namespace(v=0, x=1) %}")
        return pre + g() + t(head) + body + self.pick("", "", t("else") + "E") + t("endfor") + self.pick("", o("x|d('u')"), o("ns.v"), o("i|d('gone')"), o("loop|d('no')"))

    def trees(self):
        return "{% for i in tree recursive %}" + self.gap() + "{{ i.n }}{{ loop.depth }}" + self.pick("", "{{ loop.index }}/{{ loop.length }}", "{% if loop.last %}!{% endif %}") + "{% if i.c" + self.pick("", " and loop.depth < 2") + " %}" \
            + self.pick("", "[", "-") + "{{ loop(i.c" + self.pick("", "|reverse") + ")" + self.pick("", "|trim", "|upper") + " }}{% endif %}" + "{% endfor %}"

    def capture(self):
        t, o, g, v = self.tag, self.out, self.gap, lambda: self.value(0)
        f = lambda: self.pick("upper", "trim", "indent(2)", "replace('a', 'b')", "length", "list", "tojson", "title|reverse", f"default({v()})", "nofilter", "int + 1")  # noqa: E731
        return self.pick(lambda: t("set x" + self.pick("", "", " | " + f())) + g() + o(v()) + g() + t("endset") + o("x") + o("x is escaped"),
                         lambda: t("filter " + f()) + g() + "a" + o(v()) + t("endfilter"), lambda: t("set ns = namespace()") + t("set ns.x") + "q" + t("endset") + o("ns.x") + o("ns"),
                         lambda: t(f"set {self.pick('x, y', '(x, y)', 'x, (y, z)', 'x.y', 'ns.a, y', 'x[0]', 'true', 'self')} = {v()}") + o("x"),
                         lambda: t(f"with {self.pick('x = 1', 'x = 1, y = x', 'x, y = [1, 2]', '')}") + o("x|d(0)") + o("y|d(0)") + t("endwith") + o("x|d('out')"),
                         lambda: t("autoescape " + self.pick("true", "false")) + o("html") + o("html|safe ~ '&'") + o(self.expression()) + t("endautoescape"),
                         lambda: t("generation") + g() + o(v()) + t("endgeneration") + g(), lambda: "{% raw " + self.sign() + "%}" + g() + "{{ x }}{% if %}" + g() + "{%" + self.sign() + " endraw %}" + g(),
                         lambda: g() + "{#" + self.sign() + " {{ x }} " + self.sign() + "#}" + g() + "z", lambda: t("print " + v() + ", " + v()),
                         lambda: g() + t(f"if {v()}") + g() + "1" + g() + t(f"elif {v()}") + "2" + t("else") + g() + "3" + t("endif") + g())()

    def broken(self):
        return self.pick("{{", "{%", "{{ 'a }}", "{% if %}x{% endif %}", "{% for %}{% endfor %}", "{{ a b }}", "{{ [1, 2 }}", "{{ 1 + }}", "{% endif %}", "{% if a %}", "{{ a|}}", "{{ a.}}",
                         "{{ a[] }}", "{{ f(a=1, 2) }}", "{{ {1} }}", "{{ 'a' 'b' }}", "{{ 1 if }}", "{{ a is }}", "{{ '\\ud800' }}", "{{ '\\ud800'|length }}",
                         "{{ '\\ud83d\\ude00'|length }}", "{{ '\\ud800'|tojson(ensure_ascii=true) }}", "{{ 'a\\qb' }}", "{{ '\\x4' }}", "{{ 0x1f }}", "{{ 1_0 }}", "{{ 1__0 }}", "{{ 01 }}",
                         "{{ 1.e3 }}", "{{ .5 }}", "{{ 1e5 }}", "{{ 1.5.real }}", "{{ 1.real }}", "{{ a.1 }}", "{{ not }}", "{{ a ? b }}", "{{ a := 1 }}", "{{ x = 1 }}", "{{ lambda: 1 }}", "{{ a @ b }}", "{{ a & b }}", "{{ ~a }}", "{{ `a` }}", "{{ a; b }}", "{{ a!b }}", "{{ [x for x in l] }}", "{{ {'a': 1,} }}", "{{ (1,) }}", "{{ () }}", "{{ (,) }}", "{{ f(,) }}",
                         "{{ f(**d, *l) }}", "{% set %}", "{% set x %}", "{% macro %}{% endmacro %}", "{% macro m(a=1, b) %}{% endmacro %}", "{% call x %}{% endcall %}", "{% break %}", "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
                         "{% raw %}", "{#", "{% block a %}{% endblock %}{% block a %}{% endblock %}", "{% block a-b %}{% endblock %}", "{% endfor x %}", "{% if a %}{% endfor %}", "}}", "%}", "#}", "{ {", "{{}}", "{%%}", "{{ '}}' }}", "{% if '%}' %}y{% endif %}")

    def template(self):
        k = self.r.random()
        if k < 0.7:
            body = self.out(self.expression())
            if "m(" in body or self.r.random() < 0.05:
                body = "{% macro m(x, y=2) %}{{ x }}{{ y }}{% endmacro %}" + body
            return body
        return self.pick(self.block, self.macro, self.macro, self.loop, self.loop, self.loop, self.trees, self.capture, self.capture, self.capture, self.broken)()
