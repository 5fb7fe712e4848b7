"""What is written is read, however it is written."""
import errno
import mmap
import os
import random

from mounted import expect, run


def model_of_writes(mounted, seed=1):
    """Random writes, truncations, holes and preallocations against a byte array."""
    dice = random.Random(seed)
    path = f"{mounted.path}/model{seed}"
    file = os.open(path, os.O_CREAT | os.O_RDWR)
    model = bytearray()
    for step in range(400):
        kind = dice.choice(["write"] * 6 + ["truncate", "punch", "allocate", "append", "reopen"])
        offset, length = dice.randrange(0, 200_000), dice.choice([1, 100, 4096, 5000, 30_000])
        if dice.random() < 0.3:
            offset = offset // 4096 * 4096
        if kind == "write":
            data = dice.randbytes(length)
            os.pwrite(file, data, offset)
            model.extend(bytes(max(0, offset + length - len(model))))
            model[offset:offset + length] = data
        elif kind == "append":
            data = dice.randbytes(length)
            with open(path, "ab", buffering=0) as other:
                other.write(data)
            model.extend(data)
        elif kind == "truncate":
            os.ftruncate(file, offset)
            del model[offset:]
            model.extend(bytes(offset - len(model)))
        elif kind == "punch":
            run("fallocate", "-p", "-o", str(offset), "-l", str(length), path)
            end = min(offset + length, len(model))
            if offset < end:
                model[offset:end] = bytes(end - offset)
        elif kind == "allocate":
            os.posix_fallocate(file, offset, length)
            model.extend(bytes(max(0, offset + length - len(model))))
        else:
            os.close(file)
            file = os.open(path, os.O_RDWR)
        if step % 20 == 0:
            compare(path, model, f"seed {seed} step {step} after {kind}")
    os.close(file)
    compare(path, model, f"seed {seed} at the end")
    mounted.remount_checked()
    compare(path, model, f"seed {seed} after a remount")


def compare(path, model, where):
    with open(path, "rb") as reader:
        content = reader.read()
    expect(len(content) == len(model), f"{where}: size {len(content)} instead of {len(model)}")
    if content != model:
        first = next(i for i in range(len(model)) if content[i] != model[i])
        expect(False, f"{where}: differs at {first}: {content[first:first+8]} instead of {bytes(model[first:first+8])}")


def more_models(mounted):
    for seed in range(2, 5):
        model_of_writes(mounted, seed)


def fio_verify(mounted):
    run("fio", "--name=sync", f"--filename={mounted.path}/fio1", "--size=32m", "--rw=randwrite", "--bs=4k", "--verify=crc32c",
        "--ioengine=psync", "--fsync=64")
    run("fio", "--name=deep", f"--filename={mounted.path}/fio2", "--size=32m", "--rw=randrw", "--bsrange=4k-128k",
        "--verify=crc32c", "--ioengine=libaio", "--iodepth=16", "--direct=1")
    run("fio", "--name=jobs", f"--directory={mounted.path}", "--size=8m", "--numjobs=4", "--rw=randwrite", "--bs=3000",
        "--verify=md5", "--ioengine=psync", "--group_reporting")


def databases(mounted):
    script = ("create table t(a integer primary key, b text);"
              "with recursive c(x) as (select 1 union all select x+1 from c where x<20000) "
              "insert into t select x, hex(randomblob(20)) from c; delete from t where a%3=0; vacuum;"
              "select count(*) from t; pragma integrity_check;")
    expect(run("sqlite3", f"{mounted.path}/plain.db", script).split() == ["13334", "ok"], "sqlite with a rollback journal")


def unlinked_but_open(mounted):
    path = f"{mounted.path}/unlinked"
    free = os.statvfs(mounted.path).f_bfree
    file = os.open(path, os.O_CREAT | os.O_RDWR)
    os.write(file, b"x" * 10_000_000)
    os.unlink(path)
    expect(os.fstat(file).st_nlink == 0, "still has a link")
    expect(os.pread(file, 3, 9_000_000) == b"xxx", "the content of an unlinked file")
    os.close(file)
    os.sync()
    expect(mounted.comes_true(lambda: abs(free - os.statvfs(mounted.path).f_bfree) < 64),
           f"space of an unlinked file: {free} free before, {os.statvfs(mounted.path).f_bfree} after")


def full_and_empty_again(mounted):
    path = f"{mounted.path}/filler"
    free = os.statvfs(mounted.path).f_bfree
    written = 0
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                written += file.write(b"f" * 1_000_003)
        except OSError as error:
            expect(error.errno == 28, f"instead of ENOSPC: {error}")
    expect(os.path.getsize(path) == written, "size after ENOSPC")
    expect(written > free * 4096 * 0.9, f"full after {written} of {free * 4096} bytes")
    os.unlink(path)
    with open(path, "wb", buffering=0) as file:
        for _ in range(20):
            expect(file.write(b"g" * 1_000_000) == 1_000_000, "write after the space was given back")
    os.unlink(path)
    mounted.remount_checked()
    expect(abs(os.statvfs(mounted.path).f_bfree - free) < 64, "space after all was deleted")


def cached_reader_sees_writes(mounted):
    """A reader with pages in the kernel, a writer past them."""
    path = f"{mounted.path}/pages"
    with open(path, "wb") as file:
        file.write(b"0" * 65536)
    reader = os.open(path, os.O_RDONLY)
    writer = os.open(path, os.O_WRONLY)
    for i in range(200):
        mark = bytes([i % 251]) * 8192
        os.pwrite(writer, mark, i * 100 % 50_000)
        expect(os.pread(reader, 8192, i * 100 % 50_000) == mark, f"round {i}: stale pages")
    os.close(reader)
    os.close(writer)


def memory_maps(mounted):
    """Private and read-only mappings work; a shared writable one is refused, because nothing would keep it coherent."""
    path = f"{mounted.path}/mapped"
    with open(path, "wb") as file:
        file.write(b"m" * 10_000)
    with open(path, "r+b") as file:
        private = mmap.mmap(file.fileno(), 10_000, flags=mmap.MAP_PRIVATE)
        private[0:5] = b"local"
        expect(os.pread(file.fileno(), 5, 0) == b"mmmmm" and private[5000:5002] == b"mm", "a private mapping")
        private.close()
        try:
            mmap.mmap(file.fileno(), 10_000)
            expect(False, "a shared writable mapping was allowed")
        except OSError as error:
            expect(error.errno == errno.ENODEV, f"{error}")
    with open(path, "rb") as file:
        shared = mmap.mmap(file.fileno(), 10_000, prot=mmap.PROT_READ)
        expect(shared[9_999:] == b"m", "a read-only mapping")
        with open(path, "r+b") as writer:
            writer.write(b"new")
        expect(shared[0:3] == b"new", "a read-only mapping sees what is written")
        shared.close()


CHECKS = [model_of_writes, more_models, fio_verify, databases, unlinked_but_open, cached_reader_sees_writes, memory_maps,
          full_and_empty_again]
