"""Python's huggingface_hub against `mlxengine hub serve`: what it fetches, finds and refuses.

usage: python interop_mirror.py MLXENGINE

Makes folders of files and a cache of huggingface_hub's own layout, serves both, and compares what the
real client sees with what lies there. Prints what fails; exit status 1 when something does.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

from common import check, files_of, make_folder, raises, run, served, sha256, work

import huggingface_hub
from huggingface_hub import HfApi, errors, hf_hub_download, scan_cache_dir, snapshot_download


def check_downloads(api, root, cache):
    for number in range(3):
        name = f"org/model-{number}"
        source = files_of(root / "org" / f"model-{number}")
        path = pathlib.Path(snapshot_download(name, cache_dir=cache, endpoint=api.endpoint))
        got = files_of(path)
        check(f"{name}: the same files", set(got) == set(source), str(set(got) ^ set(source)))
        check(f"{name}: the same bytes", all(sha256(got[k]) == sha256(source[k]) for k in source if k in got))
        tree = {e.path: e for e in api.list_repo_tree(name, recursive=True)}
        for key, file in source.items():
            entry = tree.get(key)
            check(f"{name}: tree has {key}", entry is not None and entry.size == file.stat().st_size)
            lfs = entry.lfs.sha256 if entry.lfs else None
            check(f"{name}: {key} hash", lfs in (None, sha256(file)))
            if lfs is None:
                data = file.read_bytes()
                git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
                check(f"{name}: {key} git hash", entry.blob_id == git)
        check(f"{name}: folders", "sub" in tree and "sub/deeper" in tree)
        top = {e.path for e in api.list_repo_tree(name)}
        check(f"{name}: top only", "sub" in top and "sub/deeper" not in top)
        inner = {e.path for e in api.list_repo_tree(name, path_in_repo="sub/deeper")}
        check(f"{name}: one folder", inner == {"sub/deeper/x y?%,é.txt"}, str(inner))
        info = api.get_paths_info(name, ["config.json", "sub", "none"])
        check(f"{name}: paths-info", [e.path for e in info] == ["config.json", "sub"], str(info))
    report = scan_cache_dir(cache)
    check("the cache scans clean", not report.warnings, str(report.warnings))
    check("three repositories", len(report.repos) == 3)


def check_questions(api, root):
    info = api.model_info("org/model-0", files_metadata=True)
    check("model_info", info.id == "org/model-0" and info.pipeline_tag == "text-generation"
          and info.library_name == "mlx" and "mlx" in info.tags and len(info.sha) == 40)
    sizes = {s.rfilename: s.size for s in info.siblings}
    check("model_info: sizes", sizes == {k: p.stat().st_size for k, p in files_of(root / "org/model-0").items()})
    check("list_models: all", [m.id for m in api.list_models(author="org")] == [f"org/model-{n}" for n in range(3)])
    check("list_models: pages", len(list(api.list_models(limit=2))) == 2)
    paged = [m["id"] for m in huggingface_hub.utils.paginate(
        f"{api.endpoint}/api/models", params={"limit": 1, "search": "model", "full": "true"}, headers={})]
    check("list_models: three pages of one", paged == [f"org/model-{n}" for n in range(3)], str(paged))
    check("list_models: search", [m.id for m in api.list_models(search="MODEL-2")] == ["org/model-2"])
    check("list_models: filter", [m.id for m in api.list_models(filter=["mlx", "n1"])] == ["org/model-1"])
    check("list_models: task", [m.id for m in api.list_models(pipeline_tag="feature-extraction")] == ["org/model-2"])
    check("list_models: nothing", list(api.list_models(search="nobody-has-this")) == [])
    check("list_models: sort, full", len(list(api.list_models(sort="last_modified", full=True, fetch_config=True))) == 3)
    refs = api.list_repo_refs("org/model-0")
    check("refs", [b.name for b in refs.branches] == ["main"] and refs.branches[0].target_commit == info.sha)
    check("commits", api.list_repo_commits("org/model-0")[0].commit_id == info.sha)
    check("by short hash", api.model_info("org/model-0", revision=info.sha[:8]).sha == info.sha)
    check("file_exists", api.file_exists("org/model-0", "config.json") and not api.file_exists("org/model-0", "no"))
    check("repo_exists", api.repo_exists("org/model-0") and not api.repo_exists("org/none"))
    raises("no such repository", errors.RepositoryNotFoundError, lambda: api.model_info("org/none"))
    raises("no such revision", errors.RevisionNotFoundError, lambda: api.model_info("org/model-0", revision="v9"))
    raises("no such file", errors.RemoteEntryNotFoundError,
           lambda: hf_hub_download("org/model-0", "none", endpoint=api.endpoint, cache_dir=work / "none"))
    raises("unknown filter", errors.BadRequestError, lambda: list(api.list_models(apps="ollama")))


def check_parameters(command):
    """Counts by dtype, as the Hub tells them of safetensors files."""
    root = work / "weighed"
    (root / "org" / "sums").mkdir(parents=True)
    header = json.dumps({"a": {"dtype": "BF16", "shape": [3, 4], "data_offsets": [0, 24]},
                         "b": {"dtype": "U32", "shape": [5], "data_offsets": [24, 44]}}).encode()
    (root / "org/sums/model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(44))
    with served(command, root) as url:
        for info in (HfApi(url).model_info("org/sums"), *HfApi(url).list_models(expand=["safetensors"])):
            check("parameters", info.safetensors is not None and info.safetensors.parameters == {"BF16": 12, "U32": 5}
                  and info.safetensors.total == 17, str(info.safetensors))


def check_tokens(command, root):
    tokens = work / "tokens"
    tokens.write_text("good-token\n# a comment\nother-token\n")
    with served(command, root, "--token-file", str(tokens)) as url:
        raises("no token", errors.RepositoryNotFoundError, lambda: HfApi(url, token=False).model_info("org/model-1"))
        raises("wrong token", errors.HfHubHTTPError, lambda: HfApi(url, token="bad").whoami(), status_code=401)
        api = HfApi(url, token="good-token")
        check("whoami", api.whoami()["name"] == "mirror")
        check("good token", api.model_info("org/model-1").id == "org/model-1")
        raises("search without token", errors.RepositoryNotFoundError,
               lambda: list(HfApi(url, token=False).list_models()))
    with served(command, root, "--token-file", str(tokens), "--gated", "org/model-1") as url:
        anyone = HfApi(url, token=False)
        check("gated: described", anyone.model_info("org/model-1").gated == "manual")
        check("gated: others are open", bool(hf_hub_download(
            "org/model-2", "config.json", endpoint=url, token=False, cache_dir=work / "open")))
        raises("gated: files", errors.GatedRepoError, lambda: hf_hub_download(
            "org/model-1", "config.json", endpoint=url, token=False, cache_dir=work / "gated"))
        raises("gated: auth_check", errors.GatedRepoError, lambda: anyone.auth_check("org/model-1"))
        check("gated: with token", bool(hf_hub_download(
            "org/model-1", "config.json", endpoint=url, token="other-token", cache_dir=work / "gated")))


class CuttingProxy(threading.Thread):
    """Passes bytes on and cuts the first answer that is longer than `after` bytes, once."""

    def __init__(self, url, after):
        super().__init__(daemon=True)
        host, port = url.split("//")[1].split(":")
        self.to, self.after, self.cut, self.ranges = (host, int(port)), after, False, []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def run(self):
        while True:
            client, _ = self.listening.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        server = socket.create_connection(self.to)

        def back():
            count = 0
            with contextlib.suppress(OSError):
                while data := server.recv(65536):
                    count += len(data)
                    if not self.cut and count > self.after:
                        self.cut = True
                        break
                    client.sendall(data)
            for s in (client, server):
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=back, daemon=True).start()
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                for line in data.decode("latin-1").split("\r\n"):
                    if line.lower().startswith("range:"):
                        self.ranges.append(line.split(":", 1)[1].strip())
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)


def check_resume(url, root):
    proxy = CuttingProxy(url, 15 << 20)
    proxy.start()
    path = hf_hub_download("org/model-0", "model.safetensors", endpoint=proxy.url, cache_dir=work / "resumed")
    check("resumed: cut once", proxy.cut)
    check("resumed: asked for a range", any(r.startswith("bytes=") and r.endswith("-") and r != "bytes=0-"
                                            for r in proxy.ranges), str(proxy.ranges))
    check("resumed: right bytes", sha256(path) == sha256(root / "org/model-0/model.safetensors"))


def check_limits(command, root):
    """A client that asks too often is told when to come back, and the real one waits."""
    with served(command, root, "--rate-limit", "4", "--rate-window", "3") as url:
        begin = time.monotonic()
        path = pathlib.Path(snapshot_download("org/model-1", endpoint=url, cache_dir=work / "limited"))
        seconds = time.monotonic() - begin
        check("limited: the same files", set(files_of(path)) == set(files_of(root / "org/model-1")))
        check("limited: it waited", 2 < seconds < 60, f"{seconds:.1f} s")


def check_xet(command, root):
    """With Xet's library there and not switched off: nothing of it is asked for."""
    if importlib.util.find_spec("hf_xet") is None:
        print("without hf_xet it is not looked at whether Xet is left alone")
        return
    env = {k: v for k, v in os.environ.items() if k != "HF_HUB_DISABLE_XET"}
    log = work / "xet-requests"
    with open(log, "w", encoding="utf-8") as messages, served(command, root, "--verbose", stderr=messages) as url:
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from huggingface_hub import snapshot_download as s;"
             "s('org/model-1', cache_dir=sys.argv[1], endpoint=sys.argv[2])", str(work / "xet"), url],
            env=env, capture_output=True, text=True)
    check("xet: fetched", done.returncode == 0, done.stderr[-300:])
    asked = log.read_text()
    check("xet: no call", "/resolve/" in asked and "xet" not in asked)


def check_upstream(command, folder):
    """Python through two of our mirrors: the second holds nothing and fetches from the first."""
    with served(command, folder) as above, \
            served(command, work / "pulled-through", "--upstream", above) as url:
        for number in range(2):
            source = files_of(folder / "org" / f"model-{number}")
            path = pathlib.Path(snapshot_download(f"org/model-{number}", endpoint=url, cache_dir=work / "through"))
            got = files_of(path)
            check(f"upstream: model-{number}", set(got) == set(source)
                  and all(sha256(got[k]) == sha256(source[k]) for k in source if k in got))
        kept = {m.id: m.mirrored for m in HfApi(url).list_models(author="org")}
        check("upstream: search", kept == {"org/model-0": True, "org/model-1": True, "org/model-2": False}, str(kept))
        paged = [m["id"] for m in huggingface_hub.utils.paginate(
            f"{url}/api/models", params={"limit": 1, "search": "model"}, headers={})]
        check("upstream: search, pages of one", paged == [f"org/model-{n}" for n in range(3)], str(paged))
        raises("upstream: no such repository", errors.RepositoryNotFoundError,
               lambda: HfApi(url).model_info("org/none"))
        raises("upstream: no such file", errors.RemoteEntryNotFoundError, lambda: hf_hub_download(
            "org/model-0", "none", endpoint=url, cache_dir=work / "through"))
    # What was kept serves alone, and is a cache like any other.
    with served(command, work / "pulled-through") as url:
        path = pathlib.Path(snapshot_download("org/model-1", endpoint=url, cache_dir=work / "later"))
        check("upstream: kept", set(files_of(path)) == set(files_of(folder / "org/model-1")))
    check("upstream: the root scans clean", not scan_cache_dir(work / "pulled-through").warnings)


def check_cache_as_root(command, cache, folder):
    """A cache that Python filled is a root: the second generation equals the first."""
    with served(command, cache) as url:
        api = HfApi(url)
        check("mirror of a cache: list", [m.id for m in api.list_models()] == [f"org/model-{n}" for n in range(3)])
        for number in range(3):
            source = files_of(folder / "org" / f"model-{number}")
            path = pathlib.Path(snapshot_download(f"org/model-{number}", endpoint=url, cache_dir=work / "second"))
            got = files_of(path)
            check(f"mirror of a cache: model-{number}", set(got) == set(source)
                  and all(sha256(got[k]) == sha256(source[k]) for k in source))
        commit = api.model_info("org/model-1").sha
        # A blob with wrong bytes of the right size must never arrive.
        blob = (cache / "models--org--model-2" / "snapshots" / api.model_info("org/model-2").sha
                / "model.safetensors").resolve()
        data = bytearray(blob.read_bytes())
        data[100] ^= 1
        blob.write_bytes(data)
        broken = work / "broken"
        try:
            hf_hub_download("org/model-2", "model.safetensors", endpoint=url, cache_dir=broken)
            check("damaged blob: refused", False)
        except Exception:  # noqa: BLE001
            check("damaged blob: refused", not list(broken.rglob("snapshots/*/model.safetensors")))
        # Without a stored listing nothing partial is offered as whole.
        shutil.rmtree(cache / "models--org--model-1" / "trees")
        raises("no listing: snapshot", errors.RevisionNotFoundError, lambda: snapshot_download(
            "org/model-1", endpoint=url, cache_dir=work / "partial"))
        check("no listing: one file", bool(hf_hub_download(
            "org/model-1", "config.json", revision=commit, endpoint=url, cache_dir=work / "partial")))


def main(command, options):
    folder, cache = make_folder(work / "folder"), work / "cache"
    with served(command, folder) as url:
        api = HfApi(url)
        check_downloads(api, folder, cache)
        check_questions(api, folder)
        check_resume(url, folder)
    check_parameters(command)
    check_tokens(command, folder)
    check_limits(command, folder)
    check_xet(command, folder)
    check_upstream(command, folder)
    check_cache_as_root(command, cache, folder)


if __name__ == "__main__":
    run(main)
