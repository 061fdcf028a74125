"""Writes tests/hub/glob.golden: what Python says of patterns and paths, for test_glob.c.

usage: python tools/hub/glob_golden.py >tests/hub/glob.golden

pairs    10000 pairs of a pattern and a text, made by the generator that test_glob.c has too; a hex
         digit holds fnmatchcase's answers for four of them, the first in its lowest bit
listing  files of a repository, and below each set of patterns what filter_repo_objects keeps of them
"""

import fnmatch
import platform

import huggingface_hub
from huggingface_hub.utils import filter_repo_objects

PAIRS, PATTERN, TEXT = 10000, "abc/**?[[]]!--", "abc/-]!"
MLX_LM = ["*.json", "model*.safetensors", "*.py", "tokenizer.model", "*.tiktoken", "tiktoken.model", "*.txt",
          "*.jsonl", "*.jinja"]
TOKENIZER = [p for p in MLX_LM if p != "model*.safetensors"]
# Files as such repositories have them: one file of weights, shards, other formats beside, folders, code.
LISTINGS = {
    "4bit": """.gitattributes README.md added_tokens.json config.json merges.txt model.safetensors
        model.safetensors.index.json special_tokens_map.json tokenizer.json tokenizer_config.json vocab.json""",
    "shards": """.gitattributes LICENSE README.md USE_POLICY.md config.json generation_config.json
        model-00001-of-00004.safetensors model-00002-of-00004.safetensors model-00003-of-00004.safetensors
        model-00004-of-00004.safetensors model.safetensors.index.json original/consolidated.00.pth
        original/params.json original/tokenizer.model special_tokens_map.json tokenizer.json
        tokenizer_config.json""",
    "formats": """.gitattributes 64.tflite 64-8bits.tflite README.md config.json flax_model.msgpack
        generation_config.json merges.txt model.safetensors onnx/config.json onnx/decoder_model.onnx
        onnx/tokenizer.json pytorch_model.bin rust_model.ot tf_model.h5 tokenizer.json vocab.json""",
    "code": """.gitattributes README.md assets/logo.png config.json configuration_chat.py modeling_chat.py
        pytorch_model-00001-of-00002.bin pytorch_model.bin.index.json qwen.tiktoken tokenization_chat.py
        tokenizer_config.json weights/model-a.safetensors chat_template.jinja notes.TXT""",
    "sentences": """.gitattributes 1_Pooling/config.json README.md config.json config_sentence_transformers.json
        data_config.json model.safetensors modules.json onnx/model.onnx openvino/openvino_model.bin
        sentence_bert_config.json sentencepiece.bpe.model tokenizer.json tokenizer.model train_script.py
        vocab.txt""",
}


def generator():
    state = 1
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield state >> 33


def pair(numbers):
    def text(most, letters):
        return "".join(letters[next(numbers) % len(letters)] for _ in range(next(numbers) % most))

    return text(9, PATTERN), text(4, TEXT)


def main():
    numbers = generator()
    print(f"# tools/hub/glob_golden.py with Python {platform.python_version()}, "
          f"huggingface_hub {huggingface_hub.__version__}")
    digits = ""
    for _ in range(PAIRS // 4):
        digit = 0
        for bit in range(4):
            pattern, text = pair(numbers)
            digit |= fnmatch.fnmatchcase(text, pattern) << bit
        digits += f"{digit:x}"
    print(f"pairs {PAIRS}")
    for at in range(0, len(digits), 100):
        print(digits[at:at + 100])
    for name, files in LISTINGS.items():
        files = files.split()
        print(f"listing {name}")
        for file in files:
            print(f"file {file}")
        for allow, ignore in [(MLX_LM, None), (TOKENIZER, None), (None, ["*.md", ".git*"]),
                              (["onnx/", "*.bin"], ["*config*"])]:
            kept = list(filter_repo_objects(files, allow_patterns=allow, ignore_patterns=ignore))
            print("want", *["+" + p for p in allow or []], *["-" + p for p in ignore or []])
            for file in kept:
                print(f"kept {file}")
            print("end")


if __name__ == "__main__":
    main()
