"""Writes tests/files/st_header.case: what the reference implementation of safetensors accepts.

    python3 tools/goldens/safetensors/make.py tests/files        (needs the package safetensors 0.8.0)

A row: HEADER <tab> LENGTH <tab> DATA <tab> VERDICT
HEADER   bytes of the header; what is not printable ASCII, '%' and the tab stand as %XX
LENGTH   the length that the file declares
DATA     bytes of data behind the header; byte i is (7 i + 3) mod 256
VERDICT  REFUSED
         STRICT reason    the reference accepts, we refuse on purpose
         OK then one NAME|DTYPE|DIMS|SUM a tensor, by name; SUM is sum((i + 1) x byte i) mod 2^32
Deterministic: seed 5."""
import json
import os
import random
import struct
import sys

import safetensors

OUT = os.path.join(sys.argv[1], "st_header.case")
OURS = "F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8 BOOL F8_E4M3 F8_E5M2 F8_E8M0".split()
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
         "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1}


class Pairs(list):
    pass


def strict_reason(header):
    """Why we refuse a header that the reference accepts, or None."""
    root = json.loads(header.decode("utf-8"), object_pairs_hook=Pairs)

    def repeated(v):
        if isinstance(v, Pairs):
            keys = [k for k, _ in v]
            return len(set(keys)) < len(keys) or any(repeated(x) for _, x in v)
        return isinstance(v, list) and any(repeated(x) for x in v)

    if repeated(root):
        return "repeated key"
    for name, info in root:
        if name == "__metadata__":
            continue
        if not isinstance(info, Pairs):
            return "tensor as an array"
        info = dict(info)
        if info["dtype"] not in OURS:
            return "dtype"
        if len(info["shape"]) > 8:
            return "dims"
        if any(d >= 2 ** 63 for d in info["shape"]):
            return "dim too large"
    return None


def escape(data):
    return "".join(chr(b) if 0x20 <= b < 0x7F and b != 0x25 else "%%%02X" % b for b in data)


def verdict(header, length, data):
    blob = struct.pack("<Q", length) + header + data
    try:
        tensors = safetensors.deserialize(blob)
    except safetensors.SafetensorError:
        return "REFUSED"
    reason = strict_reason(blob[8:8 + length])
    if reason:
        return "STRICT " + reason
    rows = []
    for name, info in sorted(tensors, key=lambda x: x[0].encode("utf-8")):
        total = sum((i + 1) * b for i, b in enumerate(bytes(info["data"]))) % 2 ** 32
        rows.append("%s|%s|%s|%d" % (escape(name.encode("utf-8")).replace("|", "%7C"), info["dtype"], ",".join(map(str, info["shape"])), total))
    return " ".join(["OK"] + [r.replace(" ", "%20") for r in rows])


def tensor(dtype="F32", shape=(2,), begin=0, end=8, **more):
    return dict({"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}, **more)


def hand():
    T = tensor
    yield {}, 0
    yield {}, 8
    yield {"a": T()}, 8
    yield {"a": T()}, 9
    yield {"a": T()}, 7
    yield {"a": T(begin=4, end=12)}, 12
    yield {"a": T(), "b": T(begin=12, end=20)}, 20
    yield {"a": T(), "b": T(begin=4, end=12)}, 12
    yield {"a": T(), "b": T()}, 8
    yield {"b": T(begin=8, end=16), "a": T()}, 16
    yield {"a": T(begin=8, end=0)}, 8
    yield {"a": T(shape=[3])}, 8
    yield {"a": T(shape=[-2])}, 8
    yield {"a": T(shape=[2.0])}, 8
    yield {"a": T(shape=["2"])}, 8
    yield {"a": T(shape=[True])}, 8
    yield {"a": T(shape=[None])}, 8
    yield {"a": T(shape=[[2]])}, 8
    yield {"a": T(shape=[], end=4)}, 4
    yield {"a": T(shape=[0], end=0), "b": T()}, 8
    yield {"a": T(shape=[0], begin=4, end=4), "b": T()}, 8
    yield {"a": T(shape=[0], begin=8, end=8), "b": T()}, 8
    yield {"a": T(shape=[0], begin=9, end=9), "b": T()}, 8
    yield {"b": T(shape=[0], end=0), "a": T(shape=[0], end=0), "c": T()}, 8
    yield {"a": T(shape=[2 ** 40, 2 ** 40])}, 8
    yield {"a": T(shape=[2 ** 40, 2 ** 40, 0], end=0)}, 0
    yield {"a": T(shape=[0, 2 ** 40, 2 ** 40], end=0)}, 0
    yield {"a": T(shape=[2 ** 61 + 2])}, 8
    yield {"a": T(shape=[2 ** 62])}, 0
    yield {"a": T(shape=[0, 2 ** 63 - 1], end=0)}, 0
    yield {"a": T(shape=[0, 2 ** 63], end=0)}, 0
    yield {"a": T(shape=[0, 2 ** 64 - 1], end=0)}, 0
    yield {"a": T(shape=[0, 2 ** 64], end=0)}, 0
    yield {"a": T(begin=2 ** 64 - 8, end=2 ** 64)}, 8
    yield {"a": T(begin=2 ** 63, end=2 ** 63 + 8)}, 8
    yield {"a": T(begin=0, end=2 ** 64 - 1)}, 8
    yield {"a": T(shape=[1] * 8 + [2])}, 8
    yield {"a": T(shape=[1] * 7 + [2])}, 8
    yield {"a": T(x=1, y={"z": [1, {}]})}, 8
    yield {"a": {"shape": [2], "data_offsets": [0, 8]}}, 8
    yield {"a": {"dtype": "F32", "data_offsets": [0, 8]}}, 8
    yield {"a": {"dtype": "F32", "shape": [2]}}, 8
    yield {"a": {}}, 8
    yield {"a": None}, 8
    yield {"a": 1}, 8
    yield {"a": "F32"}, 8
    yield {"a": []}, 8
    yield {"a": ["F32", [2], [0, 8]]}, 8
    yield {"a": dict(T(), dtype=None)}, 8
    yield {"a": dict(T(), dtype=5)}, 8
    yield {"a": dict(T(), shape=None)}, 8
    yield {"a": dict(T(), shape={})}, 8
    yield {"a": dict(T(), data_offsets=None)}, 8
    yield {"a": dict(T(), data_offsets=[0])}, 8
    yield {"a": dict(T(), data_offsets=[0, 8, 8])}, 8
    yield {"a": dict(T(), data_offsets=[0.0, 8.0])}, 8
    yield {"a": dict(T(), data_offsets=[-1, 7])}, 8
    yield {"a": dict(T(), data_offsets="08")}, 8
    yield {"__metadata__": {}}, 0
    yield {"__metadata__": {"a": "b", "format": "pt"}, "a": T()}, 8
    yield {"a": T(), "__metadata__": None}, 8
    yield {"__metadata__": {"a": 1}}, 0
    yield {"__metadata__": {"a": None}}, 0
    yield {"__metadata__": []}, 0
    yield {"__metadata__": "x"}, 0
    yield {"__metadata__": T()}, 8
    yield {"": T()}, 8
    yield {"a\0b": T()}, 8
    yield {"\u00e4\u20ac\U0001f600": T()}, 8
    yield {"a b|c%": T()}, 8
    for d in OURS + "F4 F6_E2M3 F6_E3M2 C64 F8_E4M3FNUZ F8_E5M2FNUZ f32 F33 C128 U4 I4".split() + [""]:
        yield {"a": T(dtype=d, shape=[2, 4], end=8 * BYTES.get(d, 1))}, 8 * BYTES.get(d, 1)
    yield {"a": T(dtype="F4", shape=[2], end=1)}, 1
    yield {"a": T(dtype="F4", shape=[3], end=1)}, 1
    yield {"a": T(dtype="C64", shape=[1])}, 8
    one = json.dumps({"a": T()}, separators=(",", ":")).encode()
    for raw in [b"", b" ", b"[]", b"null", b"1", b"{", b"{}}", b"{}\0", b"{} ", b" {}", b"\n{}\t\r ", b"\xef\xbb\xbf{}", b"{}{}"]:
        yield raw, 0
    for raw in [one + b"   ", b"  " + one, one[:-1], one + b"x", one.replace(b'"a"', b"a"), one.replace(b"2", b"2e0"), one.replace(b"2]", b"NaN]"),
                one.replace(b"2", b"02"), one.replace(b'"a"', b'"\\ud800"'), one.replace(b'"a"', b'"\\ud83d\\ude00"'), one.replace(b'"a"', b'"\xff"'),
                one.replace(b"]}}", b'],"z":NaN}}'), one.replace(b"]}}", b'],"z":1e999}}'), one.replace(b"]}}", b'],"z":1e99}}'),
                one.replace(b"]}}", b'],"z":99999999999999999999999}}'), one.replace(b"]}}", b'],"z":-Infinity}}'),
                one.replace(b"]}}", b'],"z":"\\udc00"}}'), one.replace(b"]}}", b'],"z":' + b"[" * 125 + b"]" * 125 + b"}}"),
                one.replace(b"]}}", b'],"z":' + b"[" * 126 + b"]" * 126 + b"}}"), one.replace(b"]}}", b'],"dtype":"F32"}}'),
                one.replace(b"]}}", b'],"z":1,"z":2}}'), one[:-1] + b"," + one[1:], b'{"__metadata__":{"a":"b","a":"c"},' + one[1:],
                b'{"__metadata__":{},"__metadata__":{},' + one[1:], one.replace(b"}}", b"},}"), one.replace(b"[2]", b"[2,]"),
                one.replace(b"{", b"{/**/"), one.replace(b'"F32"', b"'F32'"), one.replace(b'"F32"', b'"\\u004632"')]:
        yield raw, 8


def mutate(rng, seeds):
    header, data = rng.choice(seeds)
    h = bytearray(header)
    pieces = [b"0", b"1", b"8", b"-", b",", b":", b"[", b"]", b"{", b"}", b'"', b" ", b"null", b"1.0", b"18446744073709551615", b"\\", b"\xc3\xa4",
              b'"b":{"dtype":"U8","shape":[4],"data_offsets":[8,12]},', b'"__metadata__":{"x":"y"},', b'"q":1,', b"[0,8]", b"F16", b"U8"]
    for _ in range(rng.randint(1, 2)):
        at = rng.randint(0, len(h))
        kind = rng.randint(0, 4)
        if kind == 0:
            h[at:at] = rng.choice(pieces)
        elif kind == 1:
            del h[at:at + 1]
        elif kind == 2:
            digits = [i for i, c in enumerate(h) if chr(c).isdigit()]
            if digits:
                h[rng.choice(digits)] = ord(rng.choice("0123456789"))
        elif kind == 3:
            h[at:at + 1] = rng.choice(pieces)
        else:
            data = max(0, data + rng.choice([-4, -1, 1, 4, 8]))
    return bytes(h), data


def layout(rng):
    """A valid header with tensors in any order, spaces, metadata; the last digit is not always right."""
    tensors, at = [], 0
    for i in range(rng.randint(0, 5)):
        dtype = rng.choice(OURS)
        shape = [rng.randint(0 if rng.random() < 0.2 else 1, 3) for _ in range(rng.randint(0, 3))]
        n = BYTES[dtype]
        for d in shape:
            n *= d
        tensors.append(("t%d" % i, tensor(dtype, shape, at, at + n)))
        at += n
    rng.shuffle(tensors)
    if rng.random() < 0.3:
        tensors.insert(rng.randint(0, len(tensors)), ("__metadata__", {"format": "pt"}))
    if tensors and rng.random() < 0.25:
        name, info = rng.choice(tensors)
        if "shape" in info:
            info["data_offsets"][rng.randint(0, 1)] += rng.choice([-1, 1])
    text = json.dumps(dict(tensors), separators=rng.choice([(",", ":"), (", ", ": ")]))
    return text.encode() + b" " * rng.randint(0, 7), at


def main():
    assert safetensors.__version__ == "0.8.0"
    rng = random.Random(5)
    cases = [(h if isinstance(h, bytes) else json.dumps(h, separators=(",", ":")).encode(), n) for h, n in hand()]
    cases += [layout(rng) for _ in range(250)]
    seeds = [c for c in cases if len(c[0]) < 400]
    cases += [mutate(rng, seeds) for _ in range(900)]
    lines, seen = [], set()
    for header, data in cases:
        # -0 is a float in the reference's parser and an integer in ours: harmless, not compared.
        if (header, data) in seen or len(header) > 500 or b"-0" in header:
            continue
        seen.add((header, data))
        length = len(header)
        lines.append((header, length, data))
    for length in [0, 1, 2, 100, 2 ** 31, 100000000, 100000001, 2 ** 63, 2 ** 64 - 8, 2 ** 64 - 1]:
        lines.append((b'{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}', length, 8))
        lines.append((b"{}  ", length, 0))
    with open(OUT, "w", encoding="ascii", newline="\n") as f:
        for header, length, n in lines:
            data = bytes((7 * i + 3) % 256 for i in range(n))
            f.write("%s\t%d\t%d\t%s\n" % (escape(header), length, n, verdict(header, length, data)))


if __name__ == "__main__":
    main()
