"""flock and fcntl locks between processes of one node."""
import fcntl
import select
import signal
import subprocess
import time

from mounted import expect, run


def child(code, *arguments):
    return subprocess.Popen(["python3", "-c", "import fcntl,os,sys,time,errno\n" + code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True)


def exclusion(mounted):
    path = f"{mounted.path}/locked"
    open(path, "w").close()
    for lock in ("fcntl.flock(f, {})", "fcntl.lockf(f, {})"):
        # It holds the lock until it is told, however long the others take to start.
        holder = child("f=open(sys.argv[1],'r+')\n" + lock.format("fcntl.LOCK_EX") + "\nprint('held',flush=True)\nsys.stdin.readline()\n",
                       path)
        expect(holder.stdout.readline() == "held\n", "no lock")
        try_lock = "f=open(sys.argv[1],'r+')\ntry:\n " + lock.format("fcntl.LOCK_EX|fcntl.LOCK_NB") + \
            "\n print('got')\nexcept OSError as e: print(errno.errorcode[e.errno])\n"
        expect(run("python3", "-c", "import fcntl,sys,errno\n" + try_lock, path) == "EAGAIN\n", "a held lock was given away")
        waiter = child("f=open(sys.argv[1],'r+')\nprint('waits',flush=True)\n" + lock.format("fcntl.LOCK_EX") + "\nprint('got',flush=True)\n",
                       path)
        expect(waiter.stdout.readline() == "waits\n", "no waiter")
        expect(not select.select([waiter.stdout], [], [], 0.5)[0], "a waiting lock did not wait")
        holder.communicate("\n", timeout=300)
        expect(waiter.communicate(timeout=300)[0] == "got\n", "a lock that was let go did not reach who waited")


def ranges(mounted):
    path = f"{mounted.path}/ranges"
    with open(path, "w") as file:
        file.write("x" * 100)
    with open(path, "r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 10, 0)
        other = "f=open(sys.argv[1],'r+')\nfcntl.lockf(f,fcntl.LOCK_EX|fcntl.LOCK_NB,10,{})\n"
        run("python3", "-c", "import fcntl,sys\n" + other.format(10), path)
        refused = subprocess.run(["python3", "-c", "import fcntl,sys\n" + other.format(5), path], capture_output=True)
        expect(refused.returncode != 0, "overlapping ranges were both locked")
        fcntl.lockf(file, fcntl.LOCK_UN, 5, 5)
        run("python3", "-c", "import fcntl,sys\n" + other.format(5).replace(",10,", ",5,"), path)


def counter(mounted):
    """Many processes raise a number under a lock: none is lost."""
    path = f"{mounted.path}/counter"
    with open(path, "w") as file:
        file.write("0")
    code = ("for i in range(50):\n f=open(sys.argv[1],'r+')\n fcntl.lockf(f,fcntl.LOCK_EX)\n n=int(f.read())\n f.seek(0)\n"
            " f.write(str(n+1))\n f.flush()\n f.close()\n")
    workers = [child(code, path) for _ in range(4)]
    for worker in workers:
        worker.wait()
    with open(path) as file:
        expect(file.read() == "200", "an update was lost")


def interrupted(mounted):
    path = f"{mounted.path}/interrupted"
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiter = child("f=open(sys.argv[1])\nprint('waits',flush=True)\nfcntl.flock(f,fcntl.LOCK_EX)\n", path)
        waiter.stdout.readline()
        time.sleep(0.2)
        waiter.send_signal(signal.SIGINT)
        expect(waiter.wait(timeout=300) != 0, "an interrupted lock was granted")
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def released_by_death(mounted):
    path = f"{mounted.path}/death"
    open(path, "w").close()
    holder = child("f=open(sys.argv[1],'r+')\nfcntl.lockf(f,fcntl.LOCK_EX)\nfcntl.flock(f,fcntl.LOCK_EX)\n"
                   "print('held',flush=True)\ntime.sleep(60)\n", path)
    holder.stdout.readline()
    holder.kill()
    holder.wait()
    with open(path, "r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def deadlock(mounted):
    paths = [f"{mounted.path}/dead{i}" for i in range(2)]
    for path in paths:
        open(path, "w").close()
    code = ("a=open(sys.argv[1],'r+');b=open(sys.argv[2],'r+')\nfcntl.lockf(a,fcntl.LOCK_EX)\nprint('first',flush=True)\n"
            "sys.stdin.readline()\n"
            "try:\n fcntl.lockf(b,fcntl.LOCK_EX)\n print('got')\nexcept OSError as e: print(errno.errorcode[e.errno])\n")
    both = [child(code, *paths), child(code, *reversed(paths))]
    for process in both:
        expect(process.stdout.readline() == "first\n", "no first lock")
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    ends = sorted(process.communicate(timeout=300)[0].strip() for process in both)
    expect(ends in (["EDEADLK", "got"], ["EDEADLOCK", "got"]), f"a deadlock was not seen: {ends}")


CHECKS = [exclusion, ranges, counter, interrupted, released_by_death, deadlock]
