"""Copying text exactly: invented words, numbers, code, and hostile Unicode; small changes of text.

All strings are NFC, as the tokenizer's normaliser makes them. Every string is drawn at random; test strings differ
from training strings by the hash of their text.
"""
import unicodedata
from base import chat, coin, held, person, sample, ANIMALS, COLOURS, FOODS, OBJECTS

RANGES = [(0x21, 0x7e), (0xa1, 0xff), (0x100, 0x17f), (0x370, 0x3ff), (0x400, 0x45f), (0x531, 0x556), (0x5d0, 0x5ea), (0x620, 0x64a), (0x904, 0x939), (0xe01, 0xe2e), (0x10a0, 0x10c5),
          (0x3041, 0x3096), (0x30a1, 0x30fa), (0x4e00, 0x9fa5), (0xac00, 0xd7a3), (0x2190, 0x21ff), (0x2200, 0x22ff), (0x2500, 0x257f), (0x2600, 0x26ff), (0x1d400, 0x1d454), (0x1f300, 0x1f5ff), (0x1f600, 0x1f64f),
          (0x1f680, 0x1f6c5), (0x1f900, 0x1f9ff), (0x20a0, 0x20bf), (0x2070, 0x209c), (0x1e00, 0x1eff), (0xff01, 0xff5e)]
WIDE = [(0xa1, 0x52f), (0x2b0, 0x2ff), (0x530, 0x7b1), (0x900, 0xdff), (0x10a0, 0x139f), (0x1400, 0x17ff), (0x1d00, 0x1fff), (0x2010, 0x27ff), (0x2800, 0x2bff), (0x3001, 0x33ff), (0xa000, 0xa6ff), (0xfb00, 0xfdff), (0x10000, 0x103ff),
        (0x12000, 0x123ff), (0x1d100, 0x1d7ff), (0x1f000, 0x1faff), (0x20000, 0x2a6df)]
COMBINING = [0x300, 0x301, 0x302, 0x303, 0x308, 0x30a, 0x327, 0x331, 0x335, 0x20d0, 0x20dd]
INVISIBLE = [0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x202a, 0x202e, 0x202c, 0x2060, 0xfeff, 0xad, 0xa0, 0x2003, 0x3000, 0x2028, 0xfe0f, 0xfffd]
SNIPPETS = ["👨‍👩‍👧", "🏳️‍🌈", "👍🏽", "🇩🇪", "🇯🇵", "e\u0301", "a\u0308\u0323", "ﷺ", "ﬁ", "Ⅷ", "½", "Straße", "naïve", "Ångström", "İstanbul", "ΑΒΓ", "привет", "你好", "こんにちは", "안녕", "שלום", "مرحبا",
            "नमस्ते", "ไทย", "\\n", "\\u0000", "%s", "${x}", "<b>", "</div>", "&amp;", "'; DROP TABLE", "{{x}}", "[]", "null", "NaN", "0x1F", "../..", "\t", "a\tb", "``", "\"\"", "''", "\\\\", "~", "^", "|"]


def hostile(r):
    kind, n, out = r.random(), r.upto(1, 10), []
    if kind < 0.15:                                      # anything at all
        out = [chr(r.upto(*r.pick(WIDE))) + ("" if r.chance(0.8) else " ") for _ in range(n)]
    elif kind < 0.3:                                     # one script
        lo, hi = r.pick(RANGES)
        out = [chr(r.upto(lo, hi)) for _ in range(n)]
    elif kind < 0.6:                                     # everything mixed
        for _ in range(n):
            u = r.random()
            if u < 0.6:
                out.append(chr(r.upto(*r.pick(RANGES))))
            elif u < 0.75:
                out.append(r.pick("aeiouyncsz") + "".join(chr(r.pick(COMBINING)) for _ in range(r.upto(1, 3))))
            elif u < 0.85:
                out.append(chr(r.pick(INVISIBLE)))
            else:
                out.append(r.pick(SNIPPETS))
    elif kind < 0.8:
        out = [r.pick(SNIPPETS) + r.pick(["", " ", "", "-"]) for _ in range(r.upto(1, 5))]
    else:                                                # words with something hostile between
        out = [r.pick([coin(r), chr(r.upto(*r.pick(RANGES))), r.pick(SNIPPETS), str(r.upto(0, 9999)), r.pick(OBJECTS)]) + " " for _ in range(r.upto(2, 6))]
    return unicodedata.normalize("NFC", "".join(out)).strip()


def clean(s):
    """Whether the string keeps its edges: no white space that a trim would take, no lone combining mark first."""
    return s and s == s.strip() and not unicodedata.combining(s[0]) and unicodedata.normalize("NFC", s) == s and "<|" not in s


ASK = ["Repeat exactly: {s}", "Copy this text: {s}", "Repeat after me: {s}", "Say exactly this: {s}", "Echo: {s}", "Copy the next line.\n{s}", "Write this again, unchanged:\n{s}", "Repeat this exactly: {s}", "Repeat: {s}", "Copy: {s}", "Please repeat the following text exactly.\n\n{s}"]


def copy_hostile(r):
    while not clean(s := hostile(r)) or held("copy " + s) != r.test:
        pass
    return sample("copy", chat(r.pick(ASK).replace("{s}", s), s), {"type": "exact", "value": s})


def words(r):
    return " ".join(r.pick([coin(r), r.pick(OBJECTS), r.pick(ANIMALS), r.pick(COLOURS), r.pick(FOODS), str(r.upto(0, 9999)), person(r)]) for _ in range(r.upto(1, 8)))


def copy_words(r):
    s = r.split_pick(lambda: words(r), lambda s: "words " + s)
    return sample("copy", chat(r.pick(ASK).replace("{s}", s), s), {"type": "exact", "value": s})


def say(r):
    """One word or phrase, said back."""
    s = r.split_pick(lambda: r.pick([lambda: coin(r).lower(), lambda: r.pick(r.pick([OBJECTS, ANIMALS, FOODS])), lambda: words(r)])(), lambda s: "say " + s)
    q = r.pick(["Say the word '{s}'.", "Say '{s}'", "Say \"{s}\".", "Say the word {s}.", "Say: {s}", "Write '{s}'.", "Answer with the word {s}.", "Type {s}"])
    return sample("copy", chat(q.replace("{s}", s), s), {"type": "exact", "value": s})


def change(r):
    """Capitals, repetition, lists."""
    ws = r.split_pick(lambda: [r.pick(r.pick([OBJECTS, ANIMALS, COLOURS, FOODS])) for _ in range(r.upto(1, 4))], lambda w: "change " + " ".join(w))
    s = " ".join(ws)
    u = r.random()
    if u < 0.4:
        q, a = r.pick(["Write in capital letters: {s}", "Write '{s}' in capitals.", "Uppercase: {s}"]).format(s=s), s.upper()
    elif u < 0.6:
        n = r.upto(2, 6)
        s = ws[0]
        q, a = r.pick(["Write the word {s} {n} times.", "Say {s} {n} times.", "Repeat the word {s} {n} times.", "repeat {s} {n} times", "Write {s} {n} times"]).format(s=s, n=r.pick([str(n), ["", "", "two", "three", "four", "five", "six"][n]])), " ".join([s] * n)
    elif u < 0.8:
        q, a = r.pick(["Make a bullet list: {s}", "Write these as a list: {s}"]).format(s=", ".join(ws)), "\n".join("- " + w for w in ws)
    else:
        q, a = r.pick(["Write these words backwards, last word first: {s}", "Reverse the order of these words: {s}"]).format(s=s), " ".join(reversed(ws))
    return sample("change", chat(q, a), {"type": "exact", "value": a})
