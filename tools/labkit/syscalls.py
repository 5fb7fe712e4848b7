"""The few system calls that Python 3.11 does not offer."""
import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_NOSUID = 2
MS_NODEV = 4
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags):
    _check(_libc.unshare(flags), "unshare")


def mount(source, target, kind="none", flags=0, data=""):
    arguments = [ctypes.c_char_p(os.fsencode(text)) for text in (source, target, kind)]
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), ctypes.c_char_p(os.fsencode(data))), f"mount {target}")


def bind(source, target, with_submounts=True):
    mount(source, target, flags=MS_BIND | (MS_REC if with_submounts else 0))


def tmpfs(target, mode="0755"):
    mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, f"mode={mode}")


def make_mounts_private():
    mount("none", "/", flags=MS_REC | MS_PRIVATE)


def fresh_proc():
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV)


def die_with_parent(signal_number):
    _check(_libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0), "prctl")


def run_as_init(work, ends_with_work):
    """The life of process 1: starts work() in a child and reaps whatever is left to it. With ends_with_work the
    namespace, and so everything in it, ends when the child does."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # the log is all that is left to tell of it
            import traceback
            traceback.print_exc()
        os._exit(status)
    while True:
        try:
            pid, _ = os.wait()
        except ChildProcessError:
            import signal
            signal.pause()
            continue
        if pid == child and ends_with_work:
            os._exit(0)
