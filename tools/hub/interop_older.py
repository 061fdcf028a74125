"""Older clients against `mlxengine hub serve`: what huggingface_hub of any release since 0.17 does.

usage: PYTHON interop_older.py MLXENGINE      (PYTHON: one that has the release; tested with 0.17.3,
                                               0.23.5, 0.36.2, 1.4.1, 1.29.0 and the current one)

Uses only what every one of them has; what a release lacks is left out and counted. Prints what fails;
exit status 1 when something does.
"""

import hashlib
import os
import pathlib

from common import check, files_of, make_folder, raises, run, served, sha256, work

import huggingface_hub
from huggingface_hub import HfApi, hf_hub_download, scan_cache_dir, snapshot_download
from huggingface_hub import utils

left_out = []


def error(*names):
    """The first of these classes that this release has."""
    for name in names:
        for place in (utils, getattr(huggingface_hub, "errors", utils)):
            if hasattr(place, name):
                return getattr(place, name)
    raise SystemExit(f"none of {names}")


def has(api, name):
    if not hasattr(api, name):
        left_out.append(name)
    return hasattr(api, name)


def downloads(api, root, cache):
    for number in range(3):
        name, source = f"org/model-{number}", files_of(root / "org" / f"model-{number}")
        path = pathlib.Path(snapshot_download(name, cache_dir=cache, endpoint=api.endpoint))
        got = files_of(path)
        check(f"{name}: the same files", set(got) == set(source), str(set(got) ^ set(source)))
        check(f"{name}: the same bytes", all(sha256(got[k]) == sha256(source[k]) for k in source if k in got))
        again = snapshot_download(name, cache_dir=cache, endpoint=api.endpoint, local_files_only=True)
        check(f"{name}: offline", pathlib.Path(again) == path)
    file = hf_hub_download("org/model-1", "config.json", cache_dir=work / "one", endpoint=api.endpoint)
    check("one file", sha256(file) == sha256(root / "org/model-1/config.json"))
    report = scan_cache_dir(cache)
    check("the cache scans clean", not report.warnings, str(report.warnings))
    check("three repositories", len(report.repos) == 3)


def questions(api, root):
    source = files_of(root / "org/model-0")
    info = api.model_info("org/model-0", files_metadata=True)
    check("model_info", info.id == "org/model-0" and info.pipeline_tag == "text-generation" and len(info.sha) == 40)
    check("model_info: sizes", {s.rfilename: s.size for s in info.siblings}
          == {k: p.stat().st_size for k, p in source.items()})
    check("list_models: all", [m.id for m in api.list_models(author="org")] == [f"org/model-{n}" for n in range(3)])
    check("list_models: limit", len(list(api.list_models(limit=2))) == 2)
    check("list_models: search", [m.id for m in api.list_models(search="MODEL-2")] == ["org/model-2"])
    check("list_models: filter", [m.id for m in api.list_models(filter=["mlx", "n1"])] == ["org/model-1"])
    check("list_models: full", len(list(api.list_models(full=True, cardData=True, fetch_config=True))) == 3)
    check("list_repo_files", set(api.list_repo_files("org/model-0")) == set(source))
    refs = api.list_repo_refs("org/model-0")
    check("refs", [b.name for b in refs.branches] == ["main"] and refs.branches[0].target_commit == info.sha)
    if has(api, "list_repo_tree"):
        tree = {e.path: e for e in api.list_repo_tree("org/model-0", recursive=True)}
        check("tree", set(source) <= set(tree) and "sub/deeper" in tree)
        for key, file in source.items():
            data = file.read_bytes()
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            lfs = tree[key].lfs.sha256 if tree[key].lfs else None
            check(f"tree: {key}", tree[key].size == len(data) and (lfs == sha256(file) if lfs else tree[key].blob_id == git))
    if has(api, "get_paths_info"):
        check("paths-info", [e.path for e in api.get_paths_info("org/model-0", ["config.json", "sub", "none"])]
              == ["config.json", "sub"])
    raises("no such repository", error("RepositoryNotFoundError"), lambda: api.model_info("org/none"))
    raises("no such revision", error("RevisionNotFoundError"), lambda: api.model_info("org/model-0", revision="v9"))
    raises("no such file", error("RemoteEntryNotFoundError", "EntryNotFoundError"),
           lambda: hf_hub_download("org/model-0", "none", endpoint=api.endpoint, cache_dir=work / "none"))


def access(command, root):
    tokens = work / "tokens"
    tokens.write_text("good-token\n")
    with served(command, root, "--token-file", str(tokens)) as url:
        raises("no token", error("RepositoryNotFoundError"), lambda: HfApi(url, token=False).model_info("org/model-1"))
        check("whoami", HfApi(url, token="good-token").whoami()["name"] == "mirror")
        try:
            HfApi(url, token="bad").model_info("org/model-1")
            check("wrong token", False)
        except error("HfHubHTTPError") as refused:  # 0.17 calls every 401 a missing repository
            check("wrong token", refused.response.status_code == 401)
    with served(command, root, "--token-file", str(tokens), "--gated", "org/model-1") as url:
        raises("gated", error("GatedRepoError"), lambda: hf_hub_download(
            "org/model-1", "config.json", endpoint=url, token=False, cache_dir=work / "gated"))
        check("gated: with token", os.path.exists(hf_hub_download(
            "org/model-1", "config.json", endpoint=url, token="good-token", cache_dir=work / "gated")))


def partial(command, cache, folder):
    """A cache without a listing: a whole snapshot is refused and nothing is left of the try."""
    commit = next((cache / "models--org--model-1" / "snapshots").iterdir()).name
    listing = cache / "models--org--model-1" / "trees" / f"{commit}.json"
    listed = listing.exists()  # kept since 1.22
    with served(command, cache, *([] if listed else ["--assume-complete"])) as url:
        path = pathlib.Path(snapshot_download("org/model-1", endpoint=url, cache_dir=work / "second"))
        check("mirror of a cache", set(files_of(path)) == set(files_of(folder / "org/model-1")))
    if listed:
        listing.unlink()
    with served(command, cache) as url:
        check("no listing: one file", os.path.exists(hf_hub_download(
            "org/model-1", "config.json", endpoint=url, cache_dir=work / "partial")))
        try:
            path = snapshot_download("org/model-1", endpoint=url, cache_dir=work / "third")
            # 0.17 takes no listing for an empty one, each time anew.
            check("no listing: refused", huggingface_hub.__version__.startswith("0.17.") and not files_of(pathlib.Path(path)))
        except Exception:  # noqa: BLE001 (each release has its own)
            check("no listing: nothing is kept", not list((work / "third").rglob("trees/*")))


def main(command, options):
    del options
    folder, cache = make_folder(work / "folder"), work / "cache"
    with served(command, folder) as url:
        api = HfApi(url)
        downloads(api, folder, cache)
        questions(api, folder)
    access(command, folder)
    partial(command, cache, folder)
    if left_out:
        print(f"not in this release: {', '.join(left_out)}")


if __name__ == "__main__":
    run(main)
