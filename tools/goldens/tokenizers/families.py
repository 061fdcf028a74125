"""Tokenizers put together as the well-known model families have theirs, trained on the spot.

What a family's tokenizer.json says of normalisation, cuts, model options, post-processing and
decoding is written here; the vocabulary is a small one of our own."""
import base64

import cases
from tokenizers import (Regex, Tokenizer, decoders, models, normalizers as n, pre_tokenizers as p,
                        processors, trainers)

CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
HUNYUAN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
           r"|\s*[\r\n]+|\s+(?!\S)|\s+")
MINIMAX = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
           r"|\s*[\r\n]|\s+(?!\S)|\s+")
SEED = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK_CODER = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+"]


def split(pattern, behavior="isolated", invert=False):
    return p.Split(Regex(pattern), behavior, invert)


def matched(pattern):
    """The matches are the pieces: how tiktoken's patterns are often written."""
    return split(pattern, "removed", True)


def byte_level(steps, use_regex=False, prefix=False, trim=True, normalizer=None, ignore_merges=False,
               size=600):
    def make(rng, lines):
        t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
        steps_of = [*steps, p.ByteLevel(prefix, trim, use_regex)]
        t.pre_tokenizer = p.Sequence(steps_of) if len(steps_of) > 1 else steps_of[0]
        t.train_from_iterator(lines, trainers.BpeTrainer(
            vocab_size=size, show_progress=False, initial_alphabet=p.ByteLevel.alphabet(),
            special_tokens=["<|endoftext|>", "<|im_end|>"]))
        if normalizer:
            t.normalizer = normalizer()
        t.decoder = decoders.ByteLevel()
        t.post_processor = processors.ByteLevel(False)
        return t
    return make


SPACE_BACK = decoders.Replace("▁", " ")


def spm_bpe(normalizer, pre, decoder):
    """BPE over characters with byte fallback, as SentencePiece models are converted."""
    def make(rng, lines):
        t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        t.normalizer = n.Sequence([n.Prepend("▁"), n.Replace(" ", "▁")])
        t.pre_tokenizer = p.Split("▁", "merged_with_next")
        t.train_from_iterator(lines, trainers.BpeTrainer(
            vocab_size=700, show_progress=False, limit_alphabet=90,
            special_tokens=["<unk>", "<s>", "</s>", *cases.BYTE_TOKENS]))
        t = cases.rebuilt(t, normalizer=None, pre_tokenizer=None, added_tokens=[])
        t.normalizer, t.pre_tokenizer = normalizer, pre
        t.decoder = decoder
        t.add_special_tokens(["<s>", "</s>", "<unk>"])
        t.post_processor = processors.TemplateProcessing(
            "<s> $A", "<s> $A <s>:1 $B:1", [("<s>", t.token_to_id("<s>"))])
        return t
    return make


def unigram(normalizer, pre, decoder, template):
    def make(rng, lines):
        t = Tokenizer(models.Unigram())
        t.pre_tokenizer = p.Metaspace()
        t.train_from_iterator(lines, trainers.UnigramTrainer(
            vocab_size=400, show_progress=False, unk_token="<unk>",
            special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"]))
        t.normalizer, t.pre_tokenizer, t.decoder = normalizer(), pre, decoder
        ids = [(x, t.token_to_id(x)) for x in ("<s>", "</s>")]
        t.post_processor = processors.TemplateProcessing(*template, ids)
        return t
    return make


def wordpiece(**options):
    def make(rng, lines):
        t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        t.normalizer = n.BertNormalizer(**options)
        t.pre_tokenizer = p.BertPreTokenizer()
        t.train_from_iterator(lines, trainers.WordPieceTrainer(
            vocab_size=500, show_progress=False, limit_alphabet=150,
            special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
        t.post_processor = processors.TemplateProcessing(
            "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1",
            [(x, t.token_to_id(x)) for x in ("[CLS]", "[SEP]")])
        t.decoder = decoders.WordPiece()
        return t
    return make


def clip(rng, lines):
    t = Tokenizer(models.BPE(unk_token="<|endoftext|>", continuing_subword_prefix="",
                             end_of_word_suffix="</w>"))
    t.normalizer = n.Sequence([n.NFC(), n.Replace(Regex(r"\s+"), " "), n.Lowercase()])
    t.pre_tokenizer = p.Sequence([matched(CLIP), p.ByteLevel(False)])
    t.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=900, show_progress=False, initial_alphabet=p.ByteLevel.alphabet(),
        end_of_word_suffix="</w>", special_tokens=["<|startoftext|>", "<|endoftext|>"]))
    t.post_processor = processors.RobertaProcessing(
        ("<|endoftext|>", 1), ("<|startoftext|>", 0), trim_offsets=False, add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    return t


def precompiled():
    return n.Precompiled(base64.b64decode(cases.charsmap(cases.NMT_RULES)))


def t5_normalizer():
    return n.Sequence([precompiled(), n.Strip(False, True), n.Replace(Regex(" {2,}"), "▁")])


def albert_normalizer():
    return n.Sequence([n.Replace("``", '"'), n.Replace("''", '"'), n.NFKD(), n.StripAccents(),
                       n.Lowercase(), precompiled(), n.Replace(Regex(" {2,}"), " ")])


LLAMA_BACK = decoders.Sequence([SPACE_BACK, decoders.ByteFallback(), decoders.Fuse(),
                                decoders.Strip(" ", 1, 0)])
GEMMA_BACK = decoders.Sequence([SPACE_BACK, decoders.ByteFallback(), decoders.Fuse()])
BOTH = ("<s> $A </s>", "<s> $A </s> </s> $B </s>")
AFTER = ("$A </s>", "$A </s> $B </s>")
DIGITS3 = [p.Punctuation("contiguous")]

FAMILIES = {
    "gpt2": byte_level([], use_regex=True),
    "neox_olmo": byte_level([], use_regex=True, normalizer=n.NFC),
    "phi4_olmo2_granite4": byte_level([split(cases.CL100K)]),
    "cl100k_matched": byte_level([matched(cases.CL100K)]),
    "llama3": byte_level([split(cases.LLAMA3)], ignore_merges=True),
    "llama4_gpt_oss": byte_level([matched(cases.O200K)]),
    "gpt_oss_isolated": byte_level([split(cases.O200K)], ignore_merges=True),
    "qwen2": byte_level([split(cases.QWEN2)], normalizer=n.NFC),
    "qwen35": byte_level([split(cases.QWEN35)], normalizer=n.NFC),
    "glm4": byte_level([split(cases.LLAMA3)]),
    "minimax": byte_level([matched(MINIMAX)]),
    "minimax_isolated": byte_level([split(MINIMAX)], normalizer=n.NFC),
    "seed_oss": byte_level([split(SEED)], normalizer=n.NFC),
    "hunyuan_exaone": byte_level([split(HUNYUAN)]),
    "command_r": byte_level([p.Digits(True)], use_regex=True, normalizer=n.NFC),
    "starcoder_granite_smollm": byte_level([p.Digits(True)], use_regex=True),
    "deepseek_coder": byte_level([*map(split, DEEPSEEK_CODER), p.Digits(True)]),
    "deepseek_v2": byte_level([*map(split, cases.DEEPSEEK), p.Digits(True)]),
    "deepseek_v3": byte_level([*map(split, cases.DEEPSEEK3)]),
    "kimi": byte_level([split(cases.KIMI)]),
    "kimi_matched": byte_level([matched(cases.KIMI)]),
    "falcon": byte_level([p.Punctuation("contiguous"), p.ByteLevel(False), p.Digits(False),
                          split("[0-9][0-9][0-9]")]),
    "bloom": byte_level([split(cases.BLOOM)], trim=False),
    "tekken_nemotron": byte_level([split(cases.TEKKEN)], ignore_merges=True),
    "roberta_whisper": byte_level([], use_regex=True, prefix=True),
    "clip": clip,
    "llama2": spm_bpe(n.Sequence([n.Prepend("▁"), n.Replace(" ", "▁")]), None, LLAMA_BACK),
    "mistral_v3": spm_bpe(None, p.Metaspace("▁", "first", False), LLAMA_BACK),
    "yi_internlm": spm_bpe(n.Replace(" ", "▁"), None, GEMMA_BACK),
    "gemma": spm_bpe(n.Replace(" ", "▁"), p.Split(" ", "merged_with_previous"), GEMMA_BACK),
    "t5": unigram(t5_normalizer, p.Metaspace(), decoders.Metaspace(), AFTER),
    "xlm_roberta_bge": unigram(precompiled, p.Sequence([p.WhitespaceSplit(), p.Metaspace()]),
                               decoders.Metaspace(), BOTH),
    "deberta_v2": unigram(lambda: n.Sequence([n.Strip(), precompiled(),
                                              n.Replace(Regex(" {2,}"), " ")]),
                          p.Sequence([p.Metaspace()]), decoders.Metaspace(), BOTH),
    "albert": unigram(albert_normalizer, p.Sequence([p.WhitespaceSplit(), p.Metaspace()]),
                      decoders.Metaspace(), BOTH),
    "bert": wordpiece(lowercase=True),
    "bert_cased": wordpiece(lowercase=False, strip_accents=False),
    "bert_multilingual": wordpiece(lowercase=False, strip_accents=True, handle_chinese_chars=True),
    "bert_plain": wordpiece(lowercase=True, strip_accents=False, handle_chinese_chars=False,
                            clean_text=False),
}
