"""fresh.py: draws random templates from a grammar and compares a program with jinja2 + transformers.

    python fresh.py PROGRAM... [--grammar mixed|odd|chat] [--seed N] [--count N] [--seconds N]

PROGRAM speaks the `template --lines` protocol (driver.c, or the command). Text has to be equal byte
for byte, an error has to be an error. What cannot be compared is counted and skipped: addresses of
Python objects, complex numbers, what we refuse by name, what our bounds end.
"""
import argparse
import json
import random
import resource
import signal
import sys
import time

import chat
import line_driver
import odd
import template_oracle

CONTEXT = dict(
    a=1, b=2.5, z=0, neg=-7, big=12345678901234567890, f=1e-5, T=True, F=False, n=None,
    s="Hello wOrld", t="", u="straße ÀÉ 日本 😀 ΑΣ", ws="  a\tb \n c  ", num="42", html="<a href=\"x\">&'</a>",
    nl="l1\nl2\r\n\nl4", l=[3, 1, 2], e=[], ll=[[1, 2], [3, 4]], mix=[1, "a", None, 2.5, True],
    strs=["b", "A", "c", "a", "é"], d={"x": 1, "y": "z", "items": 5, "_u": 7, "b": [1]}, ed={},
    us=[{"name": "Bob", "age": 3, "c": {"k": 1}}, {"name": "alice", "age": 1, "c": {"k": 2}},
        {"name": "bob", "age": 2}],
    tree=[{"n": 1, "c": [{"n": 2, "c": [{"n": 3}]}, {"n": 4}]}, {"n": 5, "c": []}], strftime_now="2031-05-17T10:22:33.000123")
NAMES = [k for k in CONTEXT if k != "strftime_now"] + ["nope", "x", "y", "ns", "loop", "m", "caller"]
STRINGS = ["''", "'a'", "'Bob'", "\"it's\"", "'%s'", "'%d-%s'", "'{}'", "'{0}|{x}'", "'é日'", "','", "' '",
           "'l'", "'x'", "'name'", "'age'", "'c.k'", "'\\n'", "'12'", "'-3.5'", "'upper'", "'odd'", "'b,a'",
           "'{:>5}'", "'%5.2f'", "'ΑΣ'", "'<b>'"]
NUMBERS = ["0", "1", "2", "3", "-1", "5", "10", "2.5", "0.1", "1e3", "100", "true", "false", "none"]
FILTERS = """abs attr batch capitalize center count d default dictsort e escape filesizeformat first float
forceescape format groupby indent int items join last length list lower map max min reject rejectattr replace
reverse round safe select selectattr slice sort string striptags sum title tojson trim truncate unique upper
urlencode urlize wordcount wordwrap pprint xmlattr""".split()
TESTS = """odd even divisibleby defined undefined filter test none boolean false true integer float lower
upper string mapping number sequence iterable callable sameas escaped in == eq equalto != ne > gt
greaterthan >= ge < lt lessthan <= le""".split()
TESTS = [t for t in TESTS if t.isidentifier()]
KWARGS = ["attribute", "default", "reverse", "case_sensitive", "width", "first", "blank", "boolean", "indent",
          "sort_keys", "ensure_ascii", "by", "base", "precision", "method", "length", "killwords", "start",
          "default_value", "count", "d", "separators", "x"]
METHODS = """strip lstrip rstrip split rsplit splitlines startswith endswith replace upper lower title capitalize
swapcase casefold find rfind index rindex count join format partition rpartition removeprefix removesuffix center
ljust rjust zfill expandtabs isalpha isdigit isdecimal isnumeric isalnum isspace islower isupper istitle isascii
isprintable isidentifier get items keys values copy append update pop nope name x is_integer bit_length next
cycle changed""".split()
LOOP = "index index0 revindex revindex0 first last length previtem nextitem depth depth0".split()


class Grammar:
    def __init__(self, rng):
        self.r = rng
        self.sane = rng.choice([0.0, 0.5, 0.9, 1.0, 1.0])

    def pick(self, *options):
        return self.r.choice(options)

    def args(self, depth, least=0):
        n = max(least, self.r.choice([0, 0, 1, 1, 2, 3]))
        parts = [self.expr(depth - 1) for _ in range(n)]
        if self.r.random() < 0.15:
            parts.append(f"{self.r.choice(KWARGS)}={self.expr(depth - 1)}")
        if self.r.random() < 0.03:
            parts.append("*" + self.expr(depth - 1))
        if self.r.random() < 0.03:
            parts.append("**" + self.pick("d", "{'x': 1}", "ed"))
        return ", ".join(parts)

    def atom(self):
        k = self.r.random()
        if k < 0.55:
            return self.r.choice(NAMES)
        if k < 0.75:
            return self.r.choice(STRINGS)
        return self.r.choice(NUMBERS)

    def expr(self, depth):
        if depth <= 0:
            return self.atom()
        r = self.r
        if r.random() < self.sane:
            return self.typed(depth)
        k = r.randrange(30)
        e = lambda: self.expr(depth - 1)  # noqa: E731
        if k < 3:
            return self.atom()
        if k < 6:
            return f"{e()} {r.choice(['+', '-', '*', '/', '//', '%', '~', '~', '**'])} {e()}"
        if k < 8:
            return f"{e()} {r.choice(['==', '!=', '<', '<=', '>', '>=', 'in', 'not in'])} {e()}"
        if k < 9:
            return f"{e()} {r.choice(['<', '==', 'in'])} {e()} {r.choice(['<', '!=', '>='])} {e()}"
        if k < 11:
            return f"{e()} {r.choice(['and', 'or'])} {e()}"
        if k < 12:
            return self.pick("not ", "-", "+") + e()
        if k < 13:
            return f"({e()})"
        if k < 17:
            name = r.choice(FILTERS)
            return f"{e()}|{name}" + (f"({self.args(depth)})" if r.random() < 0.5 else "")
        if k < 19:
            name = r.choice(TESTS)
            more = f"({self.args(depth)})" if r.random() < 0.4 else " " + self.atom() if r.random() < 0.3 else ""
            return f"({e()} is {self.pick('', 'not ')}{name}{more})"
        if k < 21:
            return f"{self.primary(depth)}.{r.choice(METHODS)}({self.args(depth)})"
        if k < 22:
            return f"{self.primary(depth)}.{self.pick('x', 'name', 'items', 'nope', '0', '_u', 'real', 'c.k')}"
        if k < 24:
            return f"{self.primary(depth)}[{self.subscript(depth)}]"
        if k < 25:
            return "[" + ", ".join(e() for _ in range(r.randrange(4))) + "]"
        if k < 26:
            return "(" + "".join(e() + ", " for _ in range(r.randrange(3))) + ")"
        if k < 27:
            return "{" + ", ".join(f"{e()}: {e()}" for _ in range(r.randrange(3))) + "}"
        if k < 28:
            return f"({e()} if {e()}" + (f" else {e()})" if r.random() < 0.8 else ")")
        if k < 29:
            return r.choice(["range", "dict", "namespace", "cycler", "joiner", "m", "raise_exception",
                             "caller"]) + f"({self.args(depth)})"
        return "loop." + r.choice(LOOP)

    # Expressions of a known type, which mostly succeed.

    def typed(self, depth):
        return self.pick(self.string, self.string, self.integer, self.listed, self.boolean, self.number)(depth)

    def string(self, depth):
        r = self.r
        if depth <= 0:
            return self.pick("s", "u", "ws", "nl", "html", "t", "num", *STRINGS[:10])
        st, i, li, e = (lambda f: lambda: f(depth - 1))(self.string), lambda: self.integer(depth - 1), \
            lambda: self.listed(depth - 1), lambda: self.typed(depth - 1)
        return self.pick(
            lambda: f"{st()} ~ {e()}", lambda: f"({st()} + {st()})", lambda: f"({st()} * {self.pick(0, 1, 2, 'a')})",
            lambda: f"{st()}|{self.pick('upper', 'lower', 'title', 'capitalize', 'trim', 'e', 'urlencode', 'indent', 'string', 'reverse', 'forceescape', 'safe')}",
            lambda: f"{st()}|replace({st()}, {st()}" + self.pick(")", f", {i()})"),
            lambda: f"{st()}|truncate({self.pick(3, 5, 9)}, {self.pick('true', 'false')}, {self.pick(chr(39) * 2, chr(39) + '..' + chr(39))}, {self.pick(0, 2)})",
            lambda: f"{st()}|indent({self.pick(2, 0, chr(39) + '> ' + chr(39))}, {self.boolean(0)}, {self.boolean(0)})",
            lambda: f"{st()}|center({self.pick(3, 10, 21)})", lambda: f"{li()}|join({self.pick('', st())})",
            lambda: f"{e()}|tojson" + self.pick("", "(indent=2)", "(ensure_ascii=true)", "(sort_keys=true)", "(separators=(',', ':'))", "(indent='--')"),
            lambda: f"({st()})[{self.pick('', i())}:{self.pick('', i())}]", lambda: f"({st()})[::{self.pick(-1, 2, -2, 3)}]",
            lambda: f"({st()}).{self.pick('upper', 'lower', 'title', 'capitalize', 'swapcase', 'casefold', 'strip', 'lstrip', 'rstrip', 'expandtabs')}()",
            lambda: f"({st()}).{self.pick('strip', 'lstrip', 'rstrip', 'removeprefix', 'removesuffix')}({st()})",
            lambda: f"({st()}).{self.pick('center', 'ljust', 'rjust', 'zfill')}({self.pick(4, 9, 22)})",
            lambda: f"({st()}).replace({st()}, {st()})", lambda: f"({st()}).join({li()}|map('string'))",
            lambda: "'" + self.percent() + f"' % ({e()}, {i()}, {self.number(depth - 1)})",
            lambda: "'" + self.braces() + f"'.format({e()}, {i()}, {self.number(depth - 1)}, x={st()})",
            lambda: f"({st()} if {self.boolean(depth - 1)} else {st()})", lambda: f"{e()}|string",
            lambda: f"{self.name_of(depth)}|default({st()}, {self.boolean(0)})")()

    def percent(self):
        flag = lambda: self.pick("", "", "-", "+", " ", "0", "#", "-0", "+0")  # noqa: E731
        width = lambda: self.pick("", "", "5", "12", "1")  # noqa: E731
        prec = lambda: self.pick("", "", ".0", ".2", ".5", ".1")  # noqa: E731
        part = lambda kinds: "%" + flag() + width() + prec() + self.pick(*kinds)  # noqa: E731
        return part("srra") + "|" + part("diuxXo") + "|" + part("eEfFgG")

    def braces(self):
        def spec(kinds, sign=True, group=True):
            return ":" + self.pick("", "", "<", ">", "^", "*^", "0>", "é<") + (self.pick("", "", "+", " ", "-") if sign else "") \
                + (self.pick("", "", "#") if sign else "") + self.pick("", "", "0") + self.pick("", "7", "12") \
                + (self.pick("", "", ",", "_") if group else "") + kinds()
        integer = lambda: self.pick("", "d", "x", "X", "o", "b", "n")  # noqa: E731
        real = lambda: self.pick("", ".0", ".2", ".5", ".10") + self.pick("", "e", "E", "f", "g", "G", "%")  # noqa: E731
        text = lambda: self.pick("", ".2", ".5") + self.pick("", "s")  # noqa: E731
        return "{0" + self.pick("", "!r", "!s", "!a") + "}|{1" + spec(integer) + "}|{2" + spec(real) + "}|{x" + spec(text, False, False) + "}{{"

    def integer(self, depth):
        if depth <= 0:
            return self.pick("a", "z", "neg", "0", "1", "2", "3", "-1", "10", "l[0]", "d.x", "true")
        i, st, li = lambda: self.integer(depth - 1), lambda: self.string(depth - 1), lambda: self.listed(depth - 1)
        return self.pick(
            lambda: f"({i()} {self.pick('+', '-', '*')} {i()})", lambda: f"({i()} {self.pick('//', '%')} {self.pick(1, 2, -3, 7)})",
            lambda: f"({st()})|{self.pick('length', 'count', 'wordcount')}", lambda: f"({li()})|length",
            lambda: f"({st()}).{self.pick('find', 'rfind', 'count')}({st()})", lambda: f"{st()}|int",
            lambda: f"({i()})|abs", lambda: f"({self.number(depth - 1)})|int", lambda: f"{self.pick('l', '[5, 4]')}|{self.pick('sum', 'min', 'max', 'first', 'last')}",
            lambda: f"({i()})|round({self.pick(-1, 0, 1, -2)})")()

    def number(self, depth):
        if depth <= 0:
            return self.pick("b", "f", "2.5", "0.1", "1e3", "12345.678", "-0.5", "1e16", "123456789012.5")
        n, i = lambda: self.number(depth - 1), lambda: self.integer(depth - 1)
        return self.pick(lambda: f"({n()} {self.pick('+', '-', '*')} {i()})", lambda: f"({i()} / {self.pick(2, 3, 7, 0.1)})",
                         lambda: f"({n()})|round({self.pick(0, 1, 2, 5, -1)})", lambda: f"({n()} {self.pick('//', '%')} {self.pick(2, 0.3, -7)})",
                         lambda: f"({n()})|round({self.pick(0, 1)}, '{self.pick('ceil', 'floor')}')", lambda: f"{i()}|float",
                         lambda: f"({i()})|abs ** {self.pick(2, 0.5, -1)}")()

    def boolean(self, depth):
        if depth <= 0:
            return self.pick("T", "F", "true", "false", "a", "t", "e", "n", "nope")
        e, st, i = lambda: self.typed(depth - 1), lambda: self.string(depth - 1), lambda: self.integer(depth - 1)
        return self.pick(
            lambda: f"({i()} {self.pick('<', '<=', '>', '>=', '==', '!=')} {i()})", lambda: f"({st()} {self.pick('<', '<=', '==', 'in', 'not in')} {st()})",
            lambda: f"({e()} {self.pick('==', '!=')} {e()})", lambda: f"({self.boolean(depth - 1)} {self.pick('and', 'or')} {self.boolean(depth - 1)})",
            lambda: f"(not {self.boolean(depth - 1)})", lambda: f"({e()} in {self.listed(depth - 1)})",
            lambda: f"({e()} is {self.pick('', 'not ')}{self.pick('defined', 'none', 'string', 'number', 'integer', 'float', 'mapping', 'sequence', 'iterable', 'boolean', 'true', 'lower', 'upper', 'callable', 'escaped')})",
            lambda: f"({i()} is {self.pick('odd', 'even', 'divisibleby 3', 'gt 2', 'in l')})",
            lambda: f"({st()}).{self.pick('startswith', 'endswith')}({st()})",
            lambda: f"({st()}).is{self.pick('alpha', 'digit', 'alnum', 'space', 'lower', 'upper', 'title', 'ascii', 'printable', 'identifier', 'numeric', 'decimal')}()")()

    def listed(self, depth):
        if depth <= 0:
            return self.pick("l", "e", "strs", "ll", "mix", "range(4)", "us", "d.values()|list", "[1, 'a']", "(1, 2, 3)")
        li, st, e = lambda: self.listed(depth - 1), lambda: self.string(depth - 1), lambda: self.typed(depth - 1)
        return self.pick(
            lambda: f"[{e()}, {e()}]", lambda: f"({li()})[{self.pick('', self.integer(0))}:{self.pick('', self.integer(0))}:{self.pick('', '-1', '2')}]",
            lambda: f"{self.pick('strs', 'l', 'us|map(attribute=' + chr(39) + 'name' + chr(39) + ')', st())}|sort({self.pick('', 'true', 'case_sensitive=true', 'reverse=true')})",
            lambda: f"({st()}).{self.pick('split', 'rsplit')}({self.pick('', st(), chr(39) + ' ' + chr(39), 'none, 1', 'maxsplit=2')})",
            lambda: f"({st()}).splitlines({self.pick('', 'true')})", lambda: f"({st()}).{self.pick('partition', 'rpartition')}({st()})",
            lambda: f"({li()})|map('{self.pick('string', 'tojson', 'e', 'upper', 'length', 'list', 'first', 'int', 'float')}')|list",
            lambda: f"({li()})|{self.pick('select', 'reject')}({self.pick('', chr(39) + 'string' + chr(39), chr(39) + 'defined' + chr(39), chr(39) + 'in' + chr(39) + ', ' + li())})|list",
            lambda: f"us|{self.pick('selectattr', 'rejectattr')}('{self.pick('age', 'name', 'c', 'c.k', 'zz')}'{self.pick('', ', ' + chr(39) + 'defined' + chr(39), ', ' + chr(39) + 'eq' + chr(39) + ', ' + e())})|list",
            lambda: f"us|map(attribute='{self.pick('age', 'name', 'c', 'c.k', 'zz')}'{self.pick('', ', default=' + e())})|list",
            lambda: f"({li()})|{self.pick('unique', 'reverse', 'batch(2)', 'slice(2)', 'batch(3, 0)')}|list", lambda: f"{st()}|list",
            lambda: f"{self.pick('d', '{1: 2, (1, 2): [3]}', 'us[0]')}|{self.pick('items', 'dictsort', 'list')}|list", lambda: f"us|groupby('{self.pick('age', 'name', 'c.k')}', default=0)",
            lambda: f"({li()} + [{e()}])", lambda: f"({li()})|list * {self.pick(0, 2)}")()

    def name_of(self, depth):
        return self.pick("nope", "n", "t", "s", "d.x", "d.nope", "us[0].name", "l[9]")

    def primary(self, depth):
        return self.r.choice(NAMES) if self.r.random() < 0.7 else f"({self.expr(depth - 1)})"

    def subscript(self, depth):
        k = self.r.random()
        e = lambda: self.r.choice(NUMBERS) if self.r.random() < 0.7 else self.expr(depth - 1)  # noqa: E731
        if k < 0.5:
            return e() if self.r.random() < 0.6 else self.r.choice(STRINGS)
        return ":".join(e() if self.r.random() < 0.6 else "" for _ in range(self.pick(2, 2, 3)))

    def text(self):
        return self.r.choice(["", " ", "\n", "  \n", "text", " a\n ", "\n\n  ", "{ x }", "é", "\t", "#}", "%"])

    def tag(self, inner):
        return "{%" + self.pick("", "", "-", "+") + f" {inner} " + self.pick("", "", "-", "+") + "%}"

    def target(self):
        return self.pick("x", "y", "x", "a", "s", "new", "x, y", "ns.v", "(x, y)")

    def body(self, depth, loops):
        return "".join(self.text() + self.statement(depth, loops) for _ in range(self.r.randrange(1, 4))) + self.text()

    def statement(self, depth, loops=False):
        r = self.r
        k = r.randrange(24) if depth > 0 else r.randrange(8)
        e = self.expr(2)
        t = self.tag
        if k < 7:
            return "{{" + self.pick("", "-") + f" {self.expr(self.pick(1, 2, 3))} " + self.pick("", "-") + "}}"
        if k < 8:
            return t(f"set {self.target()} = {e}")
        b = lambda inside=loops: self.body(depth - 1, inside)  # noqa: E731
        if k < 12:
            out = t(f"if {e}") + b()
            while r.random() < 0.3:
                out += t(f"elif {self.expr(2)}") + b()
            if r.random() < 0.5:
                out += t("else") + b()
            return out + t("endif")
        if k < 16:
            head = f"for {self.pick('x', 'x', 'y', 'x, y', 'i')} in {self.iterable()}"
            if r.random() < 0.25:
                head += f" if {self.expr(2)}"
            if r.random() < 0.1:
                head += " recursive"
            out = t(head) + b(True)
            if r.random() < 0.2:
                out += self.pick("{{ loop(x) }}", "{{ loop.last }}")
            if r.random() < 0.25:
                out += t("else") + b()
            return out + t("endfor")
        if k < 17:
            return t(f"set {self.pick('x', 'y', 'new')}" + self.pick("", "", "|upper", "|trim|length", f"|replace(a, {e})")) \
                + b() + t("endset")
        if k < 19:
            params = self.pick("", "x", "x, y=1", "a=s, b=a", "x=x", "caller=none")
            return t(f"macro m({params})") + b(False) + t("endmacro") + "{{ m(" + self.args(1) + ") }}"
        if k < 20:
            return t("filter " + self.pick("upper", "indent(2)", "trim|title", "length", "replace('a', x)")) + b() \
                + t("endfilter")
        if k < 21:
            return t(f"with x={e}, y=x") + b() + t("endwith")
        if k < 22:
            return t(self.pick("call", "call(x)") + " m(" + self.args(1) + ")") + b(False) + t("endcall")
        if k < 23:
            return self.pick(t("set ns = namespace(v=1)"), t("generation") + b(False) + t("endgeneration"),
                             t("raw") + "{{ x }}" + t("endraw"), "{#" + self.pick("", "-", "+") + " c " + self.pick("", "-", "+") + "#}",
                             t("autoescape " + self.pick("true", "false")) + b() + t("endautoescape"),
                             t("block q" + str(r.randrange(99))) + b(False) + t("endblock"))
        return t(self.pick("break", "continue")) if loops or r.random() < 0.02 else t("print " + e)

    def iterable(self):
        return self.pick("l", "ll", "strs", "us", "d", "d.items()", "range(4)", "e", "s", "us|map(attribute='name')",
                         "nope", self.expr(2))

    def template(self):
        if self.r.random() < 0.4:
            return "{{ " + self.expr(self.pick(2, 3, 4)) + " }}"
        return "".join(self.text() + self.statement(self.pick(1, 2, 3)) for _ in range(self.r.randrange(1, 5))) + self.text()


MEMORY_BYTES = 6 << 30  # of the reference
GRAMMARS = {"mixed": Grammar, "odd": odd.Odd, "chat": chat.Chat}


def too_slow(number, frame):
    raise TimeoutError


def reference(line):
    """None: the reference needs seconds (powers of large numbers) or much memory, which we bound."""
    signal.alarm(3)
    try:
        want = template_oracle.render(line)
    except TimeoutError:
        return None
    finally:
        signal.alarm(0)
    return None if want[0] == "error" and want[1].startswith(("TimeoutError", "MemoryError")) else want


def comparable(want, got):
    """What neither side can be held to: addresses in memory, complex numbers, what we refuse by name
    (float.fromhex, formatting of bytes), our bounds."""
    if want[0] == "text" and got[0] == "error":
        return not ("prints its address" in got[1] or "complex number" in got[1]
                    or "not supported in templates" in got[1]
                    or got[1].startswith("MLXE_E_LIMIT"))
    return want[1] != "recursion"


def told(line, o):
    return "" if o.grammar != "chat" else "\n  with " + json.dumps({k: v for k, v in line.items() if k != "template"}, ensure_ascii=False)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program", nargs="+")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--count", type=int, default=1000000000)
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--show", type=int, default=10)
    p.add_argument("--grammar", choices=list(GRAMMARS), default="mixed")
    o = p.parse_args()
    driver = line_driver.Driver(o.program)
    signal.signal(signal.SIGALRM, too_slow)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    end = time.monotonic() + o.seconds
    done = skipped = wrong = errors = 0
    while done < o.count and time.monotonic() < end and wrong < o.show:
        seed = o.seed + done
        drawn = GRAMMARS[o.grammar](random.Random(seed))
        line = drawn.line() if o.grammar == "chat" else dict(CONTEXT, template=drawn.template())
        done += 1
        want = reference(line)
        if want is None:
            skipped += 1
            continue
        got = driver.render(line)
        errors += want[0] == "error"
        if not comparable(want, got):
            skipped += 1
        elif want[0] != got[0] or (want[0] == "text" and want[1] != got[1]):
            wrong += 1
            print(f"seed {seed}: {line['template']!r}{told(line, o)}\n  want {want}\n  got  {got}", flush=True)
    print(f"{done} templates, {errors} of them errors, {skipped} not comparable, {wrong} wrong")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
