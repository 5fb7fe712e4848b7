"""What a numbered file holds: known to writer and reader without a word between them."""
import os
import random


def name_of(directory, number):
    return os.path.join(directory, f'file-{number:05d}')


def content_of(number, version):
    chooser = random.Random(number * 1000 + version)
    size = chooser.choice([0, 17, 1000, 4095, 4096, 4097, 20000])
    return f'{number} {version} '.encode() + chooser.randbytes(size)
