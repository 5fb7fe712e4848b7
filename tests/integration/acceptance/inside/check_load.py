#!/usr/bin/python3
"""Reads what load.py was promised (its output on our standard input, the node's name in front of each line) and looks
whether all of it is there. Prints what is missing; exit status 3 if anything is."""
import os
import sys

MISSING = 3


def whole_line(line, fragments):
    """(node, number) of a line; None if it is torn. A full disk may have left the announced beginnings of others before it."""
    words = line.split(b' ')
    by_a_node = words[0] in (b'a', b'b')    # one byte of a torn line before it would make it another's
    if by_a_node and len(words) == 4 and words[3] == b'end' and words[1].isdigit() and len(words[2]) == int(words[1]) % 90:
        return words[0].decode(), int(words[1])
    rests = (line[len(each):] for each in fragments if line.startswith(each))
    return next(filter(None, (whole_line(rest, fragments) for rest in rests)), None)


def lines_of(directory, fragments):
    """The numbers per node of the whole lines of the shared log; torn lines end the check."""
    found = {}
    text = content(os.path.join(directory, 'shared-log'))
    for line in text.split(b'\n')[:-1]:
        owner = whole_line(line, fragments)
        if owner is None:
            print('torn line', line[:80])
            sys.exit(MISSING)
        found.setdefault(owner[0], set()).add(owner[1])
    return found


def content(path):
    """Nothing where there is no file."""
    try:
        with open(path, 'rb') as file:
            return file.read()
    except FileNotFoundError:
        return b''


def right_file(path, number):
    text = content(path)
    head = f'{number} '.encode()
    return text.startswith(head) and not text[len(head):].strip(b'y')


def main():
    directory = sys.argv[1]
    promised = [line.split() for line in sys.stdin]
    fragments = [f'{node} {int(words[0]):08d} {"x" * (int(words[0]) % 90)} end'.encode()[:int(words[1])]
                 for node, kind, *words in promised if kind == 'torn']
    lines = lines_of(directory, fragments)
    missing, checked = [], 0
    slots, kept = {}, set()
    for node, kind, *numbers in promised:
        if kind == 'kept':
            kept.add((node, numbers[0]))
        if kind == 'slot':
            slots[node, int(numbers[0])] = int(numbers[1])
    for node, kind, *numbers in promised:
        checked += kind != 'torn'
        number = int(numbers[0])
        if kind == 'line' and number not in lines.get(node, ()):
            missing.append((node, kind, number))
        names = [f'kept-{number:06d}'] if (node, numbers[0]) in kept else [f'new-{number:06d}', f'kept-{number:06d}']
        paths = [os.path.join(directory, node, name) for name in names]
        if kind in ('file', 'kept') and not any(right_file(path, number) for path in paths):
            missing.append((node, kind, number))
    for (node, slot), number in slots.items():
        # A later write to the slot, also of a later run, may have reached the disk although nobody was told.
        first = int.from_bytes(content(os.path.join(directory, node, 'big'))[slot * 8192:slot * 8192 + 8], 'little')
        if first < number or first % 64 != slot:
            missing.append((node, 'slot', slot, number, first))
    for what in missing[:20]:
        print('missing', *what)
    if missing and fragments:
        print('torn when the disk was full:', *fragments[:20])
    print(f'{checked} promises checked, {len(missing)} broken')
    sys.exit(MISSING if missing else 0 if checked else 1)


if __name__ == '__main__':
    main()
