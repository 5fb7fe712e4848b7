"""Plain words, progress bars and verdicts on a terminal or in a log."""
import shutil
import sys
import time


class Narrator:
    """Tells the story. Verdicts are collected; their sum decides the exit status."""

    def __init__(self, out=sys.stdout):
        self.out = out
        self.terminal = out.isatty()
        self.started = time.monotonic()
        self.verdicts = []

    def chapter(self, title):
        seconds = time.monotonic() - self.started
        self._line(f'\n== {title}  [{seconds:.0f} s]')

    def say(self, text):
        self._line('   ' + text)

    def verdict(self, promise, kept, evidence):
        """Notes one promise as kept or broken, with what was seen."""
        self.verdicts.append((promise, kept, evidence))
        self._line(f'   {"kept  " if kept else "BROKEN"}  {promise}: {evidence}')

    def summary(self):
        """Prints all verdicts; true if every promise was kept and there was one at all."""
        self.chapter('The verdict')
        for promise, kept, evidence in self.verdicts:
            self._line(f'   {"kept  " if kept else "BROKEN"}  {promise}\n           {evidence}')
        return bool(self.verdicts) and all(kept for _, kept, _ in self.verdicts)

    def bar(self, label):
        return Bar(self, label)

    def _line(self, text):
        print(text, file=self.out, flush=True)


class Bar:
    """A progress bar that is redrawn on a terminal, and a line per quarter in a log."""

    WIDTH = 30

    def __init__(self, narrator, label):
        self.narrator = narrator
        self.label = label
        self.started = time.monotonic()
        self.last_quarter = -1

    def __enter__(self):
        self.update(0.0)
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.update(1.0, f'{time.monotonic() - self.started:.1f} s')
        if self.narrator.terminal:
            print(file=self.narrator.out, flush=True)

    def update(self, fraction, note=''):
        fraction = min(max(fraction, 0.0), 1.0)
        filled = int(fraction * self.WIDTH)
        text = f'   {self.label:<34} [{"#" * filled}{"." * (self.WIDTH - filled)}] {fraction * 100:3.0f} % {note}'
        if self.narrator.terminal:
            columns = shutil.get_terminal_size().columns
            print('\r' + text[:columns - 1].ljust(columns - 1), end='', file=self.narrator.out, flush=True)
            return
        quarter = int(fraction * 4)
        if quarter != self.last_quarter and (quarter == 4 or self.last_quarter < 0):
            print(text, file=self.narrator.out, flush=True)
        self.last_quarter = quarter
