"""Writes tests/base/json_parse.case and json_float.case: what Python's json module reads and writes.

    python3 tools/goldens/json/make.py tests/base

json_parse.case   TEXT <tab> RESULT: RESULT is the value written again, compact, or ERROR.
json_float.case   BITS <tab> REPR: 16 hex digits a float64, 8 a float32.

Bytes that are not printable ASCII, '%' and the tab stand as %XX. Deterministic: seed 3."""
import json
import os
import random
import struct
import sys

OUT = sys.argv[1]

# Each a difference between JSON readers, or a corner of the grammar.
HAND = r'''
{} [] "" 0 -0 -0.0 0.0 1 -1 1.0 1.5 1e5 1E5 1e+5 1e-5 1.25e-7 true false null
NaN Infinity -Infinity nan inf Inf INFINITY infinity -inf -NaN -nan +1 +Infinity NAN Nan nAn -Inf
Infinit Infinityx NaNx -Infinityx [NaN,Infinity,-Infinity] {"a":NaN} [nan] {"a":inf} [-nan] [-inf]
[Inf] [InFinity] [-NaN] [1,nan] {"a":-Infinity,"b":-NaN} nul tru fals nulL True None undefined n N i I -
- -- -a 1. .5 -.5 1.e5 01 -01 00 1e 1e+ 1e- 0x10 1_000 1,2 1e5.5 0e1 0E-0 -0e5 0.0e0
9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809
18446744073709551615 18446744073709551616 123456789012345678901234567890 -123456789012345678901234567890
[9223372036854775808,1,18446744073709551615,{"k":10000000000000000000}] 00000000000000000000000000000
1e308 1e309 -1e309 1.7976931348623157e308 1.7976931348623159e308 5e-324 2e-324 1e-400 -1e-400
1e999999999999 1e-999999999999 0e999999999999 123456789012345678901234567890.5
100000000000000000000000000000000000000000000000000e-50 0.1 0.2 0.30000000000000004 1e16 1e15 123456789012345680.0
1e22 1e23 9007199254740993.0 9007199254740993 0.0001 0.00001 -0.00001 123e-2 2.2250738585072011e-308
"a" "\u0000" "a\u0000b" {"\u0000":1} {"a\u0000":1,"a":2} "\ud800" "\udc00" "\ud83d\ude00" "\uD83D\uDE00"
"\ud83d\ud83d\ude00" "\ude00\ud83d" "\ud83dx" "\ud83d\n" "\ud83d\u0041" "\ud83d\\ude00" "\ud83d\ude0" "\ud83d\ude"
"\ud83" "\u" "\u12" "\u123g" "\u+123" "\uABCD" "\uabcd" "\x41" "\a" "\'" "\/" "\"" "\\" "\b\f\n\r\t" "\\ud800" "\\\ud800"
"\ {"\ud800":"\udfff"} "\uffff" "\ufffe" "\u007f" "\u0080" "\u2028\u2029"
{"a":1,"a":2} {"a":{"b":1,"b":[]},"a":null} {"":0} {"":{}} {a:1} {'a':1} {"a":1,} [1,] [,] [,1] [1,,2] {,} {"a"} {"a":}
{"a":1"b":2} [1"2"] {"a" :1} [1}{ [ ] { [1 {"a":1 "abc ]] }} []] {}{} 1"2" [1]] [[[[[[]]]]]] [[[[[[]]]]]
/**/1 1/**/ //x [1]// #1 [1,2,3] [[],{},[{}]] {"a":[{"b":[]}]} truex nullnull "a""b" "a"b [truefalse]
'''.split()
HAND += [" 1 ", "\t\n\r 1\n", "\f1", "\v1", "1\x00", "\x00", "", " ", "\n", "[1\x00]", "\"\x00\"", '"\x1f"', '"\t"', '"\n"', '"\x7f"',
         "\ufeff1", "\ufeff{}", "1\ufeff", '"\ufeff"', "\u00a01", "[1,\u00a02]", '"\u00e4\u20ac\U0001f600"', '{"\u00e4":"\u00e4"}',
         '[ 1 , 2 ]', '{ "a" : 1 , "b" : [ ] }', "{\n    \"a\": NaN,\n    \"b\": [\n        nan\n    ]\n}",
         "{\n    \"a\": NaN,\n    \"b\": [\n        -Infinity,\n        1e400\n    ]\n}", "[\n  9223372036854775808\n]", "[ \n  inf\n]"]
BYTES = [b'"\x80"', b'"\xff"', b'"\xc0\x80"', b'"\xc1\xbf"', b'"\xed\xa0\x80"', b'"\xed\x9f\xbf"', b'"\xee\x80\x80"', b'"\xf4\x8f\xbf\xbf"',
         b'"\xf4\x90\x80\x80"', b'"\xf0\x8f\xbf\xbf"', b'"\xf0\x90\x80\x80"', b'"\xe0\x9f\xbf"', b'"\xe0\xa0\x80"', b'"\xc3"', b'"\xc3',
         b'"\xe2\x82', b'"\xf0\x9f\x98', b'\xff', b'{"\x80":1}', b'"\xf5\x80\x80\x80"', b'\xff\xfe1\x00', b'\xef\xbb\xbf[]']


class Pairs(list):
    """An object with all its members, repeated ones too."""


def text_of(s):
    return json.dumps("".join("\ufffd" if 0xD800 <= ord(c) < 0xE000 else c for c in s), ensure_ascii=False)


def write(v):
    if isinstance(v, Pairs):
        return "{" + ",".join(text_of(k) + ":" + write(x) for k, x in v) + "}"
    if isinstance(v, list):
        return "[" + ",".join(map(write, v)) + "]"
    return text_of(v) if isinstance(v, str) else json.dumps(v)


def read(data):
    try:
        # As json.load of a text file: broken UTF-8 and a byte order mark are errors.
        return write(json.loads(data.decode("utf-8"), object_pairs_hook=Pairs)).encode("utf-8")
    except (UnicodeDecodeError, json.JSONDecodeError):
        return None


def escape(data):
    return "".join(chr(b) if 0x20 <= b < 0x7F and b != 0x25 else "%%%02X" % b for b in data)


def mutate(rng, seeds):
    data = bytearray(rng.choice(seeds))
    pieces = [b'"', b"\\", b"\\u", b"d83d", b"\\ude00", b"{", b"}", b"[", b"]", b":", b",", b"-", b".", b"e", b"E+", b"0", b"9" * 19, b"NaN",
              b"Infinity", b"inf", b"null", b"true", b" ", b"\n", b"\x00", b"\x80", b"\xc3\xa4", b"\xf0\x9f\x98\x80", b"a"]
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(data))
        kind = rng.randint(0, 3)
        if kind == 0:
            data[at:at] = rng.choice(pieces)
        elif kind == 1:
            del data[at:at + rng.randint(1, 3)]
        elif kind == 2:
            data[at:at + 1] = rng.choice(pieces)
        else:
            other = rng.choice(seeds)
            data = data[:at] + other[rng.randint(0, len(other)):]
    return bytes(data)


def value(rng, depth):
    """A valid text in an odd form: spaces, escapes, repeated keys, numbers of every kind."""
    space = rng.choice(["", "", "", " ", "\n", "\t "])
    kind = rng.randint(0, 9 if depth < 4 else 6)
    if kind < 2:
        s = rng.choice(["-", ""]) + rng.choice(["0", str(rng.randint(1, 10 ** rng.randint(1, 24)))])
        if rng.random() < 0.5:
            s += "." + str(rng.randint(0, 10 ** rng.randint(1, 20)))
        if rng.random() < 0.3:
            s += rng.choice("eE") + rng.choice(["", "+", "-"]) + str(rng.randint(0, 330))
    elif kind == 2:
        s = rng.choice(["true", "false", "null", "NaN", "Infinity", "-Infinity"])
    elif kind < 7:
        s = string(rng)
    elif kind == 7:
        s = "[" + ",".join(value(rng, depth + 1) for _ in range(rng.randint(0, 4))) + "]"
    else:
        s = "{" + ",".join(string(rng) + ":" + value(rng, depth + 1) for _ in range(rng.randint(0, 4))) + "}"
    return space + s + space


def string(rng):
    pieces = ["a", "bc", "\\n", "\\u0000", "\\ud83d\\ude00", "\\ud800", "\\uDC00", "\\u00e4", "\u00e4", "\U0001f600", "\\\\", '\\"', "\\/", "[", "}", "%"]
    return '"' + "".join(rng.choice(pieces) for _ in range(rng.randint(0, 4))) + '"'


def float32_repr(bits):
    """Shortest digits that read back as the float32, in the form of repr."""
    x = struct.unpack("<f", struct.pack("<I", bits))[0]
    if x != x or x in (float("inf"), float("-inf")):
        return json.dumps(x)
    for digits in range(1, 18):
        s = "%.*e" % (digits - 1, x)
        if abs(float(s)) <= 3.4028235677973366e38 and struct.unpack("<I", struct.pack("<f", float(s)))[0] == bits:
            return repr(float(s))
    raise AssertionError(bits)


def main():
    rng = random.Random(3)
    cases = [h.encode("utf-8") for h in HAND] + BYTES
    seen, lines = set(), []
    hand = len(cases)
    while len(cases) < hand + 2400:
        cases.append(mutate(rng, cases[:hand]))
    cases += [value(rng, 0).encode("utf-8") for _ in range(900)]
    for data in cases:
        if data in seen or len(data) > 120:
            continue
        seen.add(data)
        got = read(data)
        lines.append(escape(data) + "\t" + ("ERROR" if got is None else escape(got)))
    with open(os.path.join(OUT, "json_parse.case"), "w", encoding="ascii", newline="\n") as f:
        f.write("\n".join(lines) + "\n")
    lines = []
    doubles = [0.0, -0.0, 1.0, -1.0, 0.1, 0.5, 1e-5, 1e-4, 9.999e-5, 1e15, 1e16, 9999999999999998.0, 123456789012345.0, 1234567890123456.0,
               12345678901234567.0, 1e17, 1e22, 1e23, 1e100, -1e100, 5e-324, 2.2250738585072014e-308, 2.225073858507201e-308,
               1.7976931348623157e308, float("inf"), -float("inf"), 2.0 ** 53, 2.0 ** 63, 2.0 ** 64, 1 / 3, 2 / 3, 100.0, 1e10, 3.14159]
    doubles += [10.0 ** e for e in range(-30, 31)] + [2.0 ** e for e in range(-1074, 1024, 13)]
    doubles += [struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))[0] for _ in range(800)]
    doubles += [rng.randint(-10 ** 6, 10 ** 6) / 10 ** rng.randint(0, 9) for _ in range(400)]
    doubles += [float(rng.randint(0, 2 ** 60)) for _ in range(200)] + [rng.random() for _ in range(200)]
    for x in doubles:
        if x == x:
            lines.append("%016x\t%s" % (struct.unpack("<Q", struct.pack("<d", x))[0], json.dumps(x)))
    lines.append("7ff8000000000000\tNaN")
    singles = [0, 0x80000000, 1, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0x3F800000, 0x3DCCCCCD, 0x3727C5AC,
               0x5A0E1BCA, 0x4B800000, 0x4CEB79A3]
    singles += [rng.getrandbits(32) for _ in range(800)] + [struct.unpack("<I", struct.pack("<f", rng.random()))[0] for _ in range(300)]
    singles += [struct.unpack("<I", struct.pack("<f", 2.0 ** e))[0] for e in range(-149, 128, 5)]
    for bits in singles:
        if bits & 0x7F800000 != 0x7F800000 or bits & 0x7FFFFF == 0:
            lines.append("%08x\t%s" % (bits, float32_repr(bits)))
    with open(os.path.join(OUT, "json_float.case"), "w", encoding="ascii", newline="\n") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
