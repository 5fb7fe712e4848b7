"""A node's disk as a block device that can be made to fail: a loop device over its disk.img."""
import errno
import fcntl
import os
import struct
import time

CONFIGURE, SET_STATUS64, GET_STATUS64, GET_FREE = 0x4C0A, 0x4C04, 0x4C05, 0x4C82
AUTOCLEAR, DIRECT_IO = 4, 16
_STATUS = "<QQQQQIIII64s64s32sQQ"     # struct loop_info64
_BROKEN_SIZE = 4096


def _status(size_limit):
    return struct.pack(_STATUS, 0, 0, 0, 0, size_limit, 0, 0, 0, AUTOCLEAR | DIRECT_IO, b"", b"", b"", 0, 0)


def make(image):
    """(path, descriptor) of a new loop device. It goes away with the last descriptor on it, also when its owner is killed."""
    backing = os.open(image, os.O_RDWR | os.O_DIRECT)
    control = os.open("/dev/loop-control", os.O_RDWR)
    try:
        while True:
            path = f"/dev/loop{fcntl.ioctl(control, GET_FREE)}"
            device = os.open(path, os.O_RDWR)
            try:
                fcntl.ioctl(device, CONFIGURE, struct.pack("<II", backing, 4096) + _status(0) + bytes(64))
                return path, device
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:
                    raise
                time.sleep(0.05)    # somebody else was faster
    finally:
        os.close(control)
        os.close(backing)


def fail(path, image, broken):
    """Broken: nearly every access is an error. What is stored stays. Raises ValueError if the device is not of that image."""
    device = os.open(path, os.O_RDWR)
    try:
        facts = bytearray(struct.calcsize(_STATUS))
        try:
            fcntl.ioctl(device, GET_STATUS64, facts)
        except OSError:
            raise ValueError(f"{path} is not in use") from None
        about = os.stat(image)
        if struct.unpack(_STATUS, facts)[:2] != (about.st_dev, about.st_ino):
            raise ValueError(f"{path} is not {image}")
        fcntl.ioctl(device, SET_STATUS64, _status(_BROKEN_SIZE if broken else 0))
    finally:
        os.close(device)
