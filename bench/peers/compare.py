#!/usr/bin/env python3
"""compare.py: MLXEngine against llama.cpp and mlx-lm, on the same shapes, in one run.

  compare.py --models DIR --ours mlxengine --llama native=DIR,avx2=DIR [--mlx-lm PYTHON]
             [--shapes 0.35b,1.2b,pocket] [--threads 2] [--rounds 3] [--seconds 900]
             [--cpu-clock LIB.so] [--only "WORDS;.."] [--types Q4_0,Q4_K_M] [--out FILE.json]

Every engine is called in turn, over and over, and the best sample of each counts: a shared machine is
not the same from one minute to the next, and other work on it only makes a figure worse. `others` is
the share of the machine that other processes used during the call of the best sample. DIR is what
models.sh made; a llama.cpp build is named and given by the folder of its libraries, the program is
that of the first. --cpu-clock (bench/peers/cpuclock.c) is for one thread on a busy machine.
Only Python's own library is used."""
import argparse
import json
import os
import resource
import subprocess
import sys
import time

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
p.add_argument("--models", required=True)
p.add_argument("--ours", required=True)
p.add_argument("--llama", default="", help="NAME=DIR,..; none: ours alone")
p.add_argument("--mlx-lm", help="the Python that has mlx-lm")
p.add_argument("--shapes", default="0.35b,1.2b,pocket")
p.add_argument("--threads", type=int, default=2)
p.add_argument("--rounds", type=int, default=3)
p.add_argument("--seconds", type=float, default=900)
p.add_argument("--cpu-clock")
p.add_argument("--only", default="", help="works whose shape and name hold one of these parts")
p.add_argument("--types", default="Q4_0,Q4_K_M", help="llama.cpp's for 4-bit")
p.add_argument("--ours-options", default="", help="added to each call of ours")
p.add_argument("--out")
a = p.parse_args()
LLAMA = dict(x.split("=", 1) for x in a.llama.split(",") if x)
HZ, CPUS, START = os.sysconf("SC_CLK_TCK"), os.cpu_count(), time.time()
KV = "f16"           # llama.cpp's default; ours is asked for the same
MIN_GEN, GEN = 16, 64


def machine_busy():
    """CPU seconds used on the machine so far; 0 where it does not tell."""
    try:
        with open("/proc/stat", encoding="ascii") as f:
            v = [int(x) for x in f.readline().split()[1:9]]
    except (OSError, ValueError):
        return 0.0
    return (sum(v) - v[3] - v[4]) / HZ


def own_busy():
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def call(argv, libraries=None, one_thread=a.threads == 1):
    """(parsed output, share of the machine that others used)"""
    env = dict(os.environ)
    if libraries:
        env["LD_LIBRARY_PATH"] = libraries
    if a.cpu_clock and one_thread:
        env["LD_PRELOAD"] = a.cpu_clock
    before, own, start = machine_busy(), own_busy(), time.time()
    r = subprocess.run(argv, capture_output=True, text=True, env=env)
    took = max(time.time() - start, 1e-3)
    if r.returncode:
        raise RuntimeError(f"{' '.join(argv)}: status {r.returncode}: {r.stderr[-400:]}")
    others = max(0.0, machine_busy() - before - (own_busy() - own)) / (took * CPUS)
    return json.loads(r.stdout), min(others, 1.0)


def ours(model, *options):
    out, others = call([a.ours, "bench", f"{a.models}/{model}", "--threads", str(a.threads),
                        "--json", *a.ours_options.split(), *map(str, options)])
    return out["results"][0], others


def our_decode(model, depth, rows=1, gen=GEN):
    r, others = ours(model, "--prompt", 0, "--gen", gen, "--depth", depth, "--rows", rows,
                     "--kv-type", KV, "--repeat", 3)
    d = r["decode"]
    return d["tps"], others, {"share": d["bandwidth_share"], "gbps": d["gbps"],
                              "read": r["limits"]["read_gbps"], "step_ms": d["step_ms"],
                              "bytes": d["weight_bytes_per_step"] + d["kv_bytes_per_step"],
                              "over": r["memory"]["over_weights_bytes"],
                              "kv": r["memory"]["kv_cache_bytes"]}


def our_prefill(model, tokens):
    r, others = ours(model, "--prompt", tokens, "--gen", 0, "--kv-type", KV, "--repeat", 2)
    d = r["prefill"]
    return d["tps"], others, {"f32_share": d["f32_peak_share"], "int8_share": d["int8_peak_share"]}


def our_load(model):
    r, others = ours(model, "--prompt", 0, "--gen", 0, "--repeat", 1)
    return 1e3 / r["load"]["total_ms"], others, r["load"]


def llama(build, model, *options):
    first = LLAMA[next(iter(LLAMA))]
    out, others = call([f"{first}/llama-bench", "-m", f"{a.models}/{model}.gguf", "-t",
                        str(a.threads), "-ctk", KV, "-ctv", KV, "-o", "json",
                        *map(str, options)], f"{LLAMA[build]}:{first}")
    return max(out[0]["samples_ts"]), others, {}


STOCK = {}           # one call of mlx-lm gives both parts, and takes half a minute: it is made once


def mlx_lm(model, dtype, part):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mlx_lm_run.py")
    if (model, dtype) not in STOCK:
        STOCK[model, dtype] = call([a.mlx_lm, script, f"{a.models}/{model}", dtype, "8", "2"],
                                   one_thread=True)  # as MLX is on an x86 CPU
    out, others = STOCK[model, dtype]
    return out[part + "_tps"], others, {}


def works():
    """[(shape, work, [(engine, function)])]"""
    rows = []

    def add(shape, work, us, types, options):
        rows.append((shape, work, [("ours", us)] + [
            (f"llama.cpp {b} {t}", lambda b=b, t=t: llama(b, f"m-{shape}-{t}", *options))
            for b in LLAMA for t in types]))

    four = tuple(a.types.split(","))
    for s in a.shapes.split(","):
        add(s, "decode 4-bit, context 128", lambda s=s: our_decode(f"{s}-4", 128), four,
            ("-p", 0, "-n", GEN, "-d", 128, "-r", 3))
        add(s, "prefill 512, 4-bit", lambda s=s: our_prefill(f"{s}-4", 512), four,
            ("-p", 512, "-n", 0, "-r", 2))
        if s == "pocket":
            continue
        for bits, kind in (("8", "Q8_0"), ("bf16", "BF16")):
            add(s, f"decode {kind}, context 128",
                lambda s=s, bits=bits: our_decode(f"{s}-{bits}", 128), (kind,),
                ("-p", 0, "-n", GEN, "-d", 128, "-r", 3))
        add(s, "decode 4-bit, context 4096",
            lambda s=s: our_decode(f"{s}-4", 4096, gen=MIN_GEN), four,
            ("-p", 0, "-n", MIN_GEN, "-d", 4096, "-r", 1))
        add(s, "prefill 2048, 4-bit", lambda s=s: our_prefill(f"{s}-4", 2048), four,
            ("-p", 2048, "-n", 0, "-r", 1))
        add(s, "8 rows at once", lambda s=s: our_decode(f"{s}-4", 128, rows=8), (), ())
        add(s, "prefill 128, 4-bit", lambda s=s: our_prefill(f"{s}-4", 128), (), ())
    for s in ("1.2b", "1.2b-128k"):
        if os.path.exists(f"{a.models}/{s}-4"):
            add(s, "load to first token", lambda s=s: our_load(f"{s}-4"), (), ())
    if a.mlx_lm and "0.35b" in a.shapes:
        for dtype in ("bf16", "f32"):
            for part in ("decode", "prefill"):
                rows.append(("0.35b", f"mlx-lm {dtype} {part}", [
                    ("mlx-lm", lambda d=dtype, part=part: mlx_lm("0.35b-4", d, part))]))
    words = [w for w in a.only.split(";") if w]
    return [r for r in rows if not words or any(w in f"{r[0]} {r[1]}" for w in words)]


def measure(rows):
    best = {}
    for _ in range(a.rounds):
        for shape, work, engines in rows:
            for name, fn in engines:
                if time.time() - START > a.seconds:
                    return best
                try:
                    tps, others, more = fn()
                except RuntimeError as e:
                    print(f"compare: {e}", file=sys.stderr, flush=True)
                    continue
                key = f"{shape}|{work}|{name}"
                print(f"[{time.time() - START:5.0f} s] {key:58} {tps:10.2f}  others {others:4.0%}",
                      file=sys.stderr, flush=True)
                if tps > best.get(key, {"tps": 0})["tps"]:
                    best[key] = {"tps": tps, "others": others, **more}
    return best


def verdicts(best):
    """[(row, figure, want, pass)] of the targets that this run measured"""
    out = []

    def get(shape, work, name="ours"):
        return best.get(f"{shape}|{work}|{name}")

    def rival(shape, work):
        found = [(v["tps"], k.split("|")[2]) for k, v in best.items()
                 if k.startswith(f"{shape}|{work}|llama.cpp")]
        return max(found) if found else None

    def at_least(row, value, want, unit="x"):
        out.append((row, f"{value:.2f} {unit}", f">= {want} {unit}", value >= want))

    def at_most(row, value, want, unit):
        out.append((row, f"{value:.2f} {unit}", f"<= {want} {unit}", value <= want))

    def against(shape, work, want):
        us, them = get(shape, work), rival(shape, work)
        if us and them:
            at_least(f"{shape} {work}, over {them[1]}", us["tps"] / them[0], want)
        return us

    for s in [x for x in a.shapes.split(",") if x != "pocket"]:
        for work, ratio, share in (("decode 4-bit, context 128", 1.7, 75),
                                   ("decode Q8_0, context 128", 0, 80),
                                   ("decode BF16, context 128", 0, 80),
                                   ("decode 4-bit, context 4096", 1.5, 70)):
            us = against(s, work, ratio) if ratio else get(s, work)
            if us:
                at_least(f"{s} {work}, of read bandwidth", 100 * us["share"], share, "%")
        against(s, "prefill 512, 4-bit", 2.0)
        against(s, "prefill 2048, 4-bit", 2.0)
        many, fill, one = (get(s, w) for w in ("8 rows at once", "prefill 128, 4-bit",
                                               "decode 4-bit, context 128"))
        if many and fill:
            at_least(f"{s} 8 rows, of prefill 128", 100 * many["tps"] / fill["tps"], 80, "%")
        if many and one:
            at_least(f"{s} 8 rows, over one row", many["tps"] / one["tps"], 2.5)
        if one:
            at_most(f"{s} memory over the weights and KV cache", (one["over"] - one["kv"]) / 1e6,
                    150, "MB")
    for dtype, part, want in (("bf16", "decode", 200), ("bf16", "prefill", 200),
                              ("f32", "decode", 25)):
        them = get("0.35b", f"mlx-lm {dtype} {part}", "mlx-lm")
        us = get("0.35b", "decode 4-bit, context 128" if part == "decode" else "prefill 512, 4-bit")
        if us and them:
            at_least(f"0.35b {part}, over mlx-lm {dtype}", us["tps"] / them["tps"], want)
    us = against("pocket", "decode 4-bit, context 128", 1.0)
    if us:
        at_most("pocket decode, over its bytes", us["step_ms"] - us["bytes"] / us["read"] / 1e6,
                0.3, "ms")
    for s, want in (("1.2b", 150), ("1.2b-128k", 400)):
        us = get(s, "load to first token")
        if us:
            at_most(f"{s} load to first token", us["total_ms"], want, "ms")
    return out


def main():
    rows = works()
    best = measure(rows)
    print(f"\n{a.threads} threads, best of {a.rounds} calls in turn\n")
    print("| shape | work | engine | tokens/s | ours / it | share of reading | others |")
    print("|---|---|---|---|---|---|---|")
    for shape, work, engines in rows:
        us = best.get(f"{shape}|{work}|ours")
        for name, _ in engines:
            r = best.get(f"{shape}|{work}|{name}")
            if not r:
                continue
            if work == "load to first token":
                print(f"| {shape} | {work} | {name} | {r['total_ms']:.0f} ms | | | "
                      f"{r['others']:.0%} |")
                continue
            share = f"{r['share']:.0%} of {r['read']:.1f} GB/s" if "share" in r else ""
            ratio = f"{us['tps'] / r['tps']:.2f}" if us and name != "ours" else ""
            print(f"| {shape} | {work} | {name} | {r['tps']:.2f} | {ratio} | {share} | "
                  f"{r['others']:.0%} |")
    print("\n| target | measured | wanted | |")
    print("|---|---|---|---|")
    for row, value, want, ok in verdicts(best):
        print(f"| {row} | {value} | {want} | {'pass' if ok else 'short'} |")
    if a.out:
        with open(a.out, "w", encoding="utf-8") as f:
            json.dump(best, f, indent=1)


main()
