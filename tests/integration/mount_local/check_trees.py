"""Whole trees, as people copy, clone and compare them."""
import os
import subprocess

from mounted import expect, run


def fingerprint(folder):
    """Everything that a reader can see of a tree, without access times."""
    lines = []
    for base, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(base, name)
            status = os.lstat(path)
            extra = os.readlink(path) if os.path.islink(path) else ""
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    extra = hash(file.read())
            lines.append((os.path.relpath(path, folder), status.st_mode, status.st_nlink, status.st_uid, status.st_size
                          if not os.path.isdir(path) else 0, status.st_mtime_ns, extra))
    return sorted(lines)


def copy_a_tree(mounted):
    source, copy = "/usr/include/c++", f"{mounted.path}/tree"
    run("cp", "-a", source, copy)
    expect(fingerprint(source) == fingerprint(copy), "the copy differs")
    before = fingerprint(copy)
    mounted.remount_checked()
    expect(before == fingerprint(copy), "the copy differs after a remount")
    run("rm", "-rf", copy)
    expect(not os.path.exists(copy), "rm -rf left something")


def git_repository(mounted):
    origin, clone = f"{mounted.path}/origin", f"{mounted.path}/clone"
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    run("git", "init", "-q", origin)
    for i in range(30):
        with open(f"{origin}/file{i}", "w") as file:
            file.write("x\n" * i * 100)
    run("git", "add", ".", cwd=origin)
    run("git", *identity, "commit", "-q", "-m", "one", cwd=origin)
    run("git", "clone", "-q", origin, clone)
    run("git", "gc", "-q", cwd=clone)
    run("git", "fsck", "--strict", cwd=clone)
    expect(run("git", "status", "--short", cwd=clone) == "", "a fresh clone is not clean")


def big_directory(mounted):
    folder = f"{mounted.path}/many"
    os.mkdir(folder)
    names = {f"file with a longer name {i}" for i in range(5000)}
    for name in names:
        os.close(os.open(f"{folder}/{name}", os.O_CREAT | os.O_WRONLY, 0o644))
    expect(set(os.listdir(folder)) == names, "listing differs")
    # Deleting while listing: what is left is listed exactly once.
    seen = []
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            seen.append(entry.name)
            if number % 2 == 0:
                os.unlink(entry.path)
    expect(sorted(seen) == sorted(names), "listing while deleting lost or repeated names")
    expect(len(os.listdir(folder)) == 2500, "half should be left")
    run("rm", "-r", folder)


def tar_round_trip(mounted):
    archive = f"{mounted.path}/archive.tar"
    run("tar", "-C", "/usr/share", "-cf", archive, "zoneinfo")
    os.mkdir(f"{mounted.path}/out")
    run("tar", "-C", f"{mounted.path}/out", "-xf", archive)
    compared = subprocess.run(["diff", "-r", "--no-dereference", "/usr/share/zoneinfo", f"{mounted.path}/out/zoneinfo"],
                              capture_output=True)
    expect(compared.returncode == 0, compared.stdout.decode()[:1000])


CHECKS = [copy_a_tree, git_repository, big_directory, tar_round_trip]
