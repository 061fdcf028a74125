"""Speed of `mlxengine pull` on loopback, beside curl and, where it is there, `hf download`.

usage: python bench/hub/speed.py MLXENGINE [--gigabytes 2] [--files 200] [--repeat 3] [--scratch DIR]

  large    one file: pull against `curl -o F URL && sha256sum F`, and against hf download
  capped   the same behind a link of 2 Gbit/s (a network namespace; needs root, else skipped)
  small    many files of 3 kB: pull against one curl process after another
  memory   peak resident memory of the pulls

All servers are our mirror; runs alternate and the best of each counts. The pulled cache is removed
before each run. --scratch wants room for three times the large file.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

GIGABIT = 1e9 / 8


class Run:
    """A command run to its end: seconds, CPU seconds, and the most that it had resident, in MB.

    The memory is read from /proc while it runs: ru_maxrss of wait4 is at least that of the Python which
    began the command, since exec counts the old image's peak as the new one's.
    """

    def __init__(self, command, env=None):
        begin = time.monotonic()
        self.memory = 0.0
        child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        done = threading.Event()
        watcher = threading.Thread(target=self.watch, args=(child.pid, done))
        watcher.start()
        message = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        self.seconds = time.monotonic() - begin
        self.cpu = usage.ru_utime + usage.ru_stime
        done.set()
        watcher.join()
        if status:
            sys.exit(f"{command}: status {status}: {message.decode()[-500:]}")

    def watch(self, pid, done):
        while not done.wait(0.02):
            with contextlib.suppress(OSError, StopIteration):
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
                self.memory = max(self.memory, int(peak.split()[1]) / 1024)


def least(runs, what):
    return min(getattr(run, what) for run in runs)


@contextlib.contextmanager
def mirror(engine, root, scratch, prefix=(), host="127.0.0.1"):
    process = subprocess.Popen(
        [*prefix, engine, "hub", "serve", "--root", str(root), "--host", host, "--port", "0", "--anonymous",
         "--hash-file", str(scratch / "hashes")], stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().split()[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait_for_hashes(url, name):
    while True:
        try:
            with urllib.request.urlopen(f"{url}/api/models/{name}/tree/main?recursive=true") as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(1)


class Bench:
    def __init__(self, options):
        self.engine = os.path.abspath(options.engine)
        self.options = options
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="hub-speed-", dir=options.scratch))
        self.root = self.scratch / "root"
        hf = pathlib.Path(sys.executable).parent / "hf"
        self.hf = str(hf) if hf.exists() else None

    def environment(self, url):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        return dict(clean, HF_HOME=str(self.scratch / "hf"), HF_ENDPOINT=url, HOME=str(self.scratch),
                    HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_XET="1")

    def pull(self, url, name):
        shutil.rmtree(self.scratch / "hf", ignore_errors=True)
        return Run([self.engine, "pull", name, "--quiet"], self.environment(url))

    def hf_download(self, url, name):
        shutil.rmtree(self.scratch / "hf", ignore_errors=True)
        return Run([self.hf, "download", name, "--quiet"], self.environment(url))

    def curl_and_hash(self, url, name, path):
        target = self.scratch / "F"
        target.unlink(missing_ok=True)
        curl = Run(["curl", "-sf", "-o", str(target), f"{url}/{name}/resolve/main/{path}"])
        return curl, Run(["sha256sum", str(target)])

    def large(self):
        folder = self.root / "org" / "large"
        folder.mkdir(parents=True)
        size = int(self.options.gigabytes * 1e9)
        with open(folder / "model.safetensors", "wb") as file:
            block = os.urandom(1 << 24)
            for at in range(0, size, len(block)):
                file.write(at.to_bytes(8, "little") + block[8:][: min(len(block), size - at) - 8])
        size = (folder / "model.safetensors").stat().st_size
        ours, curls, hashes, python = [], [], [], []
        with mirror(self.engine, self.root, self.scratch) as url:
            wait_for_hashes(url, "org/large")
            for _ in range(self.options.repeat):
                ours.append(self.pull(url, "org/large"))
                curl, hashing = self.curl_and_hash(url, "org/large", "model.safetensors")
                curls.append(curl)
                hashes.append(hashing)
                if self.hf:
                    python.append(self.hf_download(url, "org/large"))
        pull, curl = least(ours, "seconds"), least(curls, "seconds")
        both = min(c.seconds + h.seconds for c, h in zip(curls, hashes))
        print(f"large: {size / 1e9:.2f} GB: pull {pull:.2f} s, curl + sha256sum {both:.2f} s "
              f"(curl alone {curl:.2f} s): {both / pull:.2f} x as fast")
        print(f"large: CPU: pull {least(ours, 'cpu'):.2f} s, curl {least(curls, 'cpu'):.2f} s, "
              f"sha256sum {least(hashes, 'cpu'):.2f} s")
        if python:
            print(f"large: hf download {least(python, 'seconds'):.2f} s: {least(python, 'seconds') / pull:.2f} x as "
                  f"fast; CPU {least(python, 'cpu'):.2f} s, {max(r.memory for r in python):.0f} MB")
        print(f"memory: {max(r.memory for r in ours):.0f} MB at most")
        self.capped(size)

    def capped(self, size):
        """The mirror in a network namespace behind a link of 2 Gbit/s."""
        space, out, inside = "hubspeed", "hubspeed0", "hubspeed1"
        on = ["ip", "netns", "exec", space]
        steps = [["ip", "netns", "add", space],
                 ["ip", "link", "add", out, "type", "veth", "peer", "name", inside, "netns", space],
                 ["ip", "addr", "add", "10.213.7.1/30", "dev", out], ["ip", "link", "set", out, "up"],
                 [*on, "ip", "addr", "add", "10.213.7.2/30", "dev", inside],
                 [*on, "ip", "link", "set", inside, "up"], [*on, "ip", "link", "set", "lo", "up"],
                 [*on, "tc", "qdisc", "add", "dev", inside, "root", "tbf", "rate", "2gbit", "burst", "1mb",
                  "latency", "50ms"]]
        try:
            for step in steps:
                done = subprocess.run(step, capture_output=True, text=True)
                if done.returncode:
                    print(f"capped: skipped, needs root, ip and tc ({done.stderr.strip() or step})")
                    return
            ours, alone = [], []
            with mirror(self.engine, self.root, self.scratch, on, "10.213.7.2") as url:
                wait_for_hashes(url, "org/large")
                for _ in range(self.options.repeat):
                    ours.append(self.pull(url, "org/large").seconds)
                    alone.append(self.curl_and_hash(url, "org/large", "model.safetensors")[0].seconds)
            print(f"capped: pull {size / min(ours) / GIGABIT:.2f} Gbit/s, curl alone "
                  f"{size / min(alone) / GIGABIT:.2f} Gbit/s: {100 * min(alone) / min(ours):.0f} % of curl's rate")
        except FileNotFoundError:
            print("capped: skipped, needs root, ip and tc")
        finally:
            with contextlib.suppress(FileNotFoundError):
                subprocess.run(["ip", "netns", "del", space], capture_output=True)
                subprocess.run(["ip", "link", "del", out], capture_output=True)

    def small(self):
        folder = self.root / "org" / "small"
        folder.mkdir(parents=True)
        for number in range(self.options.files):
            (folder / f"f{number:04}.txt").write_bytes(os.urandom(3000))
        ours, theirs = [], []
        with mirror(self.engine, self.root, self.scratch) as url:
            wait_for_hashes(url, "org/small")
            for _ in range(self.options.repeat):
                ours.append(self.pull(url, "org/small").seconds)
                begin = time.monotonic()
                for number in range(self.options.files):
                    subprocess.run(["curl", "-sf", "-o", str(self.scratch / f"s{number}"),
                                    f"{url}/org/small/resolve/main/f{number:04}.txt"], check=True)
                theirs.append(time.monotonic() - begin)
        print(f"small: {self.options.files} files: pull {min(ours):.2f} s, curl after curl {min(theirs):.2f} s: "
              f"{min(theirs) / min(ours):.1f} x as fast")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("engine")
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--scratch")
    options = parser.parse_args()
    bench = Bench(options)
    try:
        print(f"load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
        bench.small()
        bench.large()
    finally:
        shutil.rmtree(bench.scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
