#!/usr/bin/env python3
"""Folders of every class with special-token settings at random: roles, lists, maps, added_tokens_decoder,
special_tokens_map.json, added_tokens.json, each as a text, an AddedToken, another's token or null.

    python settings.py --command 'build/mlxengine' --count 300 [--seed N] [--only NAME] [--json]

Half of the folders have no tokenizer.json; with --json all have one, of the class or of the tokenizers package.
What AutoTokenizer of transformers opens has to be opened with equal answers (ids, offsets, type ids, decoded text,
special tokens skipped or not) or be refused by name. The exit status is 1 on a difference."""
import argparse
import json
import os
import random
import sys
import tempfile
import time
import warnings

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # which does not outlive a fork
import files  # noqa: E402  (sets the environment of transformers)
import cases  # noqa: E402
import odd  # noqa: E402
import transformers  # noqa: E402
from fresh import ask  # noqa: E402

warnings.simplefilter("ignore")
ROLES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
NAMES = ["image_token", "foo_token", "prefix_token", "eot_token"]
TEXTS = ["<new>", "<e1>", "<a1>", "<x>", "the", "a b", " y", "y ", "THE", "Ω", "é", "<s>", "</s>", "<unk>", "<pad>",
         "<mask>", "[MASK]", "[CLS]", "[SEP]", "[UNK]", "[PAD]", "<|endoftext|>", "<|im_end|>", "<extra_id_3>", "<mask_1>",
         "<unk_5>", "en_XX", "in", "e", "▁the", "<0x41>", "<sep>", "<cls>", "<eop>", "<|begin_of_text|>", "[INST]"]


def token(rng, pool, saved=None):
    """A text, or the object that transformers saves for an AddedToken."""
    text = rng.choice(pool)
    if saved is None:
        saved = rng.random() < 0.45
    if not saved:
        return text
    out = {"__type": "AddedToken", "content": text}
    for key in ("lstrip", "rstrip", "normalized", "single_word", "special"):
        if rng.random() < 0.6:
            out[key] = rng.random() < 0.4
    return out


def listed(rng, pool):
    kind = rng.random()
    if kind < 0.1:
        return None
    if kind < 0.2:
        return []
    return [token(rng, pool, rng.random() < 0.3) for _ in range(rng.randint(1, 4))]


def named(rng, pool):
    return {rng.choice(["foo_token", "image_token", "z_token", "other"]): token(rng, pool) for _ in range(rng.randint(1, 2))}


def number(rng):
    return str(rng.choice([0, 1, 2, 3, 4, 5, 7, 20, 100, 4000, 4001, 4002]))


def special_map(rng, pool):
    out = {}
    for _ in range(rng.randint(1, 4)):
        key = rng.choice(ROLES * 3 + NAMES + ["additional_special_tokens", "extra_special_tokens"])
        if key.endswith("tokens"):
            out[key] = rng.choice([[rng.choice(pool) for _ in range(rng.randint(0, 3))], [rng.choice(pool)], named(rng, pool)]
                                  if key.startswith("extra") else [[rng.choice(pool) for _ in range(rng.randint(0, 3))]])
            continue
        value = token(rng, pool)
        if isinstance(value, dict):
            del value["__type"]
        out[key] = rng.choice([value] * 8 + [None])
    return out


FLAGS = ["add_prefix_space", "add_bos_token", "add_eos_token", "legacy", "from_slow", "clean_up_tokenization_spaces",
         "do_lower_case", "keep_accents", "split_by_punct", "strip_accents", "tokenize_chinese_chars", "trim_offsets",
         "split_special_tokens", "legacy_behaviour", "use_fast", "spaces_between_special_tokens"]


def settings(rng, config, has_json):
    """-> the files that say the settings"""
    config = json.loads(json.dumps(config))
    pool = rng.sample(TEXTS, rng.randint(3, 9))
    out = {}
    for _ in range(rng.randint(1, 6)):
        key = rng.choice(["role"] * 6 + ["list"] * 3 + ["decoder"] * 2 + ["map", "added", "flag", "flag", "name", "lang"])
        if key == "role":
            config[rng.choice(ROLES)] = rng.choice([token(rng, pool)] * 9 + [None])
        elif key == "list":
            which = rng.choice(["additional_special_tokens", "extra_special_tokens"])
            config[which] = named(rng, pool) if which[0] == "e" and rng.random() < 0.4 else listed(rng, pool)
        elif key == "decoder":
            rows = config.setdefault("added_tokens_decoder", {})
            for _ in range(rng.randint(0, 3)):
                row = token(rng, pool, True)
                del row["__type"]
                rows[number(rng)] = row
        elif key == "map":
            out["special_tokens_map.json"] = special_map(rng, pool)
        elif key == "added":
            out["added_tokens.json"] = {rng.choice(pool): int(number(rng)) for _ in range(rng.randint(1, 3))}
        elif key == "name":
            config[rng.choice(NAMES)] = token(rng, pool)
        elif key == "lang":
            config[rng.choice(["src_lang", "tgt_lang"])] = rng.choice(["fr_XX", "deu_Latn", "de_DE"])
        else:
            flag = rng.choice(FLAGS)
            config[flag] = rng.choice([True, False, True, False, None]) if flag != "split_special_tokens" else rng.random() < 0.5
    return {**out, "tokenizer_config.json": config}, pool


def texts_of(rng, pool, n):
    words = ["the", "in", " ", "  ", "a", "b", "hello", "THE", "\n", ".", "é", "e\u0301", "don't", "1 2", "中文", "▁", ","]
    out = ["", "a b", " the in ", "".join(f" {x} " for x in pool), "a" + "b".join(pool)]
    out += [" ".join(TEXTS), "x".join(TEXTS)] if n > 8 else []
    out += ["".join(rng.choice([rng.choice(pool), rng.choice(TEXTS), rng.choice(words), " "])
                    for _ in range(rng.randint(1, 9))) for _ in range(n)]
    return out


def saved_json(rng, kind, folder):
    """tokenizer.json and tokenizer_config.json as the class itself saves them."""
    t = getattr(transformers, kind).from_pretrained(folder)
    with tempfile.TemporaryDirectory() as to:
        t.save_pretrained(to)
        with open(os.path.join(to, "tokenizer.json"), encoding="utf-8") as a, \
                open(os.path.join(to, "tokenizer_config.json"), encoding="utf-8") as b:
            return json.load(a), json.load(b)


def decode(t, ids, skip):
    return (getattr(t, "backend_tokenizer", None) or t._tokenizer).decode(ids, skip_special_tokens=skip)


def odd_wavers(folder, texts):
    """Whether the package answers one way now and another way then (two tokens of one normalised form), or
    has a token of which the normalizer leaves nothing."""
    t = transformers.AutoTokenizer.from_pretrained(folder).backend_tokenizer
    forms = [t.normalizer.normalize_str(x.content) if t.normalizer and x.normalized else x.content
             for x in t.get_added_tokens_decoder().values()]
    if "" in forms or len(set(forms)) < len(forms):
        return True
    seen = set()
    for _ in range(6):
        t = transformers.AutoTokenizer.from_pretrained(folder).backend_tokenizer
        seen.add(json.dumps([odd.answer(t, {"text": x, "add_special_tokens": False}) for x in texts]))
    return len(seen) > 1


def verdict(command, folder, texts, rng, a_drawn=False):
    questions = [{"text": x, "add_special_tokens": i % 3 != 1, **({"pair": rng.choice(texts)} if i % 5 == 3 else {})}
                 for i, x in enumerate(texts)]
    try:
        t = transformers.AutoTokenizer.from_pretrained(folder)
        backend = getattr(t, "backend_tokenizer", None) or t._tokenizer
        wanted = [odd.answer(backend, q) for q in questions]
        if not any(wanted):
            raise ValueError("it answers nothing")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        wanted = str(error).replace("\n", " ")[:100]
    rc, got, err = ask(command, "tokenize", folder, questions)
    if rc or len(got) != len(questions):
        if isinstance(wanted, str):
            return "both refuse", "", 0
        why = err.strip().split("\n")[0].split(folder)[-1][-120:]
        return ("refused" if rc == 8 or (a_drawn and rc == 7) else "failed"), f"exit {rc}, {len(got)} answers: {why}", 0
    if isinstance(wanted, str):
        return "ours alone", wanted, 0
    n = 0
    for q, w, g in zip(questions, wanted, got):
        if w is None:
            continue
        n += 1
        if not odd.is_equal(w, g):
            if a_drawn and odd_wavers(folder, [q["text"]]):
                return "wavers", "", n
            return "differs", f"({type(t).__name__}) {json.dumps(q, ensure_ascii=False)}\n    want {w}\n    got  {g}", n
    lists = [{"ids": w["ids"], "skip_special_tokens": i % 2 == 0} for i, w in enumerate(wanted) if w]
    rc, got, err = ask(command, "detokenize", folder, lists)
    if rc or len(got) != len(lists):
        return "failed", f"detokenize: exit {rc}: {err.strip()}", n
    for q, g in zip(lists, got):
        try:
            w = decode(t, q["ids"], q["skip_special_tokens"])
        except BaseException:
            continue
        n += 1
        if g.get("text") != w:
            return "differs", f"({type(t).__name__}) {q} {[backend.id_to_token(i) for i in q['ids']]}\n    want {w!r}\n    got  {g}", n
    return "equal", "", n


def guarded(*given):
    return odd.guarded(verdict, "", *given, gigabytes=6, seconds=60)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--command", default="build/mlxengine")
    p.add_argument("--count", type=int, default=300)
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--only", default="")
    p.add_argument("--json", nargs="?", const="all", default="", help="folders with a tokenizer.json; drawn: none of a class")
    p.add_argument("--one", type=int, default=None)
    p.add_argument("--keep", default="", help="folder for settings that differ")
    p.add_argument("--quiet", action="store_true", help="tell differences alone")
    a = p.parse_args()
    rng = random.Random(a.seed)
    kinds = [("drawn", {}, "")]  # nothing is trained here: a fork would inherit its threads' locks
    if a.json != "drawn":
        lines = [x.strip() for x in cases.corpus(rng, 400)]
        kinds = [x for x in files.folders(rng, lines) if x[2] and (not a.only or x[0] in a.only.split())]
        kinds = [x for x in kinds if "tokenizer_config.json" in x[1]]
    with tempfile.TemporaryDirectory() as folder:  # what transformers imports late is imported once
        files.save(folder, "tokenizer.json", {"version": "1.0", "added_tokens": [], "model": {
            "type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}})
        files.save(folder, "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
        transformers.AutoTokenizer.from_pretrained(folder)
    totals, answers = {}, 0
    for i in range(a.count) if a.one is None else [a.one]:
        rng = random.Random(a.seed * 100003 + i)
        name, content, kind = rng.choice(kinds)
        with tempfile.TemporaryDirectory() as folder:
            if a.json:
                for file, value in content.items():
                    files.save(folder, file, value)
                if a.json != "drawn" and rng.random() < 0.6 and hasattr(transformers, kind):
                    state, base = saved_json(rng, kind, folder)
                    if rng.random() < 0.25:
                        base["tokenizer_class"] = rng.choice(["PreTrainedTokenizerFast", "TokenizersBackend"])
                else:
                    name, state = "drawn", odd.draw(rng)[1]
                    base = {"tokenizer_class": rng.choice(["PreTrainedTokenizerFast", "TokenizersBackend", "NoSuchTokenizer"])}
                for file in content:
                    os.remove(os.path.join(folder, file))
                content = {"tokenizer.json": state}
            else:
                base = content["tokenizer_config.json"]
            said, pool = settings(rng, base, a.json)
            all_files = {**content, **said}
            for file, value in all_files.items():
                files.save(folder, file, value)
            run = guarded if name == "drawn" else verdict
            found, why, n = run(a.command, folder, texts_of(rng, pool, 8 if name == "drawn" else 14), rng, name == "drawn")
        totals[found] = totals.get(found, 0) + 1
        answers += n
        if found in ("differs", "failed") or (found == "refused" and not a.quiet):
            print(f"[{i}] {name} {found}: {json.dumps(said, ensure_ascii=False)}\n    {why}", flush=True)
            if a.keep:
                for file, value in all_files.items():
                    os.makedirs(os.path.join(a.keep, f"{a.seed}-{i}"), exist_ok=True)
                    files.save(os.path.join(a.keep, f"{a.seed}-{i}"), file, value)
    print(f"seed {a.seed}: {totals}, {answers} answers compared")
    sys.exit(1 if totals.get("differs") or totals.get("failed") else 0)


if __name__ == "__main__":
    main()
