"""What the server was asked, in order: the tests read it back, and tables wait for it."""

import threading


class Log:
    """Lines of all servers of the process."""

    def __init__(self):
        self._lines = []
        self._changed = threading.Condition()

    def note(self, line):
        with self._changed:
            self._lines.append(line)
            self._changed.notify_all()

    def lines(self, since=0):
        with self._changed:
            return self._lines[since:]

    def __len__(self):
        with self._changed:
            return len(self._lines)

    def wait_for(self, condition, what, seconds=20):
        """Waits until the condition holds for the lines; fails when it does not within the time."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self._lines), timeout=seconds):
                raise RuntimeError(f"nothing came of waiting for {what}; the calls were {self._lines}")
