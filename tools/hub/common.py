"""What the interop scripts share: a scratch folder, checks that are counted, a running mirror."""

import argparse
import contextlib
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile

work = pathlib.Path(tempfile.mkdtemp(prefix="hub-interop-"))
for name in [n for n in os.environ if n.startswith(("HF_", "HUGGING"))]:
    del os.environ[name]
os.environ.update(
    HF_HOME=str(work / "home"),
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    HF_HUB_DISABLE_XET="1",
    HF_ENDPOINT="http://127.0.0.1:9",
)
import huggingface_hub  # noqa: E402  (it reads the environment when it is imported)

failures = 0
checks = 0


def check(name, good, detail=""):
    global failures, checks
    checks += 1
    if not good:
        failures += 1
        print(f"FAIL  {name} {detail}", flush=True)
    return good


def raises(name, kind, call, **properties):
    try:
        call()
    except kind as error:
        for key, value in properties.items():
            check(f"{name}: {key}", getattr(error.response, key) == value)
        check(name, type(error) is kind, f"is {type(error).__name__}, want {kind.__name__}")
    except Exception as error:  # noqa: BLE001
        check(name, False, f"raised {type(error).__name__}: {error}")
    else:
        check(name, False, "raised nothing")


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


@contextlib.contextmanager
def served(command, root, *options, stderr=None):
    os.makedirs(root, exist_ok=True)
    process = subprocess.Popen(
        [command, "hub", "serve", "--root", str(root), "--port", "0", "--hash-file",
         str(work / "hashes"), *options],
        stdout=subprocess.PIPE, stderr=stderr, text=True)
    line = process.stdout.readline()
    assert line.startswith("listening http://"), line
    try:
        yield line.split()[1]
    finally:
        process.send_signal(signal.SIGTERM)
        check("SIGTERM ends it with status 0", process.wait(20) == 0, str(process.returncode))


def make_folder(root):
    """org/name folders with every kind of file: small, LFS, empty, deep, odd names."""
    rng = random.Random(7)
    for number, task in enumerate(["text-generation", "text-generation", "feature-extraction"]):
        folder = root / "org" / f"model-{number}"
        (folder / "sub" / "deeper").mkdir(parents=True)
        (folder / "README.md").write_text(
            f"---\nlicense: mit\nlibrary_name: mlx\npipeline_tag: {task}\ntags:\n- mlx\n- n{number}\n---\n# m\n")
        (folder / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
        (folder / "model.safetensors").write_bytes(rng.randbytes(26214400 if number == 0 else 5000))
        (folder / "empty.txt").write_bytes(b"")
        (folder / "sub" / "deeper" / "x y?%,é.txt").write_bytes(rng.randbytes(100))
    return root


def files_of(folder):
    return {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}


def run(main):
    """Calls main(command, options) and ends the process with the verdict."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    try:
        main(os.path.abspath(options.command), options)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"huggingface_hub {huggingface_hub.__version__}: {checks} checks, {failures} failed")
    sys.exit(1 if failures else 0)
