"""Tokenizers of every kind and option, and hostile strings, for make_vectors.py and fresh.py.

Options and strings are drawn from a seeded random.Random; the package's trainers break ties by
hash order, so the vocabularies of two runs differ."""
import base64
import json
import struct
import unicodedata

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|"
          r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
         r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
         r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
          r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
          r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"[\r\n]", r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+",
            r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", r"[一-龥ࠀ-一가-퟿]+"]
DEEPSEEK3 = [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
             r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
             r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
KIMI = (r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
          r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s")
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
STARCODER = r"\p{N}"
PATTERNS = [GPT2, LLAMA3, QWEN2, QWEN35, O200K, TEKKEN, KIMI, BLOOM, STARCODER, CL100K, *DEEPSEEK,
            *DEEPSEEK3, r"\w+|[^\w\s]+", r"\s+", r"(?m).{3}", r"^.+$", r"\b\w", r"\h+", r"\R",
            r"[[:alpha:]]+", r"[[:punct:]]", r"[^[:space:]]+", r"(?i)[a-f]+|THE K", r"\d{,3}",
            r"(?<=a)b|(?<!x)c", r"\p{Lu}\p{Ll}*+", r"(?>a+)b?", r"[\p{L}&&[^aeiou]]+", r"\W",
            r"\S+\s*", r"[^\S\n]+", r"[\P{L}\d]", r"\p{^L}+", r"(\w)\1", r"a{2}?", r"x*", r"\A.",
            r".\z", r"\p{Han}|\p{Hiragana}|\p{Katakana}", r"\p{Arabic}+", r"[\x{1F300}-\x{1FAFF}]",
            r"\u00e9", r"(?x) a b # c", r"\p{Cn}|\p{Co}", r"\p{Emoji}", r"[^\p{Cn}]", r"\p{C}+"]

WORDS = ("the of and to in is that for it as was with be by on not he his but at are this have "
         "from or had an they which one you were her all she there would their we him been has "
         "when who will more no if out so said what up its about into than them can only other "
         "new some could time these two may then do first any my now such like our over man me "
         "even most made after also did many before must through back years where much your way "
         "well down should because each just those people how too little state good very make "
         "world still own see men work long get here between both life being under never day "
         "same another know while last might us great old year off come since against go came "
         "right used take three don't can't I'm we'll you've he'd she's Tokenizer MODEL json").split()
SCRIPTS = ["привет мир как дела", "γειά σου κόσμε", "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया",
           "你好世界，今天天气很好。", "こんにちは世界、カタカナ", "안녕하세요 세계", "สวัสดีชาวโลก",
           "Ünïcödé façade naïve Straße", "İstanbul ıŞĞ", "ﬁne ﬂow Ǆ ǅ", "½ ² ₃ Ⅷ ٣ ४ 五"]


def corpus(rng, lines=400):
    out = []
    for _ in range(lines):
        words = [rng.choice(WORDS) for _ in range(rng.randint(3, 12))]
        if rng.random() < 0.3:
            words.append(str(rng.randint(0, 99999)))
        if rng.random() < 0.4:
            words.insert(rng.randint(0, len(words)), rng.choice(SCRIPTS))
        line = " ".join(words)
        out.append(line.capitalize() + rng.choice([".", "!", "?", ", ", "\n", ";", "..."]))
    return out


FIXED = [
    "", " ", "  ", "a", "\n", "\r\n", "\t", "\0", "a\0b", "\ufffd", "�a�", "\ufeffBOM",
    "Hello, world!", "Hello   world", " leading", "trailing ", "  both  ", "don't can't I'LL WE'VE",
    "it'ſ K'ſ", "x = 1234567890;", "1 22 333 4444 55555", "3.14159e-10", "a\r\nb\rc\n\nd",
    "\n\n\n", " \n \n ", "a \n b", "tab\tsep\t\tend", "\u00a0nbsp\u00a0", "\u3000wide　space",
    "\u2028line\u2029para", "\u0085nel", "\u180emvs", "\u200bzwsp\u200c\u200d\u200e\u200f",
    "👨\u200d👩\u200d👧\u200d👦", "🏳️\u200d🌈", "👍🏽👍🏿", "🇩🇪🇫🇷🇯", "☺️☹︎", "e\u0301", "é", "e\u0301\u0323",
    "e\u0323\u0301", "ạ\u0301", "Å Å A\u030a", "q\u0307\u0323", "\u0301leading mark",
    "a" + "\u0301" * 40, "a" + "\u0316\u0301\u0334\u0345" * 8, "ẛ\u0323", "ﬁ ﬀ ﬃ ſt", "①②③ ⅷ ㎏ ㍿",
    "한국어", "\u1112\u1161\u11ab", "\u1100\u1161\uac00\u11a8", "각", "カ\u3099", "ｶﾞ", "ΐ",
    "\u0390", "Ωmega Ω", "İi̇Iı", "ΑΣ ΑΣΑ", "ß ẞ ss SS", "Ǆ ǅ ǆ", "שָׁלוֹם", "السَّلَامُ عَلَيْكُمْ",
    "\u202eRTL\u202c", "नमस्ते", "क\u094dष", "ไทย", "中文字符测试", "日本語ひらがなカタカナー", "𠀀𪚥",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "\ue000\uf8ff", "\U000f0000\U0010fffd", "\U0010ffff\uffff\ufffe", "\ufdd0",
    "\ud7ff\ue000", "\u0378\u0379", "\U0001fbff\U0001fc00", "\U00031350 \U0002ebf0", "\U0001e030",
    "\u1c80\u1c8a\u1c89", "\ua7da\ua7dc", "\U00010d4a\U00010d69", "\u0897\u08c8", "\U000113b8\U000113c5",
    "<|endoftext|>", "a<|endoftext|>b", " <|endoftext|> ", "<s></s><unk>", "[CLS] [SEP] [MASK] [UNK]",
    "<mask>", "a <mask> b", "a  <mask>  b", "<mask><mask>", "x<mask>y", "<MASK>", "<|endoftext",
    "<<|endoftext|>>", "<0x0A>", "<0x41><0x42>", "▁under▁score", "▁▁", "Ġ Ċ ĉ", "##word", "</w>",
    "foo_bar fooBar FOOBAR", "snake_case_name", "CamelCaseName", "http://example.com/a?b=c&d=e#f",
    "user@example.com", "C:\\path\\file.txt", "{\"key\": [1, 2.5, null, true]}", "<html><body>&amp;",
    "def f(x):\n    return x ** 2\n", "\x01\x02\x03\x07\x08\x1b[0m\x7f", "\x80\x9f\x8f", "\u00ad",
    "…—–‘’“”«»", "!!! ??? ...", "¿¡", "€£¥₹₿", "±×÷≠≤≥", "→←↑↓", "°C ℃ K Å", "a" * 100, "ab" * 60,
    " " * 70, "\n" * 30, "." * 50, "é" * 40, "中" * 40, "👍" * 20, "1" * 60, "aA1 " * 15, "\u0301" * 50,
    "do not do n't it 's we 've they 're . , ! ?", "| pad | word", "<pad><pad>a<pad>", "a.b,c!d?e",
    "ⅣⅤ ⅳ", "٠١٢٣", "१२३", "᠐᠑", "𝟘𝟙𝟚", "a\u0300\u0301b\u0302", "\u0e01\u0e33", "ກຳ",
    "\u0344", "\u2126\u212a\u212b", "\u2000\u2001", "\uf900\ufa0e", "\U0002f800", "\u0958", "\u2adc",
    "\ufb1d\ufb4f", "\u1e9b\u0323", "\u0340\u0341\u0343\u0374\u037e\u0387", "\u09cb\u09cc", "\u0b4b",
]
POOLS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", " ", "     ", "\n", "\t",
    "\r\n", ".,;:!?'\"()[]{}<>/\\|-_=+*&^%$#@~`", "àáâãäåçèéêëìíîïñòóôõöùúûüýÿßæøÆØ", "абвгдежзиклмнопрст",
    "αβγδεζηθικλμνξοπρστυφχψωΣς", "אבגדהוזחטי", "ابتثجحخدذرز", "你好世界天气今很中文", "ひらがなカタカナー",
    "안녕하세요세계", "नमस्तेदुनिया", "สวัสดี", "👍🏽🎉😀🇩🇪👨\u200d👩", "\u0300\u0301\u0302\u0316\u0323\u0334\u0345\u20dd",
    "\u200b\u200c\u200d\u200e\u200f\ufeff\u2060\u00ad", "\u00a0\u2003\u3000\u1680\u2028\u2029\u0085",
    "\0\x01\x02\x1b\x7f\x80\x9f", "\ufffd\ufffe\uffff\ufdd0", "\ue000\uf8ff\U000f0000", "½²₃ⅷ①٣४", "ﬁﬂﬀ㎏Ⅷ",
    "\u1100\u1161\u11a8\uac00\uac01", "'", "s't're've'm'll'd", "▁", "Ġ",
]
SPECIALS = ["<|endoftext|>", "<s>", "</s>", "<unk>", "[MASK]", "<mask>", "[CLS]", "[SEP]", "[UNK]",
            "<pad>", "word", "FOO", "foo bar", "é", "<0x41>", "##ing"]


def random_string(rng, longest=40):
    kind = rng.random()
    n = rng.randint(1, longest)
    if kind < 0.1:  # any assigned or unassigned character
        return "".join(chr(c) for c in (rng.choice([rng.randrange(0x20, 0x3000),
                                                    rng.randrange(0x3000, 0x110000),
                                                    rng.randrange(0x10000, 0x20000)])
                                        for _ in range(n)) if not 0xD800 <= c < 0xE000)
    if kind < 0.4:  # words of the corpus
        words = [rng.choice(WORDS + SCRIPTS + SPECIALS) for _ in range(rng.randint(1, 9))]
        return rng.choice([" ", "  ", "", "\n", ", "]).join(words)
    out = []
    for _ in range(n):
        pool = rng.choice(POOLS)
        out.append(rng.choice(pool) * rng.choice([1, 1, 1, 2, 3]))
        if rng.random() < 0.05:
            out.append(rng.choice(SPECIALS))
    text = "".join(out)
    if rng.random() < 0.1:
        text = unicodedata.normalize(rng.choice(["NFC", "NFD", "NFKC", "NFKD"]), text)
    return text


def strings(rng, n):
    out = list(FIXED)
    while len(out) < n:
        out.append(random_string(rng))
    return out[:n] if n < len(out) else out


# ---- tokenizers ---------------------------------------------------------------------------------
def charsmap(rules):
    """A Precompiled charsmap of {key: replacement}: a double-array trie laid out naively."""
    texts, offsets = bytearray(), {}
    for key in sorted(rules, key=lambda k: k.encode()):
        offsets[key] = len(texts)
        texts += rules[key].encode() + b"\0"
    trie = {}
    for key in rules:
        node = trie
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[None] = offsets[key]
    units, used = {0: 0}, {0}

    def place(index, node):
        children = [b for b in node if b is not None] + ([0] if None in node else [])
        base = 1
        while True:
            if (index ^ base) >= 1 and base < 1 << 21 and \
                    all((base ^ index ^ b) not in used for b in children) and base:
                break
            base += 1
        start = index ^ base
        assert base < 1 << 21
        units[index] = units.get(index, 0) | base << 10
        used.add(start)
        for b in children:
            used.add(start ^ b)
        if None in node:
            units[index] |= 1 << 8
            units[start] = node[None] | 1 << 31
        for b in sorted(x for x in node if x is not None):
            units[start ^ b] = b
        for b in sorted(x for x in node if x is not None):
            place(start ^ b, node[b])

    place(0, trie)
    size = (max(used) | 255) + 1
    blob = b"".join(struct.pack("<I", units.get(i, 0xFF)) for i in range(size))
    return base64.b64encode(struct.pack("<I", len(blob)) + blob + bytes(texts)).decode()


NMT_RULES = {"ﬁ": "fi", "Å": "Å", "①": "1", "㎏": "kg", "\u00a0": " ", "\u3000": " ", "\t": " ",
             "\n": " ", "\r": " ", "ａ": "a", "…": "...", "½": "1⁄2", "e\u0301": "é", "a\u030a": "å",
             "\u200b": "", "\u200d": "", "ß": "ss", "\u1100\u1161": "가", "\x7f": "", "한": "han",
             "İ": "i̇", "\u0301": "´"}


def normalizer(rng, depth=0):
    n = normalizers
    makers = [
        n.NFC, n.NFD, n.NFKC, n.NFKD, n.Lowercase, n.StripAccents, n.Nmt,
        lambda: n.Strip(rng.random() < 0.5, rng.random() < 0.5),
        lambda: n.Replace(rng.choice(["a", " ", "ll", "é", "\n"]), rng.choice(["", "▁", "xyz", " "])),
        lambda: n.Replace(Regex(rng.choice([r"\s+", r"[0-9]", r"(?i)THE", r" {2,}", r"\p{M}", "$"])),
                          rng.choice([" ", "#", "", "▁▁"])),
        lambda: n.Prepend(rng.choice(["▁", " ", "ab"])),
        lambda: n.BertNormalizer(rng.random() < 0.5, rng.random() < 0.5,
                                 rng.choice([None, True, False]), rng.random() < 0.5),
        lambda: n.Precompiled(base64.b64decode(charsmap(NMT_RULES))),
    ]
    if depth == 0 and rng.random() < 0.35:
        return n.Sequence([normalizer(rng, 1) for _ in range(rng.randint(1, 4))])
    return rng.choice(makers)()


BEHAVIORS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]


def pre_tokenizer(rng, depth=0):
    p = pre_tokenizers
    makers = [
        lambda: p.ByteLevel(rng.random() < 0.5, rng.random() < 0.5, rng.random() < 0.6),
        lambda: p.Split(Regex(rng.choice(PATTERNS)), rng.choice(BEHAVIORS), rng.random() < 0.3),
        lambda: p.Split(rng.choice([" ", "a", "the", ".", "\n"]), rng.choice(BEHAVIORS),
                        rng.random() < 0.3),
        lambda: p.Digits(rng.random() < 0.5), lambda: p.Punctuation(rng.choice(BEHAVIORS)),
        p.Whitespace, p.WhitespaceSplit, p.BertPreTokenizer,
        lambda: p.Metaspace(rng.choice("▁_"), rng.choice(["always", "never", "first"]),
                            rng.random() < 0.7),
        lambda: p.CharDelimiterSplit(rng.choice(" ae,")), p.UnicodeScripts,
        lambda: p.FixedLength(rng.randint(1, 7)),
    ]
    if depth == 0 and rng.random() < 0.4:
        return p.Sequence([pre_tokenizer(rng, 1) for _ in range(rng.randint(1, 4))])
    return rng.choice(makers)()


def decoder(rng, depth=0):
    d = decoders
    makers = [
        d.ByteLevel, d.ByteFallback, d.Fuse,
        lambda: d.Replace(rng.choice(["▁", "Ġ", "a", "##"]), rng.choice([" ", "", "é"])),
        lambda: d.Metaspace(rng.choice("▁_"), rng.choice(["always", "never", "first"])),
        lambda: d.WordPiece(rng.choice(["##", "▁", ""]), rng.random() < 0.5),
        lambda: d.BPEDecoder(rng.choice(["</w>", "e"])),
        lambda: d.CTC(rng.choice(["<pad>", "a"]), rng.choice(["|", "▁"]), rng.random() < 0.5),
        lambda: d.Strip(rng.choice(" ▁a"), rng.randint(0, 2), 0),
    ]
    if depth == 0 and rng.random() < 0.5:
        return d.Sequence([decoder(rng, 1) for _ in range(rng.randint(1, 4))])
    return rng.choice(makers)()


def post_processor(rng, t):
    p = processors
    ids = {s: t.token_to_id(s) for s in SPECIALS if t.token_to_id(s) is not None}
    if len(ids) < 2:
        return p.ByteLevel(rng.random() < 0.5)
    a, b = rng.sample(sorted(ids), 2)

    def byte_level():
        made = p.ByteLevel(rng.random() < 0.6)
        state = json.loads(made.__getstate__())
        state["add_prefix_space"] = rng.random() < 0.5
        return state

    makers = [
        lambda: {"type": "TemplateProcessing",
                 **json.loads(p.TemplateProcessing(f"{a} $A {b}", f"{a} $A {b}:1 $B:1 {b}:1",
                                                   [(a, ids[a]), (b, ids[b])]).__getstate__())},
        lambda: {"type": "TemplateProcessing",
                 **json.loads(p.TemplateProcessing(f"{a} $A", f"{a} $A {a}:2 $B:3",
                                                   [(a, ids[a])]).__getstate__())},
        lambda: json.loads(p.BertProcessing((a, ids[a]), (b, ids[b])).__getstate__()),
        lambda: json.loads(p.RobertaProcessing((a, ids[a]), (b, ids[b]), rng.random() < 0.6,
                                               rng.random() < 0.5).__getstate__()),
        byte_level,
    ]
    made = rng.choice(makers)()
    if rng.random() < 0.3:
        made = {"type": "Sequence", "processors": [byte_level(), made]}
    return made


def added_tokens(rng, t):
    names = rng.sample(SPECIALS, rng.randint(0, 8))
    for name in names:
        token = AddedToken(name, single_word=rng.random() < 0.25, lstrip=rng.random() < 0.25,
                           rstrip=rng.random() < 0.25, normalized=rng.random() < 0.5,
                           special=rng.random() < 0.6)
        (t.add_special_tokens if token.special else t.add_tokens)([token])


BYTE_TOKENS = [f"<0x{b:02X}>" for b in range(256)]


def bpe(rng, lines, byte_level, size=500):
    options = {}
    if not byte_level:
        if rng.random() < 0.6:
            options["unk_token"] = "<unk>"
        options["fuse_unk"] = rng.random() < 0.5
        options["byte_fallback"] = rng.random() < 0.5
        if rng.random() < 0.2:
            options["continuing_subword_prefix"] = "##"
        if rng.random() < 0.2:
            options["end_of_word_suffix"] = "</w>"
    options["ignore_merges"] = rng.random() < 0.4
    t = Tokenizer(models.BPE(**options))
    special = ["<unk>"] if "unk_token" in options else []
    given = {k: options[k] for k in ("continuing_subword_prefix", "end_of_word_suffix")
             if k in options}
    if byte_level:
        given["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet()
    else:
        given["limit_alphabet"] = 120
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=special,
                                  **given)
    return t, trainer


def add_bytes(t):
    """Gives a model without them the 256 byte tokens."""
    state = json.loads(t.to_str())
    vocab = state["model"]["vocab"]
    if isinstance(vocab, list):
        low = min(score for _, score in vocab)
        vocab += [[b, low - 1] for b in BYTE_TOKENS]
    else:
        for b in BYTE_TOKENS:
            vocab.setdefault(b, len(vocab))
    state["added_tokens"] = [a for a in state["added_tokens"] if a["content"] in vocab or True]
    return Tokenizer.from_str(json.dumps(state))


def draw(rng):
    """A tokenizer with options drawn from all that there are."""
    lines = corpus(rng, 150)
    kind = rng.choice(["byte", "byte", "byte", "bpe", "unigram", "wordpiece", "wordlevel"])
    pre = pre_tokenizer(rng) if rng.random() < 0.85 else None
    if kind in ("byte", "bpe"):
        t, trainer = bpe(rng, lines, kind == "byte", rng.randint(300, 600))
        if kind == "byte":
            split = rng.choice(PATTERNS[:10] + [None])
            steps = [pre_tokenizers.ByteLevel(rng.random() < 0.3, rng.random() < 0.5, split is None)]
            if split:
                steps.insert(0, pre_tokenizers.Split(Regex(split), rng.choice(BEHAVIORS[1:]),
                                                     rng.random() < 0.2))
            if rng.random() < 0.3:
                steps.insert(0, pre_tokenizers.Digits(rng.random() < 0.5))
            pre = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    elif kind == "unigram":
        t = Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(vocab_size=rng.randint(250, 400), show_progress=False,
                                          unk_token="<unk>", special_tokens=["<unk>"])
    elif kind == "wordpiece":
        t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=rng.choice([20, 100])))
        trainer = trainers.WordPieceTrainer(vocab_size=400, show_progress=False, limit_alphabet=150,
                                            special_tokens=["[UNK]", "[CLS]", "[SEP]"])
    else:
        t = Tokenizer(models.WordLevel(unk_token="<unk>"))
        trainer = trainers.WordLevelTrainer(vocab_size=300, show_progress=False,
                                            special_tokens=["<unk>"])
    if rng.random() < 0.6:
        t.normalizer = normalizer(rng)
    if kind == "unigram":  # the trainer needs words; any cut will do for the vocabulary
        t.pre_tokenizer = pre_tokenizers.Metaspace()
        t.train_from_iterator(lines, trainer)
        t.pre_tokenizer = pre
    else:
        t.pre_tokenizer = pre if pre is not None else pre_tokenizers.Whitespace()
        t.train_from_iterator(lines, trainer)
        if pre is None:
            t = rebuilt(t, pre_tokenizer=None)
    if kind == "unigram" or (kind == "bpe" and rng.random() < 0.8):
        if rng.random() < 0.6:
            t = add_bytes(t)
            if kind == "unigram":
                state = json.loads(t.to_str())
                state["model"]["byte_fallback"] = rng.random() < 0.7
                t = Tokenizer.from_str(json.dumps(state))
    added_tokens(rng, t)
    if rng.random() < 0.6:
        t = rebuilt(t, post_processor=post_processor(rng, t))
    if rng.random() < 0.9:
        t.decoder = decoders.ByteLevel() if kind == "byte" and rng.random() < 0.7 else decoder(rng)
    if rng.random() < 0.15:
        t.enable_truncation(rng.randint(5, 20), stride=0,
                            strategy=rng.choice(["longest_first", "only_first"]),
                            direction=rng.choice(["left", "right"]))
    if rng.random() < 0.15:
        t.enable_padding(direction=rng.choice(["left", "right"]), pad_id=rng.randint(0, 5),
                         pad_type_id=rng.randint(0, 1), pad_token="<pad>",
                         length=rng.choice([None, 12]), pad_to_multiple_of=rng.choice([None, 8]))
    return kind, t


def rebuilt(t, **parts):
    state = json.loads(t.to_str())
    state.update(parts)
    return Tokenizer.from_str(json.dumps(state))


# ---- what the package answers --------------------------------------------------------------------
def places(text):
    """Where each character begins, in bytes, and the end."""
    place = [0]
    for ch in text:
        place.append(place[-1] + len(ch.encode()))
    return place


def answer(t, text, pair=None, special=True):
    try:
        e = t.encode(text, pair, add_special_tokens=special)
    except BaseException as error:  # the package panics on some
        return {"error": str(error)}
    place = {0: places(text), 1: places(pair or "")}
    offsets = []
    for (b, end), side in zip(e.offsets, e.sequence_ids):
        if side is None:
            offsets.append([0, 0])
            continue
        of = place[side]  # what lies behind the text is its end
        offsets.append([of[min(b, len(of) - 1)], of[min(end, len(of) - 1)]])
    return {"ids": e.ids, "offsets": offsets, "type_ids": e.type_ids}
