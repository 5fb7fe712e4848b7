"""What was measured, as lines that people read. Nothing here judges: a slow machine is no failed test."""


def heading(text):
    print(f'\n{text}\n{"":44}{"here":>14} {"reference":>14} {"ratio":>7}  {"aim":>8}', flush=True)


def _line(name, ours, reference, ratio, aim):
    print(f'{name:44}{ours:>14} {reference:>14} {ratio:>7}  {aim:>8}'.rstrip(), flush=True)


def cost(name, ours, theirs, aim=''):
    """Seconds per operation, less is better; the ratio is how much of the reference's speed there is."""
    _line(name, f'{ours * 1e6:.1f} µs', f'{theirs * 1e6:.1f} µs', f'{theirs / ours:.2f}', aim)


def speed(name, ours, theirs, unit, aim=''):
    """Operations or bytes per second, more is better."""
    _line(name, f'{ours:,.0f} {unit}', f'{theirs:,.0f} {unit}', f'{ours / theirs:.2f}', aim)


def figure(name, ours, aim=''):
    """Without a reference on this machine."""
    _line(name, ours, '', '', aim)


def best(rounds):
    """The shortest time of each step over the rounds: others at work on the machine only add."""
    return {step: min(one[step] for one in rounds) for step in rounds[0]}
