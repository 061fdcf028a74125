#!/usr/bin/env python3
"""Prints the tables of src/text/tok_class_name.c from the transformers package: which tokenizer class a model_type has.

    python model_types.py"""
import textwrap

from transformers.models.auto import tokenization_auto as auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

BACKEND = {"TokenizersBackend", "MistralCommonBackend", "PythonBackend", "PreTrainedTokenizerFast"}


def words(names, indent, width=100):
    lines = textwrap.wrap(" ".join(sorted(names)), width - indent - 5)
    return ("\n" + " " * indent).join(f'"{x} "' if i + 1 < len(lines) else f'"{x}"' for i, x in enumerate(lines))


def main():
    named = {k: v.removesuffix("Fast") for k, v in auto.TOKENIZER_MAPPING_NAMES.items() if v}
    wrong = auto.MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS
    print("static const char AS_IT_IS[] =\n    " + words([k for k, v in named.items() if v in BACKEND], 4) + ";\n")
    classes = {}
    for k, v in named.items():
        if v not in BACKEND:
            classes.setdefault(v, []).append(k)
    for title, test in (("FORCED", lambda k: k in wrong), ("CLASSES", lambda k: k in CONFIG_MAPPING_NAMES)):
        print(f"static const row {title}[] = {{")
        for v, k in sorted(classes.items()):
            chosen = [x for x in k if test(x)]
            if chosen:
                print(f'    {{"{v}",\n     {words(chosen, 5)}}},')
        print("};\n")


if __name__ == "__main__":
    main()
