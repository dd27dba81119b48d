"""An interrupt as something to ask for, instead of an exception at any line.

A KeyboardInterrupt between two lines could lose a row that was just claimed. The
handler only counts: anything more could wait for a lock of the line it interrupts.
"""

from __future__ import annotations

import signal
import threading
from typing import Any, Self


class Interrupts(threading.Event):
    """How often Ctrl-C or Kernel > Interrupt came, within a ``with`` block.

    Set from the first one on. Outside of the main thread, where none arrives, it
    stays as it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self._before: Any = None
        self._installed = False

    def is_set(self) -> bool:
        """Whether an interrupt came."""
        return self.count > 0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
            self._installed = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._before or signal.SIG_DFL)
            self._installed = False

    def _note(self, *_: object) -> None:
        self.count += 1
