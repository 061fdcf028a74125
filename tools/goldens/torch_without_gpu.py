#!/usr/bin/env python3
"""torch_without_gpu.py SITE_PACKAGES: lets the x86-64 Linux torch wheel load without GPU libraries.

The wheel links some fifteen NVIDIA libraries that a float32 pass on the CPU never calls. Each is
replaced by a library of its name beside torch's own, where the loader looks first. They hold
nothing but the names of the symbol versions that torch asks them for; the functions are all in one
more library behind them, which has no versions (the loader then takes any), and each returns 100
("no such device"), or a text where it is asked for one. Needs cc, nm and readelf.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

LIBRARY = re.compile(r"^lib(cu|nv|nccl)[\w-]*\.so")
FUNCTION = re.compile(r"^(cu[a-zA-Z]|nccl|nv[A-Zmjprst]|__cuda|_Z\w*nvshmem)")
TEXT = re.compile(r"(Error|Status)(String|Name)$|^ncclGetLastError$")
DRIVER = "libcuda.so.1"            # opened at run time on machines that have a GPU, never linked
FUNCTIONS = "libtorch_without_gpu.so"


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def symbols(file, which):
    """Dynamic symbols of a file without their version suffix."""
    rows = (line.split() for line in output("nm", "-D", which, str(file)).splitlines())
    return {row[-1].partition("@")[0] for row in rows if row and row[-2] != "w"}


def versions(file):
    """(library, version) pairs that a file asks for."""
    library = None
    for line in output("readelf", "-VW", str(file)).splitlines():
        if found := re.search(r"Version: \d+  File: (\S+)", line):
            library = found[1]
        elif library and (found := re.search(r"  Name: (\S+)  Flags:", line)):
            yield library, found[1]


def library(path, body, version_names=(), *links):
    with tempfile.TemporaryDirectory() as scratch:
        source, table = pathlib.Path(scratch, "a.c"), pathlib.Path(scratch, "a.map")
        source.write_text(body)
        table.write_text("".join(f"{v} {{ }};\n" for v in sorted(version_names)))
        script = [f"-Wl,--version-script={table}"] if version_names else []
        output("cc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{path.name}", "-o", str(path),
               str(source), *script, "-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN", *links)


def function(name):
    value = '(long)"no GPU"' if TEXT.search(name) else "100"
    return f"long {name}(void) {{ return {value}; }}\n"


def main():
    torch = pathlib.Path(sys.argv[1]) / "torch"
    files = [f for f in [*torch.glob("lib/*.so*"), *torch.glob("_C*.so")]
             if not LIBRARY.match(f.name) and f.name != FUNCTIONS]
    needed, missing, present = {}, set(), set()
    for file in files:
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-dW", str(file))):
            if LIBRARY.match(name) and name != DRIVER:
                needed.setdefault(name, set())
        for name, version in versions(file):
            if LIBRARY.match(name) and name != DRIVER:
                needed.setdefault(name, set()).add(version)
        missing |= symbols(file, "--undefined-only")
        present |= symbols(file, "--defined-only")
    missing = sorted(n for n in missing - present if FUNCTION.match(n))
    functions = torch / "lib" / FUNCTIONS
    library(functions, "".join(map(function, missing)))
    for name, asked in sorted(needed.items()):
        library(torch / "lib" / name, "typedef int nothing;\n", asked, str(functions))
    print(f"torch: {len(needed)} GPU libraries replaced, {len(missing)} functions")


if __name__ == "__main__":
    main()
