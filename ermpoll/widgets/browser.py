"""What only the browser knows and does: its time zone, and speaking up.

Needs anywidget, which the extra ``lab`` brings. Without it times stay in UTC, and a
screen reader hears of a change when it comes to it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import ipywidgets as W

from ermpoll.render.values import line

#: The shortest time between two things said, in seconds.
SPEAK_EVERY_S = 5.0

# The node stays and only its text changes: a screen reader says what is new in it.
_SCRIPT = """
function render({ model, el }) {
  el.className = "ermpoll-voice";
  el.setAttribute("role", "status");
  el.setAttribute("aria-live", "polite");
  const say = () => { el.textContent = model.get("text"); };
  model.on("change:text", say);
  say();
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && zone !== model.get("zone")) {
    model.set("zone", zone);
    model.save_changes();
  }
  return () => model.off("change:text", say);
}
export default { render };
"""


class BrowserLink:
    """A line for screen readers that also learns the browser's zone.

    Parameters
    ----------
    zoned
        Called when the browser has told its zone.
    clock
        Rising seconds.
    """

    def __init__(self, zoned: Callable[[], None], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._spoke_at = float("-inf")
        self._said: dict[str, str] = {}
        self._zoned = [zoned]
        self.zone: tzinfo = UTC
        self.widget: W.Widget | None = _made()
        if self.widget is not None:
            self.widget.observe(lambda change: self._told(change.new), "zone")

    def say(self, who: str, text: str) -> None:
        """Say a short text, unless ``who`` said it last or somebody just spoke."""
        now = self._clock()
        if self.widget is None or text == self._said.get(who):
            return
        if now - self._spoke_at >= SPEAK_EVERY_S:
            self._spoke_at = now
            self._said[who] = text
            self.widget.text = line(text, 200)

    def heard(self, zoned: Callable[[], None]) -> None:
        """Call this one as well when the zone is told."""
        self._zoned.append(zoned)

    def _told(self, name: object) -> None:
        try:
            self.zone = ZoneInfo(str(name))
        except (ValueError, OSError, KeyError):
            # A zone this machine does not know: UTC is right as well.
            return
        for zoned in self._zoned:
            zoned()


def _made() -> W.Widget | None:
    kind = _kind()
    return kind() if kind is not None else None


@cache
def _kind() -> Any:
    try:
        import anywidget
        import traitlets
    except ImportError:
        return None
    traits = {
        "_esm": _SCRIPT,
        "text": traitlets.Unicode("").tag(sync=True),
        "zone": traitlets.Unicode("").tag(sync=True),
    }
    return type("ErmpollVoice", (anywidget.AnyWidget,), traits)
