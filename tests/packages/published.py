"""published.py: apt takes the package from a repository that packaging/repository has made, by its key and by no other."""
import os, shutil, subprocess, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
# This source alone: the others are on the network, which is not there.
ALONE = ["-o", "Dir::Etc::sourcelist=/etc/apt/sources.list.d/wsbridge.sources", "-o", "Dir::Etc::sourceparts=-"]


def secret_key(folder, name):
    """A key of its own, as a file."""
    home = os.path.join(folder, name)
    os.mkdir(home, 0o700)
    gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
    subprocess.run([*gpg, "--quick-generate-key", f"{name} <{name}@wsbridge.example>", "ed25519", "sign", "never"], check=True)
    file = os.path.join(folder, f"{name}.key")
    subprocess.run([*gpg, "--armor", "--output", file, "--export-secret-keys"], check=True)
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=True)
    return file


def publish(place, key, deb):
    line = [os.path.join(ROOT, "packaging/repository"), "--gpg-key", key, "--url", "file:///srv/repository", place, deb]
    subprocess.run(line, check=True)


def check(root):
    """In a root file system as installed.py has it."""
    place = root.path("/srv/repository")
    update = lambda: subprocess.run(["chroot", root.root, "apt-get", "update", *ALONE], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True)
    with tempfile.TemporaryDirectory() as folder:
        own, other = secret_key(folder, "own"), secret_key(folder, "other")
        publish(place, own, root.path(f"/tmp/{root.deb}"))
        os.makedirs(root.path("/etc/apt/keyrings"), exist_ok=True)
        # What wsbridge.sources says to type, without curl.
        shutil.copy(f"{place}/deb/wsbridge.asc", root.path("/etc/apt/keyrings/wsbridge.asc"))
        shutil.copy(f"{place}/deb/wsbridge.sources", root.path("/etc/apt/sources.list.d/wsbridge.sources"))
        done = update()
        assert done.returncode == 0 and "W:" not in done.stdout, done.stdout
        assert "file:/srv/repository/deb stable/main" in root.run("apt-cache", "policy", *ALONE, "wsbridge")
        root.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", *ALONE, "wsbridge")
        version = root.run("dpkg-query", "-f", "${Version}", "-W", "wsbridge")
        root.run("dpkg", "--purge", "wsbridge")

        # Somebody else's signature.
        publish(f"{place}-2", other, root.path(f"/tmp/{root.deb}"))
        shutil.copytree(f"{place}-2/deb/dists", f"{place}/deb/dists", dirs_exist_ok=True)
        shutil.rmtree(root.path("/var/lib/apt/lists"))
        done = update()
        assert done.returncode != 0 and "NO_PUBKEY" in done.stdout, done.stdout
        # Its own, over an index that was changed afterwards.
        publish(place, own, root.path(f"/tmp/{root.deb}"))
        for packed in ("Packages", "Packages.gz"):
            with open(f"{place}/deb/dists/stable/main/binary-{root.arch}/{packed}", "ab") as file:
                file.write(b"\n")
        done = update()
        assert done.returncode != 0 and ("Hash Sum mismatch" in done.stdout or "unexpected size" in done.stdout), done.stdout
    return version
