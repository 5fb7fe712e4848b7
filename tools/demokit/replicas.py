"""Compares two backing disks."""

CHUNK = 4 * 1024 * 1024


def differing_byte(one, two, size):
    """The first of `size` bytes at which two files differ; None if they do not."""
    with open(one, 'rb') as first, open(two, 'rb') as second:
        for offset in range(0, size, CHUNK):
            length = min(CHUNK, size - offset)
            left, right = first.read(length), second.read(length)
            if left != right:
                return offset + next((i for i, (x, y) in enumerate(zip(left, right)) if x != y), min(len(left), len(right)))
    return None
