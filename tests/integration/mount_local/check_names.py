"""Names, links, permissions, times and attributes, as POSIX has them."""
import errno
import os
import random
import stat
import subprocess
import threading
import time

from mounted import expect, run

RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2


def fails(code, call, *arguments, **keywords):
    try:
        call(*arguments, **keywords)
    except OSError as error:
        expect(error.errno == code, f"{call.__name__}{arguments}: {errno.errorcode[error.errno]} instead of {errno.errorcode[code]}")
        return
    expect(False, f"{call.__name__}{arguments} succeeded instead of {errno.errorcode[code]}")


def touch(path, content=b""):
    with open(path, "wb") as file:
        file.write(content)


def renameat2(old, new, flags):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def errors(mounted):
    os.chdir(mounted.path)
    try:
        touch("f")
        os.mkdir("d")
        os.mkdir("d/sub")
        fails(errno.ENOENT, os.stat, "missing")
        fails(errno.ENOTDIR, os.stat, "f/x")
        fails(errno.EEXIST, os.mkdir, "d")
        fails(errno.EEXIST, os.open, "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        fails(errno.EISDIR, os.open, "d", os.O_WRONLY)
        fails(errno.EISDIR, os.unlink, "d")
        fails(errno.ENOTDIR, os.rmdir, "f")
        fails(errno.ENOTEMPTY, os.rmdir, "d")
        fails(errno.ENAMETOOLONG, touch, "n" * 256)
        touch("n" * 255)
        fails(errno.EINVAL, os.rename, "d", "d/sub/in")
        fails(errno.EISDIR, os.rename, "f", "d")
        fails(errno.ENOTDIR, os.rename, "d", "f")
        fails(errno.EPERM, os.link, "d", "d2")
        os.symlink("loop2", "loop1")
        os.symlink("loop1", "loop2")
        fails(errno.ELOOP, os.stat, "loop1")
        fails(errno.ENXIO, os.open, mkfifo("fifo"), os.O_WRONLY | os.O_NONBLOCK)
        fails(errno.ENODATA, os.getxattr, "f", "user.none")
        fails(errno.EEXIST, set_twice, "f")
    finally:
        os.chdir("/")


def mkfifo(path):
    os.mkfifo(path)
    return path


def set_twice(path):
    os.setxattr(path, "user.twice", b"1", os.XATTR_CREATE)
    os.setxattr(path, "user.twice", b"2", os.XATTR_CREATE)


def links_and_renames(mounted):
    os.chdir(mounted.path)
    try:
        touch("a", b"content")
        os.link("a", "b")
        expect(os.stat("a").st_nlink == 2 and os.stat("a").st_ino == os.stat("b").st_ino, "a hard link")
        before = os.stat("a").st_ctime_ns
        time.sleep(0.01)
        os.unlink("a")
        expect(os.stat("b").st_nlink == 1 and os.stat("b").st_ctime_ns > before, "links and ctime after unlink")
        os.mkdir("d1")
        os.mkdir("d2")
        expect(os.stat(".").st_nlink == 4, "links of a directory")
        os.mkdir("d1/in")
        os.rename("d1/in", "d2/in")
        expect(os.stat("d1").st_nlink == 2 and os.stat("d2").st_nlink == 3, "links after a directory moved")
        expect(os.stat("d2/in/..").st_ino == os.stat("d2").st_ino, "..")
        touch("x", b"x")
        touch("y", b"y")
        fails(errno.EEXIST, renameat2, "x", "y", RENAME_NOREPLACE)
        renameat2("x", "y", RENAME_EXCHANGE)
        expect(open("x").read() == "y" and open("y").read() == "x", "an exchange")
        opened = os.open("y", os.O_RDONLY)
        os.rename("x", "y")
        expect(os.read(opened, 1) == b"x" and os.fstat(opened).st_nlink == 0, "a replaced file that is open")
        os.close(opened)
        os.rmdir("d1")
        fails(errno.ENOENT, os.stat, "d1")
        for length in (1, 59, 60, 3000, 3500):
            os.symlink("t" * length, f"s{length}")
            expect(os.readlink(f"s{length}") == "t" * length and os.lstat(f"s{length}").st_size == length, f"symlink of {length}")
        os.mknod("device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        expect(os.stat("device").st_rdev == os.makedev(1, 3), "a device node")
    finally:
        os.chdir("/")
    mounted.remount_checked()
    expect(os.readlink(f"{mounted.path}/s3500") == "t" * 3500, "a long symlink after a remount")


def times_and_modes(mounted):
    path = f"{mounted.path}/f"
    touch(path)
    os.utime(path, ns=(1_000_000_001, 2_000_000_003))
    status = os.stat(path)
    expect((status.st_atime_ns, status.st_mtime_ns) == (1_000_000_001, 2_000_000_003), "nanoseconds")
    os.utime(path, ns=(-5_000_000_001, 2 ** 33 * 10 ** 9))
    expect(os.stat(path).st_atime_ns == -5_000_000_001 and os.stat(path).st_mtime_ns == 2 ** 33 * 10 ** 9, "before 1970, after 2106")
    os.utime(path, ns=(0, 253_402_300_799 * 10 ** 9))
    expect(2 ** 33 * 10 ** 9 < os.stat(path).st_mtime_ns <= 2 ** 63, "the year 9999 is the last that there is")
    os.chmod(path, 0o6755)
    os.chown(path, 1000, 1000)
    expect(stat.S_IMODE(os.stat(path).st_mode) == 0o755, "chown leaves set-id bits")
    os.chmod(path, 0o6755)
    write_as_user = "import os\nos.setgid(1000);os.setuid(1000)\nf=os.open(%r,os.O_WRONLY)\nos.write(f,b'x')" % path
    run("chmod", "755", os.path.dirname(mounted.path))
    run("python3", "-c", write_as_user)
    expect(stat.S_IMODE(os.stat(path).st_mode) == 0o755, "a write by a user leaves set-id bits")
    folder = f"{mounted.path}/setgid"
    os.mkdir(folder)
    os.chown(folder, 0, 1234)
    os.chmod(folder, 0o2775)
    os.mkdir(f"{folder}/sub")
    expect(os.stat(f"{folder}/sub").st_gid == 1234 and os.stat(f"{folder}/sub").st_mode & stat.S_ISGID, "setgid of directories")
    old = os.umask(0o027)
    touch(f"{mounted.path}/masked")
    os.umask(old)
    expect(stat.S_IMODE(os.stat(f"{mounted.path}/masked").st_mode) == 0o640, "umask")
    before = os.stat(mounted.path).st_mtime_ns
    time.sleep(0.01)
    touch(f"{mounted.path}/new")
    expect(os.stat(mounted.path).st_mtime_ns > before, "mtime of a directory")
    mtime = os.stat(path).st_mtime_ns
    time.sleep(0.01)
    with open(path, "ab") as file:
        file.write(b"more")
    expect(os.stat(path).st_mtime_ns != mtime and os.stat(path).st_size == 5, "mtime and size after a write")


def permissions(mounted):
    run("chmod", "755", os.path.dirname(mounted.path))
    os.chmod(mounted.path, 0o755)
    secret = f"{mounted.path}/secret"
    touch(secret, b"s")
    os.chmod(secret, 0o600)
    sticky = f"{mounted.path}/sticky"
    os.mkdir(sticky)
    os.chmod(sticky, 0o1777)
    touch(f"{sticky}/root")
    code = ("import os\nos.setgid(1000);os.setuid(1000)\nfor call in (lambda: open(%r), lambda: open(%r,'w'),"
            "lambda: os.unlink(%r), lambda: os.chmod(%r,0o777)):\n try:\n  call()\n  print('allowed')\n"
            " except PermissionError: pass\nopen(%r,'w').close()\nos.unlink(%r)\n") % (
                secret, f"{mounted.path}/new", f"{sticky}/root", secret, f"{sticky}/own", f"{sticky}/own")
    expect(run("python3", "-c", code) == "", "a user may do too much")


def extended_attributes(mounted):
    path = f"{mounted.path}/f"
    touch(path)
    model, dice = {}, random.Random(3)
    for step in range(200):
        name = f"user.name{dice.randrange(12)}"
        if dice.random() < 0.7:
            value = dice.randbytes(dice.choice([0, 1, 50, 200]))
            try:
                os.setxattr(path, name, value)
                model[name] = value
            except OSError as error:
                expect(error.errno == errno.ENOSPC, f"{error}")
        elif name in model:
            os.removexattr(path, name)
            del model[name]
        expect({n: os.getxattr(path, n) for n in os.listxattr(path)} == model, f"step {step}")
    os.setxattr(path, "trusted.big", b"b" * 3000)
    os.setxattr(path, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    mounted.remount_checked()
    expect(os.getxattr(path, "trusted.big") == b"b" * 3000, "after a remount")
    expect({n: os.getxattr(path, n) for n in os.listxattr(path) if n.startswith("user.")} == model, "after a remount")


def access_control_lists(mounted):
    folder = f"{mounted.path}/acl"
    os.mkdir(folder)
    run("setfacl", "-m", "u:1000:rwx,d:u:1000:rwx,d:g::r-x,d:o::---", folder)
    touch(f"{folder}/inherits")
    listing = run("getfacl", "-n", "-p", f"{folder}/inherits")
    expect("user:1000:rwx" in listing and "other::---" in listing, listing)
    run("chmod", "755", os.path.dirname(mounted.path))
    os.chmod(mounted.path, 0o755)
    run("python3", "-c", f"import os\nos.setgid(1000);os.setuid(1000)\nopen('{folder}/inherits','r+').close()")
    os.chmod(f"{folder}/inherits", 0o400)
    expect("mask::---" in run("getfacl", "-n", "-p", f"{folder}/inherits"), "chmod changes the mask")


def storm(mounted):
    """Several processes create, rename, link and unlink in the same few directories."""
    def work(seed):
        dice = random.Random(seed)
        for _ in range(1500):
            a, b = (f"{mounted.path}/s{dice.randrange(3)}/n{dice.randrange(20)}" for _ in range(2))
            try:
                kind = dice.randrange(6)
                if kind == 0:
                    os.close(os.open(a, os.O_CREAT | os.O_WRONLY))
                elif kind == 1:
                    os.unlink(a)
                elif kind == 2:
                    os.rename(a, b)
                elif kind == 3:
                    os.link(a, b)
                elif kind == 4:
                    os.mkdir(a)
                else:
                    os.rmdir(a)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EPERM, errno.ENOTEMPTY,
                                       errno.EINVAL):
                    problems.append(error)
    problems = []
    for i in range(3):
        os.mkdir(f"{mounted.path}/s{i}")
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(not problems, f"{problems[:5]}")
    for base, folders, files in os.walk(mounted.path):
        for name in folders + files:
            os.lstat(os.path.join(base, name))


def removed_working_directory(mounted):
    code = ("import os,sys\nos.mkdir(sys.argv[1])\nos.chdir(sys.argv[1])\nos.rmdir(sys.argv[1])\n"
            "try:\n open('x','w')\n print('made')\nexcept OSError as e: print(e.errno)\n")
    expect(run("python3", "-c", code, f"{mounted.path}/gone") in (f"{errno.ENOENT}\n", f"{errno.ESTALE}\n"), "a file in nowhere")


def programs_run(mounted):
    run("cp", "/bin/ls", f"{mounted.path}/ls")
    run(f"{mounted.path}/ls", "/")
    expect(subprocess.run(["cp", "/bin/true", f"{mounted.path}/ls"]).returncode == 0, "replacing a program")


CHECKS = [errors, links_and_renames, times_and_modes, permissions, extended_attributes, access_control_lists, storm,
          removed_working_directory, programs_run]
