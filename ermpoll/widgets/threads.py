"""The two threads of a panel: one that draws, one that does what was clicked.

Both exist only while there is something to do, so a panel at rest has none. Knows
no widget and no catalog.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

logger = logging.getLogger(__name__)

#: The shortest time between two drawings, in seconds: more than 5 a second would
#: meet the notebook server's limit on messages, which then drops them.
GAP_S = 0.2


class DrawThread:
    """Draws soon after it is asked to, at most five times a second.

    However many marks come, the last state is drawn: a mark during a drawing is
    followed by another drawing.

    Parameters
    ----------
    draw
        Puts the present state on the page. What it raises is logged; the next
        drawing goes on.
    again_s
        After each drawing: seconds until the next one is due without a mark (the
        page shows durations), or None when nothing moves by itself.
    name
        What its thread is called.
    gap_s
        The shortest time between two drawings, in seconds.
    """

    def __init__(
        self,
        draw: Callable[[], None],
        *,
        name: str,
        again_s: Callable[[], float | None] = lambda: None,
        gap_s: float = GAP_S,
    ) -> None:
        self._draw = draw
        self._again_s = again_s
        self._name = name
        self._gap_s = gap_s
        self._lock = threading.Lock()
        self._dirty = False
        self._woken = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def mark(self) -> None:
        """Ask for a drawing, from any thread; costs next to nothing."""
        # Without the lock: who sees it set knows that a drawing is still to come.
        if self._dirty:
            return
        with self._lock:
            if self._closed.is_set():
                return
            self._dirty = True
            self._woken.set()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=self._name, daemon=True
                )
                self._thread.start()

    def close(self, timeout_s: float = 5) -> None:
        """End the thread; later marks do nothing. May be called twice."""
        with self._lock:
            self._closed.set()
            self._woken.set()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._woken.clear()
            self._dirty = False
            due_s = self._step()
            if self._closed.wait(self._gap_s):
                return
            if due_s is not None and not self._dirty:
                self._woken.wait(max(0.0, due_s - self._gap_s))
            with self._lock:
                if self._closed.is_set() or (due_s is None and not self._dirty):
                    self._thread = None
                    return

    def _step(self) -> float | None:
        try:
            self._draw()
            return self._again_s()
        except Exception as error:  # noqa: BLE001  the top of the thread: the page must go on
            # The name of the error alone: its text may hold values of rows.
            logger.warning("%s: could not draw: %s", self._name, type(error).__name__)
            return None


class CommandThread:
    """Does what was asked for, one thing after the other, on a thread of its own.

    Parameters
    ----------
    failed
        Called with the word of an act and what it raised.
    name
        What its thread is called.
    """

    def __init__(self, failed: Callable[[str, Exception], None], *, name: str) -> None:
        self._failed = failed
        self._name = name
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, Callable[[], object]]] = deque()
        self._words: set[str] = set()
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def words(self) -> frozenset[str]:
        """The words of what waits or is being done."""
        with self._lock:
            return frozenset(self._words)

    def submit(self, word: str, act: Callable[[], object]) -> bool:
        """Have an act done; returns at once.

        Returns
        -------
        bool
            False when an act of that word waits or is being done already (a second
            click), or after `close`.
        """
        with self._lock:
            if self._closed or word in self._words:
                return False
            self._words.add(word)
            self._waiting.append((word, act))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=self._name, daemon=True
                )
                self._thread.start()
            return True

    def close(self, timeout_s: float = 5) -> None:
        """Drop what waits, and wait for what is being done. May be called twice."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                word, act = self._waiting.popleft()
            try:
                act()
            except Exception as error:  # noqa: BLE001  the top of the thread: shown in the panel
                self._failed(word, error)
            finally:
                with self._lock:
                    self._words.discard(word)
