"""shipped.py: what a release binary is made of: crates by cargo, npm packages by web/package-lock.json, Rust's own library."""
import json, os, re, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
WEB = os.path.join(ROOT, "web")
# They make the page and are no part of it.
TOOLS = {"esbuild", "typescript"}


class Package:
    """A package: where it is from, its licence as an SPDX expression, and the folder of its files."""

    def __init__(self, kind, name, version, licence, folder, **more):
        self.kind, self.name, self.version, self.folder = kind, name, version, folder
        self.licence = spdx(licence)
        self.source = more.get("source") or ""
        self.authors = more.get("authors") or []
        self.hashes = more.get("hashes") or {}
        self.licence_file = more.get("licence_file")
        self.runtime = more.get("runtime", True)
        self.needs = []

    @property
    def purl(self):
        """Package URL: https://github.com/package-url/purl-spec"""
        return f"pkg:{self.kind}/{self.name.replace('@', '%40')}@{self.version.replace('+', '%2B')}"

    def __str__(self):
        return f"{self.name} {self.version}"


def spdx(licence):
    """The expression as SPDX writes it: older crates write a slash for OR."""
    return re.sub(r"\s*/\s*", " OR ", licence or "")


def run(*words):
    """The output of a command in the project's folder; ends the program where it fails."""
    try:
        done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        sys.exit(f"{words[0]} is missing")
    if done.returncode:
        sys.exit(f"{' '.join(words)}: exit status {done.returncode}")
    return done.stdout


def host():
    """The target this machine builds for."""
    return re.search(r"^host: (.*)$", run("rustc", "-vV"), re.MULTILINE)[1]


def crates(target):
    """The project's own package and every crate that its default features need for the target. Build scripts' and tests' crates
    are no part of it; those of procedural macros are, and marked: what they write is."""
    tree = run("cargo", "tree", "--locked", "--edges", "normal", "--target", target, "--prefix", "none", "--format", "{p}")
    wanted = {tuple(line.split()[:2]) for line in tree.splitlines() if line.strip()}
    meta = json.loads(run("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    sums = checksums()
    found, own = {}, None
    for package in meta["packages"]:
        key = (package["name"], "v" + package["version"])
        if key not in wanted:
            continue
        sha256 = sums.get((package["name"], package["version"]))
        made = Package("cargo", package["name"], package["version"], package["license"],
                       os.path.dirname(package["manifest_path"]), source=package["repository"], authors=package["authors"],
                       hashes={"SHA-256": sha256} if sha256 else {}, licence_file=package["license_file"],
                       runtime=not any("proc-macro" in part["kind"] for part in package["targets"]))
        found[package["id"]] = made
        if package["id"] in meta["workspace_members"]:
            own = made
    missing = len(wanted) - len(found)
    if missing or not own:
        sys.exit(f"cargo tree and cargo metadata disagree about {missing} packages")
    for node in meta["resolve"]["nodes"]:
        if node["id"] in found:
            normal = [dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
            found[node["id"]].needs = [found[dep] for dep in normal if dep in found]
    at_build_time(own)
    others = [package for package in found.values() if package is not own]
    return own, sorted(others, key=lambda package: (package.name, package.version))


def at_build_time(own):
    """Marks what only procedural macros need."""
    reached, todo = set(), [own]
    while todo:
        package = todo.pop()
        if package not in reached and package.runtime:
            reached.add(package)
            todo += package.needs
    todo = [own]
    seen = set()
    while todo:
        package = todo.pop()
        if package not in seen:
            seen.add(package)
            package.runtime = package in reached
            todo += package.needs


def checksums():
    """SHA-256 of each crate's archive, from Cargo.lock."""
    with open(os.path.join(ROOT, "Cargo.lock")) as file:
        blocks = file.read().split("[[package]]")
    found = {}
    for block in blocks:
        values = dict(re.findall(r'^(name|version|checksum) = "(.*)"$', block, re.MULTILINE))
        if "checksum" in values:
            found[values["name"], values["version"]] = values["checksum"]
    return found


def page():
    """The npm packages bundled into the page; none without web/package-lock.json."""
    lock = os.path.join(WEB, "package-lock.json")
    if not os.path.exists(lock):
        return []
    with open(lock) as file:
        packages = json.load(file)["packages"]
    own = packages[""]
    todo = [name for kind in ("dependencies", "devDependencies") for name in own.get(kind, {}) if name not in TOOLS]
    found = {}
    while todo:
        name = todo.pop()
        path = f"node_modules/{name}"
        if path in found:
            continue
        entry = packages.get(path) or sys.exit(f"web/package-lock.json has no {path}")
        found[path] = Package("npm", name, entry["version"], entry.get("license"), os.path.join(WEB, path),
                              hashes=integrity(entry.get("integrity", "")))
        todo += [*entry.get("dependencies", {})]
    for path, package in found.items():
        package.needs = [found[f"node_modules/{name}"] for name in packages[path].get("dependencies", {})]
    return [found[path] for path in sorted(found)]


def integrity(text):
    """npm's integrity (base64 of a digest) as SPDX and CycloneDX write hashes."""
    import base64
    algorithm, _, digest = text.partition("-")
    names = {"sha512": "SHA-512", "sha256": "SHA-256", "sha1": "SHA-1"}
    return {names[algorithm]: base64.b64decode(digest).hex()} if algorithm in names else {}


def library(target):
    """What rustc links into every program: its standard library, and for static targets musl."""
    version = re.search(r"^release: (.*)$", run("rustc", "-vV"), re.MULTILINE)[1]
    found = [Package("generic", "rust-std", version, "MIT OR Apache-2.0", None, source="https://github.com/rust-lang/rust",
                     authors=["The Rust Project contributors"])]
    if target.endswith(("musl", "musleabi", "musleabihf")):
        found.append(Package("generic", "musl", "1.2", "MIT", None, source="https://musl.libc.org/",
                             authors=["2005-2020 Rich Felker, et al."]))
    return found


def arguments(what):
    """OUT and --target TRIPLE."""
    import argparse
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("out", metavar="OUT", help="the file to write")
    parser.add_argument("--target", metavar="TRIPLE", help="what the binary is built for (default: this machine)")
    asked = parser.parse_args()
    return asked.out, asked.target or host()
