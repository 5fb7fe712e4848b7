"""The same random system calls in two directories, one of them on the filesystem under test: every outcome must be
the same, and so must be the two trees in the end."""
import ctypes
import errno
import hashlib
import os
import random
import stat

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
RENAME_FLAGS = (1, 2)  # NOREPLACE, EXCHANGE
FALLOCATE_MODES = (0, 1, 3)  # none, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE
NAMES = [str(i) for i in range(8)] + ['long-name-' + 'x' * 60 + str(i) for i in range(4)]
MOST_OPEN = 20


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def rename2(old, new, flags):
    checked(LIBC.renameat2(AT_FDCWD, old.encode(), AT_FDCWD, new.encode(), flags))


def fallocate(descriptor, mode, offset, length):
    checked(LIBC.fallocate(descriptor, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def shown(status):
    """What of a stat must be the same everywhere (sizes of directories need not)."""
    size = None if stat.S_ISDIR(status.st_mode) else status.st_size
    return status.st_mode, status.st_nlink, status.st_uid, status.st_gid, size, status.st_rdev


def tree(root):
    found = {}
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            content = None
            if stat.S_ISREG(status.st_mode):
                with open(path, 'rb') as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            found[os.path.relpath(path, root)] = (shown(status), content)
    return found


class Different(Exception):
    """The two directories gave different answers."""


class SameCalls:
    def __init__(self, roots, seed):
        self.roots = roots
        self.random = random.Random(seed)
        self.open_files = []
        self.succeeded = 0

    def outcome(self, call, which):
        try:
            return 'ok', call(which)
        except OSError as error:
            return 'error', errno.errorcode.get(error.errno, error.errno)

    def both(self, what, call):
        first, second = (self.outcome(call, which) for which in (0, 1))
        if first != second:
            raise Different(f'{what}: {str(first)[:200]} and {str(second)[:200]}')
        self.succeeded += first[0] == 'ok'

    def with_path(self, what, call):
        path = self.path()
        self.both((what, path), lambda which: call(f'{self.roots[which]}/{path}'))

    def with_paths(self, what, call):
        one, two = self.path(), self.path()
        self.both((what, one, two), lambda which: call(f'{self.roots[which]}/{one}', f'{self.roots[which]}/{two}'))

    def with_file(self, what, call):
        if self.open_files:
            descriptors = self.random.choice(self.open_files)
            self.both(what, lambda which: call(descriptors[which]))

    def path(self):
        return '/'.join(self.random.choice(NAMES) for _ in range(self.random.choice((1, 1, 2, 2, 3))))

    def place(self):
        pick = self.random
        offset = pick.choice((pick.randrange(4000), pick.randrange(200000), pick.randrange(8) * 4096,
                              pick.randrange(3000000)))
        length = pick.choice((1, pick.randrange(1, 4000), pick.randrange(1, 100000), 4096 * pick.randrange(1, 20)))
        return offset, length

    # ---- one method per call; its name says which ----
    def create(self):
        flags = os.O_CREAT | os.O_RDWR | os.O_NONBLOCK | self.random.choice((0, os.O_EXCL, os.O_TRUNC))
        mode = self.random.choice((0o644, 0o600, 0o755))
        self.with_path(('create', flags), lambda path: os.close(os.open(path, flags, mode)))

    def mkdir(self):
        self.with_path('mkdir', os.mkdir)

    def symlink(self):
        self.with_path('symlink', lambda path: os.symlink('somewhere/else', path))

    def mknod(self):
        mode = self.random.choice((stat.S_IFIFO, stat.S_IFSOCK)) | 0o600
        self.with_path('mknod', lambda path: os.mknod(path, mode))

    def link(self):
        self.with_paths('link', lambda old, new: os.link(old, new, follow_symlinks=False))

    def unlink(self):
        self.with_path('unlink', os.unlink)

    def rmdir(self):
        self.with_path('rmdir', os.rmdir)

    def rename(self):
        self.with_paths('rename', os.rename)

    def renameat2(self):
        flags = self.random.choice(RENAME_FLAGS)
        self.with_paths(('renameat2', flags), lambda old, new: rename2(old, new, flags))

    def lstat(self):
        self.with_path('lstat', lambda path: shown(os.lstat(path)))

    def listdir(self):
        self.with_path('listdir', lambda path: sorted(os.listdir(path)))

    def open(self):
        flags = os.O_NONBLOCK | self.random.choice((os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND, os.O_WRONLY,
                                                    os.O_RDWR | os.O_TRUNC))
        path, opened = self.path(), {}

        def call(which):
            where = f'{self.roots[which]}/{path}'
            mode = os.stat(where).st_mode
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                opened[which] = os.open(where, flags)
        self.both(('open', path, flags), call)
        if len(opened) == 2:
            self.open_files.append((opened[0], opened[1]))
        if len(self.open_files) > MOST_OPEN:
            self.close()

    def close(self):
        if self.open_files:
            for descriptor in self.open_files.pop(self.random.randrange(len(self.open_files))):
                os.close(descriptor)

    def pwrite(self):
        offset, length = self.place()
        data = bytes((self.random.randrange(1, 256),)) * length
        self.with_file(('pwrite', offset, length), lambda file: os.pwrite(file, data, offset))

    def write(self):
        offset, length = self.place()
        data = bytes((self.random.randrange(1, 256),)) * length
        self.with_file(('write', offset, length), lambda file: (os.lseek(file, offset, 0), os.write(file, data)))

    def pread(self):
        offset, length = self.place()
        self.with_file(('pread', offset, length), lambda file: os.pread(file, length, offset))

    def ftruncate(self):
        size, _ = self.place()
        self.with_file(('ftruncate', size), lambda file: os.ftruncate(file, size))

    def truncate(self):
        size, _ = self.place()
        self.with_path(('truncate', size), lambda path: os.truncate(path, size))

    def fallocate(self):
        mode = self.random.choice(FALLOCATE_MODES)
        offset, length = self.place()
        self.with_file(('fallocate', mode, offset, length), lambda file: fallocate(file, mode, offset, length))

    def fstat(self):
        self.with_file('fstat', lambda file: shown(os.fstat(file)))

    def fsync(self):
        self.with_file('fsync', os.fsync)

    def chmod(self):
        mode = self.random.choice((0o644, 0o600, 0o4755, 0o2755, 0o1777))
        self.with_path(('chmod', mode), lambda path: os.chmod(path, mode))

    def utime(self):
        when = self.random.randrange(2**60)
        self.with_path('utime', lambda path: (os.utime(path, ns=(when, when + 5), follow_symlinks=False),
                                              os.lstat(path).st_mtime_ns))

    def setxattr(self):
        name, value = f'user.{self.random.randrange(5)}', b'v' * self.random.choice((0, 10, 200))
        flags = self.random.choice((0, 0, os.XATTR_CREATE, os.XATTR_REPLACE))
        self.with_path(('setxattr', name, flags),
                       lambda path: os.setxattr(path, name, value, flags, follow_symlinks=False))

    def getxattr(self):
        name = f'user.{self.random.randrange(5)}'
        self.with_path(('getxattr', name), lambda path: os.getxattr(path, name, follow_symlinks=False))

    def listxattr(self):
        self.with_path('listxattr', lambda path: sorted(
            name for name in os.listxattr(path, follow_symlinks=False) if name.startswith('user.')))

    def removexattr(self):
        name = f'user.{self.random.randrange(5)}'
        self.with_path(('removexattr', name), lambda path: os.removexattr(path, name, follow_symlinks=False))

    def run(self, steps):
        calls = [self.create, self.create, self.mkdir, self.mkdir, self.symlink, self.mknod, self.link, self.unlink,
                 self.rmdir, self.rename, self.rename, self.renameat2, self.lstat, self.listdir, self.open, self.open,
                 self.close, self.pwrite, self.pwrite, self.write, self.pread, self.ftruncate, self.truncate,
                 self.fallocate, self.fallocate, self.fstat, self.fsync, self.chmod, self.utime, self.setxattr,
                 self.getxattr, self.listxattr, self.removexattr]
        try:
            for step in range(steps):
                try:
                    self.random.choice(calls)()
                except Different as difference:
                    raise Different(f'step {step}: {difference}') from None
        finally:
            while self.open_files:
                self.close()
        first, second = (tree(root) for root in self.roots)
        for path in sorted(set(first) | set(second)):
            if first.get(path) != second.get(path):
                raise Different(f'in the end {path}: {first.get(path)} and {second.get(path)}')
        return self.succeeded
