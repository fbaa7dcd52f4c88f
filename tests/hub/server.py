"""A small Hugging Face Hub in this process: what its clients send and get, kept in memory, with faults on demand.

Unmodified `huggingface_hub`, `datasets`, `transformers`, `trl` and the `hf` command talk to it over `HF_ENDPOINT`. As on
the real one, large files live at another origin than the API, behind links that need no token. Nothing here is checked
that clients do not rely on, and xet is never offered.
"""

import asyncio
import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

import yaml
from aiohttp import web


KINDS = "models|datasets|spaces"
LFS_SUFFIXES = (".arrow", ".bin", ".gz", ".model", ".parquet", ".png", ".pt", ".safetensors", ".zip")
LFS_SIZE = 10 * 1024 * 1024
INVALID_TOKEN = "Invalid credentials in Authorization header"
# The Hub has lists; these are their forms, and of the tasks those of text
CARD_VALUES = {
    "license": re.compile(r"[a-z0-9]+([.+-]+[a-z0-9]*)*"),
    "size_categories": re.compile(r"n<1K|1K<n<10K|10K<n<100K|100K<n<1M|1M<n<10M|10M<n<100M|100M<n<1B|1B<n<10B|n>1T"),
    "task_categories": re.compile(r"text-generation|text-classification|question-answering|summarization|other"),
    "pipeline_tag": re.compile(r"text-generation|text-classification|question-answering|summarization|other"),
    "base_model_relation": re.compile(r"finetune|adapter|merge|quantized"),
    "datasets": re.compile(r"[\w.-]+(/[\w.-]+)?"),
    "base_model": re.compile(r"[\w.-]+(/[\w.-]+)?"),
}
GITATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()


@dataclass(frozen=True)
class User:
    """Who stands behind a token, and whether the token may write."""

    name: str
    organizations: tuple[str, ...] = ()
    role: str = "write"

    def owns(self, repo_id):
        return repo_id.split("/")[0] in (self.name, *self.organizations)


@dataclass(frozen=True)
class File:
    """A file of a commit. `oid` is git's name for it; large files are known by their SHA-256 as well."""

    content: bytes
    lfs: bool

    @property
    def oid(self):
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    @property
    def sha256(self):
        return hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self):
        return self.sha256 if self.lfs else self.oid

    def sibling_lfs(self):
        return {"sha256": self.sha256, "size": len(self.content), "pointerSize": 134} if self.lfs else None

    def entry(self, path):
        entry = {"type": "file", "path": path, "oid": self.oid, "size": len(self.content)}
        if self.lfs:
            entry["lfs"] = {"oid": self.sha256, "size": len(self.content), "pointerSize": 134}
        return entry


@dataclass(frozen=True)
class Commit:
    oid: str
    title: str
    message: str
    author: str
    date: str
    parent: "Commit | None"
    files: dict[str, File]


@dataclass
class Repo:
    """A repository; `refs` are its branches, tags and pull requests by their full names."""

    kind: str
    id: str
    private: bool
    refs: dict[str, Commit] = field(default_factory=dict)
    bases: dict[str, str] = field(default_factory=dict)

    def add_commit(self, ref, title, files, author, message=""):
        parent, date = self.refs.get(ref), datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        listing = sorted((path, file.etag) for path, file in files.items())
        oid = hashlib.sha1(repr((parent and parent.oid, title, date, listing)).encode()).hexdigest()
        self.refs[ref] = Commit(oid, title, message, author, date, parent, files)
        return self.refs[ref]

    def full_name(self, revision):
        for name in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if name in self.refs:
                return name
        return None

    def commit(self, revision):
        """The commit of a branch, tag, pull request, or (shortened) commit name; `None` where there is none."""
        if (name := self.full_name(revision)) is not None:
            return self.refs[name]
        for commit in self.refs.values():
            while commit is not None:
                if len(revision) >= 7 and commit.oid.startswith(revision):
                    return commit
                commit = commit.parent
        return None

    @property
    def prefix(self):
        return "" if self.kind == "models" else f"{self.kind}/"


@dataclass
class Fault:
    """What goes wrong: a status, or a connection that is cut before, within or after the work."""

    method: str
    path: re.Pattern
    status: int | None
    cut: str | None
    message: str
    headers: dict[str, str]
    times: int


class HubServer:
    """
    The server, in a thread with its own event loop.

    Args:
        users (`dict[str, User]`): who may come, by token.
    """

    def __init__(self, users):
        self.users, self.repos, self.objects, self.faults, self.requests = users, {}, {}, [], []
        self._loop, started = asyncio.new_event_loop(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="hub", daemon=True)
        self._thread.start()
        if not started.wait(30):
            raise RuntimeError("the Hub of the tests did not start")

    def _run(self, started):
        asyncio.set_event_loop(self._loop)
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0)
        self._loop.run_until_complete(runner.setup())
        sites = [web.TCPSite(runner, "127.0.0.1", 0) for _ in range(2)]
        for site in sites:
            self._loop.run_until_complete(site.start())
        # The second address serves large files: another origin, to which clients must not carry their token
        self.endpoint, self.store = (
            f"http://{name}:{site._server.sockets[0].getsockname()[1]}"
            for name, site in zip(("127.0.0.1", "localhost"), sites, strict=True)
        )
        started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def fail(self, method, path, *, status=None, cut=None, message="", headers=None, times=1):
        """
        Lets the next `times` requests of `method` whose path holds the regular expression `path` go wrong: with `status`,
        or with a connection that is cut `"before"` the server has done anything, `"within"` the transfer, or `"after"` the
        work is done but before the client hears of it.
        """
        self.faults.append(Fault(method, re.compile(path), status, cut, message, headers or {}, times))

    def repo(self, kind, repo_id):
        return self.repos.get((kind, repo_id))

    def create(self, kind, repo_id, private=False, files=None):
        """A repository as the Hub makes it, with the files (`{path: bytes}`) of its owner."""
        repo = self.repos[kind, repo_id] = Repo(kind, repo_id, private)
        first = {".gitattributes": GITATTRIBUTES} | (files or {})
        contents = {path: File(content, path.endswith(LFS_SUFFIXES)) for path, content in first.items()}
        repo.add_commit("refs/heads/main", "initial commit", contents, repo_id.split("/")[0])
        return repo

    def read(self, kind, repo_id, path, revision="main"):
        """The content of a file, as bytes."""
        return self.repos[kind, repo_id].commit(revision).files[path].content

    # Application

    def _application(self):
        app = web.Application(middlewares=[self._log_and_fail, self._answer_errors], client_max_size=1 << 30)
        api, files = f"/api/{{kind:{KINDS}}}/{{id:[^/]+/[^/]+}}", "/{prefix:((datasets|spaces)/)?}{id:[^/]+/[^/]+}"
        app.add_routes(
            [
                web.get("/api/whoami-v2", self.whoami),
                web.post("/api/validate-yaml", self.validate_yaml),
                web.post("/api/repos/create", self.create_repo),
                web.delete("/api/repos/delete", self.delete_repo),
                web.get(f"/api/{{kind:{KINDS}}}", self.list_repos),
                web.get(api, self.info),
                web.get(f"{api}/revision/{{rev}}", self.info),
                web.get(f"{api}/tree/{{rev}}", self.tree),
                web.get(f"{api}/tree/{{rev}}/{{path:.+}}", self.tree),
                web.post(f"{api}/paths-info/{{rev}}", self.paths_info),
                web.get(f"{api}/refs", self.refs),
                web.get(f"{api}/commits/{{rev}}", self.commits),
                web.post(f"{api}/branch/{{name}}", self.create_branch),
                web.delete(f"{api}/branch/{{name}}", self.delete_branch),
                web.post(f"{api}/tag/{{rev}}", self.create_tag),
                web.post(f"{api}/discussions/{{number:[0-9]+}}/merge", self.merge),
                web.post(f"{api}/preupload/{{rev}}", self.preupload),
                web.post(f"{api}/commit/{{rev}}", self.commit),
                web.post(f"{files}.git/info/lfs/objects/batch", self.lfs_batch),
                web.put("/lfs/{oid}", self.lfs_upload),
                web.post("/lfs/{oid}/verify", self.lfs_verify),
                web.get("/lfs/{oid}", self.lfs_download),
                web.get(f"{files}/resolve/{{rev}}/{{path:.+}}", self.resolve),
            ]
        )
        return app

    @web.middleware
    async def _log_and_fail(self, request, handler):
        self.requests.append((request.method, request.path, request.headers.get("Authorization")))
        fault = next(
            (f for f in self.faults if f.times and f.method == request.method and f.path.search(request.path)), None
        )
        if fault is None:
            return await handler(request)
        fault.times -= 1
        if fault.status is not None:
            await request.read()
            return error(fault.status, fault.message or "a fault that the test asked for", headers=fault.headers)
        if fault.cut == "within" and request.method in ("POST", "PUT"):
            await request.content.readany()
        elif fault.cut == "within":
            whole = await handler(request)
            response = web.StreamResponse(headers={"Content-Length": str(len(whole.body))})
            await response.prepare(request)
            await response.write(whole.body[: len(whole.body) // 2])
        elif fault.cut == "after":
            await handler(request)
        request.transport.abort()
        return web.Response()

    @web.middleware
    async def _answer_errors(self, request, handler):
        try:
            return await handler(request)
        except Refusal as refusal:
            return error(*refusal.args, headers=refusal.headers)

    # Who asks, and for what

    def _user(self, request):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not token:
            return None
        if scheme != "Bearer" or token not in self.users:
            raise Refusal(401, INVALID_TOKEN)
        return self.users[token]

    def _repo(self, request):
        user, kind = self._user(request), request.match_info.get("kind")
        kind = kind or request.match_info["prefix"].rstrip("/") or "models"
        repo = self.repo(kind, request.match_info["id"])
        if repo is None or (repo.private and (user is None or not user.owns(repo.id))):
            # Private ones must not be told from missing ones
            raise Refusal(404 if user else 401, "Repository not found", "RepoNotFound")
        return repo

    def _writable(self, request, proposal=False):
        repo, user = self._repo(request), self._user(request)
        if user is None:
            raise Refusal(401, "Unauthorized")
        if user.role != "write" or not (proposal or user.owns(repo.id)):
            raise Refusal(403, f"You don't have the rights to write to {repo.id}")
        return repo

    def _commit(self, request, repo=None):
        repo = repo or self._repo(request)
        commit = repo.commit(request.match_info.get("rev", "main"))
        if commit is None:
            raise Refusal(404, f"Invalid rev id: {request.match_info['rev']}", "RevisionNotFound")
        return repo, commit

    async def whoami(self, request):
        user = self._user(request)
        if user is None:
            raise Refusal(401, "Unauthorized")
        return web.json_response(
            {
                "type": "user",
                "name": user.name,
                "orgs": [{"type": "org", "name": name} for name in user.organizations],
                "auth": {"type": "access_token", "accessToken": {"displayName": "test", "role": user.role}},
            }
        )

    # Repositories

    async def validate_yaml(self, request):
        problems = card_problems((await request.json())["content"])
        body = {"errors": [{"message": problem} for problem in problems], "warnings": []}
        return web.json_response(body, status=400 if problems else 200)

    async def create_repo(self, request):
        user, body = self._user(request), await request.json()
        if user is None:
            raise Refusal(401, INVALID_TOKEN)
        kind, repo_id = f"{body.get('type') or 'model'}s", f"{body.get('organization') or user.name}/{body['name']}"
        if user.role != "write" or not user.owns(repo_id):
            raise Refusal(403, f"You don't have the rights to create a {kind[:-1]} under the namespace of {repo_id}")
        known = self.repo(kind, repo_id)
        repo = known or self.create(kind, repo_id, body.get("visibility") == "private" or bool(body.get("private")))
        answer = {"url": f"{self.endpoint}/{repo.prefix}{repo_id}", "name": repo_id}
        if known:
            return web.json_response(answer | {"error": "You already created this repo"}, status=409)
        return web.json_response(answer)

    async def delete_repo(self, request):
        user, body = self._user(request), await request.json()
        key = f"{body.get('type') or 'model'}s", f"{body.get('organization') or user.name}/{body['name']}"
        if user is None or key not in self.repos or not user.owns(key[1]):
            raise Refusal(404, "Repository not found", "RepoNotFound")
        del self.repos[key]
        return web.Response()

    async def list_repos(self, request):
        user, query = self._user(request), request.query
        return web.json_response(
            [
                self._describe(repo, repo.commit("main"))
                for (kind, repo_id), repo in self.repos.items()
                if kind == request.match_info["kind"]
                and (not repo.private or (user and user.owns(repo_id)))
                and repo_id.startswith(f"{query['author']}/" if "author" in query else "")
                and query.get("search", "") in repo_id
            ]
        )

    async def info(self, request):
        repo, commit = self._commit(request)
        return web.json_response(self._describe(repo, commit))

    def _describe(self, repo, commit):
        try:
            card = front_matter(commit.files["README.md"].content.decode()) if "README.md" in commit.files else {}
        except yaml.YAMLError:
            card = {}
        results = []
        for path, file in commit.files.items():
            if re.fullmatch(r"\.eval_results/[^/]+\.ya?ml", path):
                try:
                    results += [{"filename": path, "data": entry} for entry in yaml.safe_load(file.content)]
                except yaml.YAMLError as failure:
                    results.append({"filename": path, "error": str(failure)})
        return {
            "_id": repo.id,
            "id": repo.id,
            "author": repo.id.split("/")[0],
            "sha": commit.oid,
            "private": repo.private,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "lastModified": commit.date,
            "createdAt": commit.date,
            "tags": card.get("tags") or [],
            "cardData": card,
            "model-index": card.get("model-index"),
            "evalResults": results,
            "siblings": [
                {"rfilename": path, "size": len(file.content), "blobId": file.oid, "lfs": file.sibling_lfs()}
                for path, file in sorted(commit.files.items())
            ],
        }

    async def tree(self, request):
        _, commit = self._commit(request)
        folder = request.match_info.get("path", "").strip("/")
        inside = [path for path in sorted(commit.files) if not folder or path.startswith(f"{folder}/")]
        if folder and not inside:
            raise Refusal(404, f"{folder} does not exist", "EntryNotFound", commit=commit)
        recursive, entries, depth = (
            request.query.get("recursive") in ("true", "True", "1"),
            {},
            len(folder) + bool(folder),
        )
        for path in inside:
            parts = path[depth:].split("/")
            for number in range(1, len(parts)):
                parent = path[:depth] + "/".join(parts[:number])
                if recursive or number == 1:
                    entries.setdefault(parent, folder_entry(parent))
            if recursive or len(parts) == 1:
                entries[path] = commit.files[path].entry(path)
        return web.json_response(list(entries.values()))

    async def paths_info(self, request):
        _, commit = self._commit(request)
        if request.content_type == "application/json":
            paths = (await request.json())["paths"]
        else:
            paths = (await request.post()).getall("paths", [])
        entries = []
        for path in (path.strip("/") for path in paths):
            if path in commit.files:
                entries.append(commit.files[path].entry(path))
            elif any(name.startswith(f"{path}/") for name in commit.files):
                entries.append(folder_entry(path))
        return web.json_response(entries)

    async def refs(self, request):
        repo, groups = self._repo(request), {"heads": [], "tags": [], "pr": []}
        for ref, commit in repo.refs.items():
            _, group, name = ref.split("/", 2)
            groups[group].append({"name": name, "ref": ref, "targetCommit": commit.oid})
        answer = {"branches": groups["heads"], "converts": [], "tags": groups["tags"]}
        if request.query.get("include_prs"):
            answer["pullRequests"] = groups["pr"]
        return web.json_response(answer)

    async def commits(self, request):
        _, commit = self._commit(request)
        history = []
        while commit is not None:
            entry = {"id": commit.oid, "title": commit.title, "message": commit.message, "date": commit.date}
            history.append(entry | {"authors": [{"user": commit.author}]})
            commit = commit.parent
        return web.json_response(history)

    async def create_branch(self, request):
        repo = self._writable(request)
        body = await request.json() if request.can_read_body else {}
        ref = f"refs/heads/{request.match_info['name']}"
        if ref in repo.refs:
            raise Refusal(409, "Reference already exists")
        start = repo.commit(body.get("startingPoint", "main"))
        if start is None:
            raise Refusal(404, "Invalid rev id", "RevisionNotFound")
        repo.refs[ref] = start
        return web.Response()

    async def delete_branch(self, request):
        repo, ref = self._writable(request), f"refs/heads/{request.match_info['name']}"
        if repo.refs.pop(ref, None) is None:
            raise Refusal(404, "Reference does not exist", "RevisionNotFound")
        return web.Response()

    async def create_tag(self, request):
        repo, commit = self._commit(request, self._writable(request))
        ref = f"refs/tags/{(await request.json())['tag']}"
        if ref in repo.refs:
            raise Refusal(409, "Tag reference exists already")
        repo.refs[ref] = commit
        return web.Response()

    async def merge(self, request):
        repo, ref = self._writable(request), f"refs/pr/{request.match_info['number']}"
        repo.refs[repo.bases[ref]] = repo.refs[ref]
        return web.json_response({})

    # Commits and large files

    async def preupload(self, request):
        _, commit = self._commit(request, self._writable(request, proposal="create_pr" in request.query))
        body, answer = await request.json(), []
        ignored = tuple(line for line in body.get("gitIgnore", "").split() if line.endswith("/"))
        for file in body["files"]:
            path, known = file["path"], commit.files.get(file["path"])
            lfs = path.endswith(LFS_SUFFIXES) or file["size"] > LFS_SIZE
            entry = {
                "path": path,
                "uploadMode": "lfs" if lfs else "regular",
                "shouldIgnore": bool(ignored) and path.startswith(ignored),
            }
            answer.append(entry | ({"oid": known.etag} if known and known.lfs == lfs else {}))
        return web.json_response({"files": answer})

    async def lfs_batch(self, request):
        repo, body = self._repo(request), await request.json()
        user = self._user(request)
        if body["operation"] == "upload" and (user is None or user.role != "write"):
            raise Refusal(403, f"You don't have the rights to write to {repo.id}")
        objects = []
        for wanted in body["objects"]:
            href = f"{self.store}/lfs/{wanted['oid']}"
            actions = {
                "upload": {"href": f"{href}?signature=1"},
                "verify": {"href": f"{self.endpoint}/lfs/{wanted['oid']}/verify"},
            }
            objects.append(wanted if wanted["oid"] in self.objects else {**wanted, "actions": actions})
        return web.json_response({"transfer": "basic", "objects": objects})

    async def lfs_upload(self, request):
        content = await request.read()
        if hashlib.sha256(content).hexdigest() != request.match_info["oid"]:
            raise Refusal(400, "The content does not have the SHA-256 that was announced")
        self.objects[request.match_info["oid"]] = content
        return web.Response()

    async def lfs_verify(self, request):
        body = await request.json()
        if len(self.objects.get(body["oid"], b"")) != body["size"]:
            raise Refusal(404, "The object is missing or has another size")
        return web.json_response({"success": True})

    async def lfs_download(self, request):
        return ranged(request, self.objects[request.match_info["oid"]], {"ETag": f'"{request.match_info["oid"]}"'})

    async def commit(self, request):
        proposal = "create_pr" in request.query
        repo, head = self._commit(request, self._writable(request, proposal))
        ref = repo.full_name(request.match_info["rev"])
        files, header = dict(head.files), {}
        for line in (await request.text()).splitlines():
            operation = json.loads(line)
            key, value = operation["key"], operation["value"]
            if key == "header":
                header = value
                if value.get("parentCommit") and not head.oid.startswith(value["parentCommit"]):
                    raise Refusal(412, "A commit has happened since. Please refresh and try again.")
            elif key == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]), lfs=False)
            elif key == "lfsFile":
                if value["oid"] not in self.objects:
                    raise Refusal(400, f"The object {value['oid']} was not uploaded")
                files[value["path"]] = File(self.objects[value["oid"]], lfs=True)
            elif value["path"].rstrip("/") in files:
                del files[value["path"].rstrip("/")]
            else:
                inside = [path for path in files if path.startswith(value["path"].rstrip("/") + "/")]
                if not inside:
                    raise Refusal(404, "A file with this name doesn't exist", "EntryNotFound")
                for path in inside:
                    del files[path]
        if "README.md" in files and (problems := card_problems(files["README.md"].content.decode())):
            raise Refusal(400, "; ".join(problems))
        answer = {}
        if proposal:
            number = 1 + sum(name.startswith("refs/pr/") for name in repo.refs)
            repo.bases[f"refs/pr/{number}"], ref = ref, f"refs/pr/{number}"
            repo.refs[ref] = head
            answer["pullRequestUrl"] = f"{self.endpoint}/{repo.prefix}{repo.id}/discussions/{number}"
        done = repo.add_commit(ref, header["summary"], files, self._user(request).name, header.get("description", ""))
        url = f"{self.endpoint}/{repo.prefix}{repo.id}/commit/{done.oid}"
        return web.json_response({"success": True, "commitOid": done.oid, "commitUrl": url} | answer)

    async def resolve(self, request):
        _, commit = self._commit(request)
        path = request.match_info["path"]
        if path not in commit.files:
            raise Refusal(404, f"{path} does not exist", "EntryNotFound", commit=commit)
        file, headers = commit.files[path], {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
        if not file.lfs:
            return ranged(request, file.content, headers | {"ETag": f'"{file.oid}"'})
        self.objects[file.sha256] = file.content
        headers |= {
            "Location": f"{self.store}/lfs/{file.sha256}?signature=1",
            "X-Linked-Etag": f'"{file.sha256}"',
            "X-Linked-Size": str(len(file.content)),
        }
        return web.Response(status=302, headers=headers)


class Refusal(Exception):
    """An answer that is an error: status, message, and the Hub's name for it."""

    def __init__(self, status, message, code=None, commit=None):
        super().__init__(status, message, code)
        self.headers = {"X-Repo-Commit": commit.oid} if commit else {}


def error(status, message, code=None, headers=None):
    headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **(headers or {})}
    return web.json_response({"error": message}, status=status, headers=headers)


def folder_entry(path):
    return {"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0}


def ranged(request, content, headers):
    """The content, or the part of it that the header `Range` asks for."""
    if "Range" not in request.headers:
        return web.Response(body=content, headers=headers)
    start, stop, _ = request.http_range.indices(len(content))
    if start >= len(content):
        return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
    headers = headers | {"Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"}
    return web.Response(status=206, body=content[start:stop], headers=headers)


def front_matter(content):
    match = re.match(r"\s*---[ \t]*\r?\n(.*?)\r?\n?---[ \t]*(?:\r?\n|\Z)", content, re.DOTALL)
    return (yaml.safe_load(match[1]) or {}) if match else {}


def card_problems(content):
    """What the Hub would not take in a card's metadata."""
    try:
        data = front_matter(content)
    except yaml.YAMLError as failure:
        return [f"YAML is invalid: {failure}"]
    if not isinstance(data, dict):
        return ["the metadata is no mapping"]
    problems = [
        f'"{name}" must be {what}'
        for name, types, what in (
            ("license", (str, list), "a string or a list"),
            ("language", (str, list), "a string or a list"),
            ("tags", list, "a list"),
            ("configs", list, "a list"),
            ("task_categories", list, "a list"),
            ("size_categories", (str, list), "a string or a list"),
            ("model-index", list, "a list"),
        )
        if data.get(name) is not None and not isinstance(data[name], types)
    ]
    for name, pattern in CARD_VALUES.items():
        values = data.get(name) or []
        values = values if isinstance(values, list) else [values]
        problems += [f'"{name}" must not be {value!r}' for value in values if not pattern.fullmatch(str(value))]
    for number, model in enumerate(data.get("model-index") or []):
        if not model.get("name"):
            problems.append(f'"model-index[{number}].name" is required')
        for place, result in enumerate(model.get("results") or []):
            where = f'"model-index[{number}].results[{place}]'
            if not (result.get("task") or {}).get("type"):
                problems.append(f'{where}.task.type" is required')
            if not {"type", "name"} <= set(result.get("dataset") or {}):
                problems.append(f'{where}.dataset" needs a type and a name')
            if not all({"type", "value"} <= set(metric) for metric in result.get("metrics") or []):
                problems.append(f'{where}.metrics" need a type and a value')
    return problems
