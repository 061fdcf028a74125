"""One cache, two programs: huggingface_hub and mlxengine read, fill and repair each other's files.

usage: python interop_cache.py MLXENGINE [--rounds 50]

Both fetch from our mirror; in the last part both fetch the same repository at the same time, --rounds
times. Prints what fails; exit status 1 when something does.
"""

import contextlib
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import threading

from common import check, files_of, make_folder, run, served, sha256, work

from huggingface_hub import scan_cache_dir, snapshot_download, try_to_load_from_cache
from huggingface_hub._local_folder import read_download_metadata


def ours(command, cache, url, *arguments, status=0, **environment):
    """Runs mlxengine with --json; -> the last object on its standard output."""
    env = dict(os.environ, HF_HUB_CACHE=str(cache), HF_ENDPOINT=url, **environment)
    done = subprocess.run([command, *arguments, "--json"], env=env, capture_output=True, text=True)
    check(f"{' '.join(arguments)}: status {status}", done.returncode == status,
          f"is {done.returncode}: {done.stderr[-300:]}{done.stdout[-300:]}")
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else {}


def same_files(name, path, source):
    got, want = files_of(pathlib.Path(path)), files_of(source)
    check(f"{name}: the same files", set(got) == set(want), str(set(got) ^ set(want)))
    check(f"{name}: the same bytes", all(sha256(got[k]) == sha256(want[k]) for k in want if k in got))


def scans_clean(name, cache):
    report = scan_cache_dir(cache)
    check(f"{name}: scans without a warning", not report.warnings, str(report.warnings))
    left = [p.name for p in pathlib.Path(cache).rglob("*.incomplete")]
    check(f"{name}: nothing half done", not left, str(left))
    return report


def ours_then_python(command, url, root):
    cache = work / "ours"
    for number in range(3):
        done = ours(command, cache, url, "pull", f"org/model-{number}")
        same_files(f"pulled {number}", done["path"], root / "org" / f"model-{number}")
    report = scans_clean("our cache", cache)
    check("Python sees three", {r.repo_id for r in report.repos} == {f"org/model-{n}" for n in range(3)})
    check("Python sees the ref", all("main" in rev.refs for r in report.repos for rev in r.revisions))
    listed = {m["id"]: m for m in ours(command, cache, url, "list")["models"]}
    for repo in report.repos:
        check(f"{repo.repo_id}: size", listed[repo.repo_id]["bytes"] == repo.size_on_disk,
              f"{listed[repo.repo_id]['bytes']} {repo.size_on_disk}")
        check(f"{repo.repo_id}: revisions",
              set(listed[repo.repo_id]["revisions"]) == {r.commit_hash for r in repo.revisions})
    path = snapshot_download("org/model-1", cache_dir=cache, local_files_only=True)
    same_files("Python, offline, in our cache", path, root / "org/model-1")
    check("try_to_load_from_cache", isinstance(try_to_load_from_cache("org/model-1", "config.json", cache), str))
    return cache


def python_then_ours(command, url, root):
    cache = work / "python"
    for number in range(3):
        snapshot_download(f"org/model-{number}", cache_dir=cache, endpoint=url)
    done = ours(command, cache, "http://127.0.0.1:9", "pull", "org/model-1", HF_HUB_OFFLINE="1")
    same_files("ours, offline, in Python's cache", done["path"], root / "org/model-1")
    check("nothing fetched", done["downloaded_bytes"] == 0)
    for number in range(3):
        told = ours(command, cache, url, "verify", f"org/model-{number}")
        check(f"verify {number}", told["ok"] and told["checked"] == 5 and not told["bad"], str(told))
    return cache


def damage_and_repair(command, cache, url, root):
    blob = next((cache / "models--org--model-2").glob("snapshots/*/model.safetensors")).resolve()
    data = bytearray(blob.read_bytes())
    data[7] ^= 1
    blob.write_bytes(data)
    told = ours(command, cache, url, "verify", "org/model-2", status=7)
    check("verify names it", [b["path"] for b in told["bad"]] == ["model.safetensors"], str(told))
    told = ours(command, cache, url, "verify", "org/model-2", "--repair")
    check("repaired", told["ok"] and told["repaired"] == ["model.safetensors"], str(told))
    same_files("repaired", blob_folder(cache, "org/model-2"), root / "org/model-2")
    scans_clean("repaired", cache)


def blob_folder(cache, name):
    return next((cache / ("models--" + name.replace("/", "--"))).glob("snapshots/*"))


def remove_and_collect(command, cache, url):
    before = scan_cache_dir(cache).size_on_disk
    stray = cache / "models--org--model-0" / "blobs" / ("0" * 40)
    stray.write_bytes(b"x" * 1000)
    told = ours(command, cache, url, "gc", "--dry-run")
    check("gc --dry-run", told["dry_run"] and told["bytes"] == 1000 and stray.exists(), str(told))
    told = ours(command, cache, url, "gc")
    check("gc", not told["dry_run"] and told["bytes"] == 1000 and not stray.exists(), str(told))
    size = sum(p.stat().st_size for p in (cache / "models--org--model-0" / "blobs").iterdir())
    told = ours(command, cache, url, "rm", "org/model-0")
    check("rm", told["bytes"] == size and not (cache / "models--org--model-0").exists(), str(told))
    report = scans_clean("after rm", cache)
    check("after rm: size", report.size_on_disk == before - size)
    ours(command, cache, url, "rm", "org/model-0", status=3)


def without_links(command, url, root):
    """A cache that Python filled without links, in a process that has them switched off."""
    cache = work / "plain"
    subprocess.run([sys.executable, "-c",
                    "import sys; from huggingface_hub import snapshot_download as s;"
                    "s('org/model-1', cache_dir=sys.argv[1], endpoint=sys.argv[2])", str(cache), url],
                   env=dict(os.environ, HF_HUB_DISABLE_SYMLINKS="1"), check=True)
    check("no links", not [p for p in cache.rglob("*") if p.is_symlink()])
    done = ours(command, cache, "http://127.0.0.1:9", "pull", "org/model-1", HF_HUB_OFFLINE="1")
    same_files("ours, without links", done["path"], root / "org/model-1")
    told = ours(command, cache, url, "verify", "org/model-1")
    check("verify without links", told["ok"] and told["checked"] == 5 and told["unverifiable"] == 0, str(told))


def logins(command, root):
    """96: stored_tokens, written by one and read by the other."""
    home, tokens = work / "login", work / "login-tokens"
    tokens.write_text("hf_ours\nhf_theirs\n")
    ask = "import json, huggingface_hub as h; from huggingface_hub.utils import get_stored_tokens; " \
          "print(json.dumps([h.get_token(), get_stored_tokens()]))"
    with served(command, root, "--token-file", str(tokens)) as url:
        env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")} \
            | {"HF_HOME": str(home), "HF_ENDPOINT": url, "HF_HUB_DISABLE_TELEMETRY": "1"}

        def run_ours(*arguments, text="", status=0):
            done = subprocess.run([command, *arguments, "--json"], input=text, env=env, capture_output=True, text=True)
            check(f"{arguments}: status {status}", done.returncode == status, done.stdout + done.stderr)
            check(f"{arguments}: no token is shown", "hf_ours" not in done.stdout + done.stderr)
            return json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}

        def python(code):
            done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
            check("login: Python runs", done.returncode == 0, done.stderr[-300:])
            return done.stdout.strip()

        run_ours("search", "model", status=3)
        run_ours("hub", "login", text="hf_wrong\n", status=4)
        check("login: a wrong one is not kept", not (home / "token").exists())
        run_ours("hub", "login", text="api_org_x\n", status=4)
        told = run_ours("hub", "login", text="hf_ours\n")
        check("login: told", told == {"name": "mirror", "token": "mirror", "path": str(home / "token")}, str(told))
        modes = [oct((home / n).stat().st_mode & 0o777) for n in (".", "token", "stored_tokens")]
        check("login: modes", modes == ["0o700", "0o600", "0o600"], str(modes))
        check("login: active", (home / "token").read_text() == "hf_ours")
        check("login: Python's view", json.loads(python(ask)) == ["hf_ours", {"mirror": "hf_ours"}], python(ask))
        check("login: used", run_ours("search", "model-1")["id"] == "org/model-1")
        python("import huggingface_hub as h; h.login('hf_theirs', add_to_git_credential=False)")
        check("login: theirs over ours", "hf_theirs" in (home / "token").read_text())
        check("login: ours uses theirs", run_ours("search", "model-1")["id"] == "org/model-1")
        (home / "stored_tokens").write_text((home / "stored_tokens").read_text() + "[other]\nhf_token = hf_other\nexpires_at = 5\n")
        run_ours("hub", "login", text="hf_ours\n")
        check("login: others stay", json.loads(python(ask))[1] == {"mirror": "hf_ours", "other": "hf_other"}, python(ask))
        told = run_ours("hub", "logout")
        check("logout", told["token"] == "mirror" and json.loads(python(ask)) == [None, {"other": "hf_other"}], python(ask))
        run_ours("hub", "logout", status=3)


def ours_without_links(command, url, root):
    """86: ours with links switched off: plain files where Python looks for them."""
    cache = work / "ours-plain"
    ours(command, cache, url, "pull", "org/model-1", HF_HUB_DISABLE_SYMLINKS="1")
    check("ours, no links", not [p for p in cache.rglob("*") if p.is_symlink()])
    path = snapshot_download("org/model-1", cache_dir=cache, local_files_only=True)
    same_files("Python, offline, in our cache without links", path, root / "org/model-1")
    scans_clean("ours, no links", cache)


def seen_by_servers(command, url, root):
    """104: what mlx-lm's server lists: repositories whose main has these three files."""
    names = ("config.json", "model.safetensors.index.json", "tokenizer_config.json")
    folder, cache = root / "org" / "served", work / "seen"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("{}")
    ours(command, cache, url, "pull", "org/served")
    shutil.rmtree(folder)
    listed = [repo.repo_id for repo in scans_clean("seen by servers", cache).repos
              if all(isinstance(try_to_load_from_cache(repo.repo_id, name, cache), str) for name in names)]
    check("seen by servers", listed == ["org/served"], str(listed))


class BreakingProxy(threading.Thread):
    """Passes bytes on; of all connections 30 % are cut after a random number of bytes."""

    def __init__(self, url):
        super().__init__(daemon=True)
        host, port = url.split("//")[1].split(":")
        self.to, self.random, self.cuts = (host, int(port)), random.Random(11), 0
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def run(self):
        while True:
            client, _ = self.listening.accept()
            after = self.random.randrange(3000000) if self.random.random() < 0.3 else None
            self.cuts += after is not None
            threading.Thread(target=self.serve, args=(client, after), daemon=True).start()

    def serve(self, client, after):
        server, count = socket.create_connection(self.to), 0

        def forth():
            with contextlib.suppress(OSError):
                while data := client.recv(65536):
                    server.sendall(data)
                server.shutdown(socket.SHUT_WR)

        threading.Thread(target=forth, daemon=True).start()
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                count += len(data)
                if after is not None and count > after:
                    break
                client.sendall(data)
        for s in (client, server):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)


def through_cuts(command, url, root):
    """129: ours through our mirror while 30 % of the connections break; then offline, byte by byte."""
    proxy = BreakingProxy(url)
    proxy.start()
    for number in range(6):
        cache = work / f"cut-{number}"
        for model in range(3):
            ours(command, cache, proxy.url, "pull", f"org/model-{model}")
            done = ours(command, cache, "http://127.0.0.1:9", "pull", f"org/model-{model}", HF_HUB_OFFLINE="1")
            same_files(f"through cuts, model-{model}", done["path"], root / "org" / f"model-{model}")
        shutil.rmtree(cache)
    check("through cuts: some", proxy.cuts > 5, str(proxy.cuts))


def local_dirs(command, url, root, log):
    """One folder (local_dir) that both keep up to date: what one fetched, the other takes as it is."""
    source = root / "org/model-1"

    def requests(call):
        before = log.stat().st_size
        call()
        return [line for line in log.read_text()[before:].splitlines() if "/resolve/" in line]

    def is_source(name, folder):
        got = {k: p for k, p in files_of(folder).items() if not k.startswith(".cache/")}
        check(f"{name}: the same files", set(got) == set(files_of(source)), str(set(got)))
        check(f"{name}: the same bytes", all(sha256(p) == sha256(source / k) for k, p in got.items()))

    def python(folder):
        snapshot_download("org/model-1", local_dir=folder, endpoint=url, cache_dir=work / "unused")

    ours_first, theirs_first, elsewhere = work / "local-ours", work / "local-python", work / "local-cache"
    told = ours(command, elsewhere, url, "pull", "org/model-1", "--local-dir", str(ours_first))
    is_source("local_dir, ours", ours_first)
    check("local_dir: path", told["path"] == str(ours_first.resolve()), told["path"])
    check("local_dir: the cache stays empty", not (elsewhere / "models--org--model-1").exists())
    for name in files_of(source):
        ours_meta = read_download_metadata(ours_first, name)
        check(f"local_dir: metadata of {name}", ours_meta is not None and ours_meta.commit_hash == told["revision"])
    left = requests(lambda: snapshot_download("org/model-1", revision=told["revision"], local_dir=ours_first,
                                              endpoint=url, cache_dir=work / "unused"))
    check("local_dir: Python asks for nothing of ours", not left, str(left))
    left = requests(lambda: python(ours_first))
    check("local_dir: Python fetches nothing of ours", not [r for r in left if " GET " in r], str(left))
    check("local_dir: Python offline", pathlib.Path(snapshot_download(
        "org/model-1", revision=told["revision"], local_dir=ours_first, local_files_only=True)).samefile(ours_first))

    python(theirs_first)
    left = requests(lambda: ours(command, elsewhere, url, "pull", "org/model-1", "--local-dir", str(theirs_first)))
    check("local_dir: ours asks for nothing of Python's", not left, str(left))
    is_source("local_dir, Python's", theirs_first)

    # Edited by hand: each program puts it right, and the other believes it.
    for name, mend in (("ours", lambda: ours(command, elsewhere, url, "pull", "org/model-1", "--local-dir", str(theirs_first))),
                       ("Python", lambda: python(theirs_first))):
        for file in ("config.json", "model.safetensors"):
            (theirs_first / file).write_text("edited")
            os.utime(theirs_first / file, (4e9, 4e9))
        left = requests(mend)
        check(f"local_dir, edited: {name} fetches two", len([r for r in left if " GET " in r]) == 2, str(left))
        is_source(f"local_dir, edited, {name}", theirs_first)
    left = requests(lambda: ours(command, elsewhere, url, "pull", "org/model-1", "--local-dir", str(theirs_first)))
    check("local_dir, edited: nothing more to do", not left, str(left))


def both_at_once(command, url, root, rounds, log):
    """The same repository by two programs into one empty cache: each file is fetched once."""
    broken = twice = 0
    for number in range(rounds):
        cache, failed = work / "both", []
        shutil.rmtree(cache, ignore_errors=True)
        before = log.stat().st_size

        def python():
            try:
                snapshot_download("org/model-1", cache_dir=cache, endpoint=url)
            except Exception as error:  # noqa: BLE001
                failed.append(f"Python: {type(error).__name__}: {error}")

        thread = threading.Thread(target=python)
        env = dict(os.environ, HF_HUB_CACHE=str(cache), HF_ENDPOINT=url)
        if number % 2:
            thread.start()
        process = subprocess.Popen([command, "pull", "org/model-1", "--quiet"], env=env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if number % 2 == 0:
            thread.start()
        path, message = process.communicate()
        thread.join()
        if process.returncode:
            failed.append(f"ours: {process.returncode}: {message}")
        if failed:
            check(f"round {number}", False, str(failed))
            broken += 1
            continue
        same_files(f"round {number}", path.strip(), root / "org/model-1")
        scans_clean(f"round {number}", cache)
        gets = [line.split()[3] for line in log.read_text()[before:].splitlines()
                if " GET " in line and "/resolve/" in line]
        twice += len(gets) - len(set(gets))
    # Between Python's look at the cache and its lock another may finish: then it fetches a file again.
    check("a file is fetched once, whoever does", twice <= rounds // 10, f"{twice} times more in {rounds} rounds")
    print(f"both at once: {rounds} rounds, {broken} broken, {twice} files fetched twice")


def main(command, options):
    root = make_folder(work / "folder")
    log = work / "requests"
    with open(log, "w", encoding="utf-8") as messages, served(command, root, "--verbose", stderr=messages) as url:
        mine = ours_then_python(command, url, root)
        theirs = python_then_ours(command, url, root)
        damage_and_repair(command, theirs, url, root)
        remove_and_collect(command, theirs, url)
        remove_and_collect(command, mine, url)
        without_links(command, url, root)
        ours_without_links(command, url, root)
        logins(command, root)
        seen_by_servers(command, url, root)
        local_dirs(command, url, root, log)
        through_cuts(command, url, root)
        both_at_once(command, url, root, options.rounds, log)


if __name__ == "__main__":
    run(main)
