#!/usr/bin/env python3
"""Writes tok_unicode_tables.c and tok_unicode_properties.c: character sets as the tokenizers
package sees them.

The package mixes several Unicode versions (Oniguruma, the Rust standard library, three crates).
Each set is asked of the package itself, one character at a time; where PCRE2 or utf8proc have
nearly the same set, only the difference is written.

    python unicode.py ../../../src/text
"""
import ctypes
import ctypes.util
import os
import sys

from tokenizers import Regex, __version__, normalizers, pre_tokenizers

ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(map(chr, ALL))


def ranges(members):
    out = []
    for c in sorted(members):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def joined(members):
    """Ranges; the surrogates, which no text holds, do not break a range."""
    out = []
    for low, high in ranges(members):
        if out and out[-1][1] == 0xD7FF and low == 0xE000:
            out[-1][1] = high
        else:
            out.append([low, high])
    return out


# ---- PCRE2 and utf8proc by ctypes ------------------------------------------------------------
pcre = ctypes.CDLL("libpcre2-8.so.0")
pcre.pcre2_compile_8.restype = ctypes.c_void_p
utf8proc = ctypes.CDLL("libutf8proc.so.2")


def pcre_set(body):
    code = ctypes.c_int()
    offset = ctypes.c_size_t()
    pattern = ("[^" + body + "]").encode()
    flags = 0x00080000 | 0x00020000  # UTF, UCP
    re = pcre.pcre2_compile_8(pattern, ctypes.c_size_t(len(pattern)), flags, ctypes.byref(code),
                              ctypes.byref(offset), None)
    if not re:
        raise SystemExit(f"PCRE2 refuses {pattern}: {code.value}")
    subject = TEXT.encode()
    out = ctypes.create_string_buffer(len(subject) + 1)
    size = ctypes.c_size_t(len(subject) + 1)
    done = pcre.pcre2_substitute_8(ctypes.c_void_p(re), subject, ctypes.c_size_t(len(subject)),
                                   ctypes.c_size_t(0), 0x100, None, None, b"", ctypes.c_size_t(0),
                                   out, ctypes.byref(size))
    assert done >= 0, done
    pcre.pcre2_code_free_8(ctypes.c_void_p(re))
    return set(map(ord, out.raw[:size.value].decode()))


def onig_set(body):
    return set(map(ord, normalizers.Replace(Regex("[^" + body + "]"), "").normalize_str(TEXT)))


def proc_decompose(c, compatible):
    out = (ctypes.c_int32 * 20)()
    options = 1 << 1 | 1 << 4  # STABLE, DECOMPOSE
    if compatible:
        options |= 1 << 2  # COMPAT
    n = utf8proc.utf8proc_decompose_char(c, out, 20, options, None)
    return "".join(map(chr, out[:n])) if n > 0 else chr(c)


class Property(ctypes.Structure):
    _fields_ = [("category", ctypes.c_int16), ("ccc", ctypes.c_int16), ("between", ctypes.c_int16 * 8),
                ("flags", ctypes.c_uint8), ("boundclass", ctypes.c_uint8)]


utf8proc.utf8proc_get_property.restype = ctypes.POINTER(Property)
utf8proc.utf8proc_tolower.restype = ctypes.c_int32


def proc_ccc(c):
    return utf8proc.utf8proc_get_property(c).contents.ccc


# ---- sets of the package ----------------------------------------------------------------------
def numeric():
    """Digits isolates each numeric character."""
    text = "".join("a" + chr(c) for c in ALL)
    pieces = pre_tokenizers.Digits(True).pre_tokenize_str(text)
    return {ALL[b // 2] for _, (b, e) in pieces if e == b + 1 and b % 2 == 1}


def rust_word():
    text = "".join("a" + chr(c) for c in ALL)
    starts, inside = set(), set()
    for _, (b, e) in pre_tokenizers.Whitespace().pre_tokenize_str(text):
        inside.update(range(b + 1, e))
    return {ALL[i // 2] for i in inside if i % 2 == 1}


def removed_by(normalizer, keep=lambda c: True):
    return {c for c in ALL if keep(c) and normalizer.normalize_str(chr(c)) == ""}


def punctuation():
    kept = "".join(p for p, _ in
                   pre_tokenizers.Punctuation("removed").pre_tokenize_str(TEXT))
    return set(ALL) - set(map(ord, kept))


def script_classes():
    """UnicodeScripts cuts where the script changes: 0 any, else a number a class."""
    scripts = pre_tokenizers.UnicodeScripts()

    def cut(pairs):
        """Whether each pair is cut. 'any' never is; U+0020 is 'any' and keeps the last script,
        so each pair is asked alone."""
        return [len(scripts.pre_tokenize_str(a + b)) > 1 for a, b in pairs]

    # a character of script "any" gives no piece at all when it stands alone
    anys = {c for c in ALL if not scripts.pre_tokenize_str(chr(c))}
    runs, last = [], None
    for c in ALL:
        if c in anys:
            last = None
            continue
        if last is not None and c == last + 1 and not cut([(chr(last), chr(c))])[0]:
            runs[-1][1] = c
        else:
            runs.append([c, c])
        last = c
    heads, out = [], []
    for low, high in runs:
        number = None
        for i, head in enumerate(heads):
            if not cut([(head, chr(low))])[0]:
                number = i + 1
                break
        if number is None:
            heads.append(chr(low))
            number = len(heads)
        out.append((low, high, number))
    return out


def normalization():
    """Characters that the package's Unicode version does not know yet."""
    nfd, nfkd, nfc = normalizers.NFD(), normalizers.NFKD(), normalizers.NFC()
    unknown = set()
    for c in ALL:
        ch = chr(c)
        for norm, compatible in ((nfd, 0), (nfkd, 1)):
            theirs, ours = norm.normalize_str(ch), proc_decompose(c, compatible)
            if theirs != ours:
                assert theirs == ch, (hex(c), theirs, ours)
                unknown.add(c)
        ccc = proc_ccc(c)
        first = len(ch + "x") == 2 and nfd.normalize_str(ch) == ch
        if first:
            up = c != 0x334 and nfd.normalize_str("a" + ch + "\u0334") == "a\u0334" + ch
            down = c != 0x345 and nfd.normalize_str("a\u0345" + ch) == "a" + ch + "\u0345"
            if (up, down) != (ccc > 1, 0 < ccc < 240):
                assert not up and not down, (hex(c), up, down, ccc)
                unknown.add(c)
    for c in ALL:
        parts = proc_decompose(c, 0)
        if len(parts) == 2 and c not in unknown:
            import unicodedata
            theirs = nfc.normalize_str(parts)
            ours = unicodedata.normalize("NFC", parts)
            assert theirs == ours, (hex(c), theirs, ours)
    return unknown


def lower():
    rows = []
    low = normalizers.Lowercase()
    for c in ALL:
        theirs, ours = low.normalize_str(chr(c)), chr(utf8proc.utf8proc_tolower(c))
        if theirs != ours:
            rows.append((c, theirs))
    return rows


def one_segment(before, after):
    """Characters that are one text segment with what stands around them."""
    split = pre_tokenizers.Split(Regex(r"\X"), "isolated")
    width, out = len(before) + 1 + len(after), set()
    rows = [c for c in ALL if c not in (10, 13)]
    for at in range(0, len(rows), 4096):
        part = rows[at:at + 4096]
        text = "".join(before + chr(c) + after + "\n" for c in part)
        for _, (b, e) in split.pre_tokenize_str(text):
            if b % (width + 1) == 0 and e - b >= width:
                out.add(part[b // (width + 1)])
    return out


def segments():
    """Rows (first, last, class) where Oniguruma's class is not utf8proc's (numbers are the latter's)."""
    smile, joiner = "\u263a", "\u200d"
    found = [  # the first that holds
        (13, one_segment("", "a")), (14, one_segment(smile, smile)),
        (5, one_segment(smile, joiner + smile)), (12, one_segment("a", "")),
        (4, set(ALL) - one_segment("", "\u0301") - {10, 13}),
        (11, one_segment("", "\U0001f1e6")), (6, one_segment("", "\uac00")),
        (8, one_segment("\uac01", "")), (7, one_segment("\uac00", ""))]
    lead, vowel = one_segment("\u1100", ""), one_segment("", "\u1161")
    found += [(9, lead & vowel), (10, lead), (19, one_segment(smile + joiner, ""))]
    out = []
    for c in ALL:
        theirs = {13: 2, 10: 3}.get(c) or next((n for n, members in found if c in members), 1)
        if theirs == utf8proc.utf8proc_get_property(c).contents.boundclass:
            continue
        if out and out[-1][1] == c - 1 and out[-1][2] == theirs:
            out[-1][1] = c
        else:
            out.append([c, c, theirs])
    return out


CATEGORIES = ("C Cc Cf Cn Co L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps "
              "S Sc Sk Sm So Z Zl Zp Zs").split()
LONG = {
    "Letter": "L", "LowercaseLetter": "Ll", "UppercaseLetter": "Lu", "TitlecaseLetter": "Lt",
    "ModifierLetter": "Lm", "OtherLetter": "Lo", "Mark": "M", "NonspacingMark": "Mn",
    "SpacingMark": "Mc", "EnclosingMark": "Me", "Number": "N", "DecimalNumber": "Nd",
    "LetterNumber": "Nl", "OtherNumber": "No", "Punctuation": "P", "ConnectorPunctuation": "Pc",
    "DashPunctuation": "Pd", "OpenPunctuation": "Ps", "ClosePunctuation": "Pe",
    "InitialPunctuation": "Pi", "FinalPunctuation": "Pf", "OtherPunctuation": "Po", "Symbol": "S",
    "MathSymbol": "Sm", "CurrencySymbol": "Sc", "ModifierSymbol": "Sk", "OtherSymbol": "So",
    "Separator": "Z", "SpaceSeparator": "Zs", "LineSeparator": "Zl", "ParagraphSeparator": "Zp",
    "Other": "C", "Control": "Cc", "Format": "Cf", "PrivateUse": "Co", "Unassigned": "Cn",
}
SCRIPTS = ("Arabic Armenian Bengali Bopomofo Braille Canadian_Aboriginal Cherokee Common Coptic "
           "Cyrillic Devanagari Ethiopic Georgian Gothic Greek Gujarati Gurmukhi Han Hangul "
           "Hebrew Hiragana Inherited Kannada Katakana Khmer Lao Latin Malayalam Mongolian "
           "Myanmar Ogham Oriya Runic Sinhala Syriac Tamil Telugu Thaana Thai Tibetan Tifinagh "
           "Yi").split()
OTHERS = {
    "alnum": r"\p{Alphabetic}\p{Nd}", "alpha": r"\p{Alphabetic}", "blank": r"\p{Zs}\t",
    "cntrl": r"\x00-\x1f\x7f-\x9f", "digit": r"\p{Nd}", "graph": r"\p{L}\p{M}\p{N}\p{P}\p{S}",
    "lower": r"\p{Lowercase}", "print": r"\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}",
    "punct": r"\p{P}\p{S}", "space": r"\t-\r \x85\p{Z}", "upper": r"\p{Uppercase}",
    "xdigit": r"0-9A-Fa-f", "word": r"\p{L}\p{M}\p{Nd}\p{Pc}", "ascii": r"\x00-\x7f",
    "any": r"\x{0}-\x{10ffff}", "assigned": r"\P{Cn}", "LC": r"\p{Lu}\p{Ll}\p{Lt}",
    "Alphabetic": r"\p{Alphabetic}", "Lowercase": r"\p{Lowercase}", "Uppercase": r"\p{Uppercase}",
    "White_Space": r"\t-\r \x85\p{Z}", "Emoji": r"\p{Emoji}",
    "Emoji_Presentation": r"\p{Emoji_Presentation}", "Emoji_Modifier": r"\p{Emoji_Modifier}",
    "Emoji_Modifier_Base": r"\p{Emoji_Modifier_Base}", "Emoji_Component": r"\p{Emoji_Component}",
    "Extended_Pictographic": r"\p{Extended_Pictographic}", "Ideographic": r"\p{Ideographic}",
    "Dash": r"\p{Dash}", "Math": r"\p{Math}",
}


def properties():
    rows = {}

    def row(name, body):
        key = name.lower().replace("_", "")
        theirs, ours = onig_set(r"\p{" + name + "}"), pcre_set(body)
        rows[key] = (body, joined(theirs - ours), joined(ours - theirs))

    for name in CATEGORIES:
        row(name, r"\p{" + name + "}")
    for name, short in LONG.items():
        row(name, r"\p{" + short + "}")
    for name in SCRIPTS:
        row(name, r"\p{sc:" + name + "}")
    for name, body in OTHERS.items():
        row(name, body)
    return rows


# ---- writing ------------------------------------------------------------------------------------
HEAD = """/* {file}: generated by tools/goldens/tokenizers/unicode.py; do not edit.
 *
 * {what} as tokenizers {version} sees them.
 * Each was asked of the package itself, because it mixes the Unicode versions of its parts; where
 * PCRE2 10.42 or utf8proc 2.8 have nearly the same, only the difference is here. Ranges begin with
 * their first and last code point. */
#include "text/tok_unicode.h"

/* clang-format off */
"""


def numbers(rows):
    """{0x1, 0x2, 3}: the first two of a row are code points."""
    text, line = "", "   "
    for row in rows:
        parts = (f"0x{x:X}" if i < 2 or x > 99 else str(x) for i, x in enumerate(row))
        item = " {" + ", ".join(parts) + "},"
        if len(line) + len(item) > 98:
            text += line + "\n"
            line = "   "
        line += item
    return text + line


def table(name, rows, width=2, count=True):
    text = f"const uint32_t {name}[][{width}] = {{\n{numbers(rows)}\n}};\n"
    return text + (f"const unsigned {name}_n = {len(rows)};\n" if count else "") + "\n"


def c_string(text):
    return '"' + text.replace("\\", "\\\\") + '"'


def head(file, what):
    return (HEAD.replace("{file}", file).replace("{what}", what)
            .replace("{version}", __version__))


def sets():
    out = head("tok_unicode_tables.c", "Character sets")
    bert = normalizers.BertNormalizer
    nfd = normalizers.NFD()
    stable = {c for c in ALL if nfd.normalize_str(chr(c)) == chr(c)}
    out += table("uni_numeric_ranges", joined(numeric()))
    out += table("uni_word_ranges", joined(rust_word()))
    out += table("uni_punct_ranges", joined(punctuation()))
    clean = bert(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    out += table("uni_other_ranges", joined(removed_by(clean) - {0, 0xFFFD}))
    accents = bert(clean_text=False, handle_chinese_chars=False, strip_accents=True,
                   lowercase=False)
    out += table("uni_nonspacing_ranges", joined(removed_by(accents, lambda c: c in stable)))
    out += table("uni_combining_ranges", joined(removed_by(normalizers.StripAccents())))
    out += table("uni_unknown_ranges", joined(normalization()))
    out += table("uni_script_ranges", script_classes(), 3)
    rows = [(c, *(ord(x) for x in text), 0, 0)[:3] for c, text in lower()]
    rows = table("uni_lower_rows", rows, 3)
    return out + rows.rstrip("\n") + "\n"


def property_rows():
    out = head("tok_unicode_properties.c", "Character properties and text segments")
    out += table("uni_segment_ranges", segments(), 3)
    props = properties()
    pool, seen = [], {}

    def place(items):
        key = tuple(map(tuple, items))
        if key not in seen:
            seen[key] = len(pool)
            pool.extend(key)
        return seen[key]

    rows = ""
    for name in sorted(props):
        body, add, drop = props[name]
        rows += (f"    {{\"{name}\", {c_string(body)}, uni_property_ranges + {place(add)},\n"
                 f"     uni_property_ranges + {place(drop)}, {len(add)}, {len(drop)}}},\n")
    out += "static " + table("uni_property_ranges", pool, count=False)
    out += "/* sorted by name */\nconst uni_property uni_properties[] = {\n" + rows
    return out + f"}};\nconst unsigned uni_properties_n = {len(props)};\n"


def main():
    for name, text in (("tok_unicode_tables.c", sets()),
                       ("tok_unicode_properties.c", property_rows())):
        with open(os.path.join(sys.argv[1], name), "w", encoding="ascii") as f:
            f.write(text)


if __name__ == "__main__":
    main()
