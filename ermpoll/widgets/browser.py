"""What only the browser knows and does: its zone, speaking, files, keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

import anywidget
import traitlets

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
  // In JupyterLab plain keys are commands: Enter would edit the cell, x would cut it.
  const guard = (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (!el.closest(".ermpoll-live")?.contains(target) || target.closest(".lm-TabBar"))
      return;
    const chosen = target.matches("select, input") && key.startsWith("Arrow");
    if (key.length === 1 || key === "Enter" || chosen) event.stopPropagation();
  };
  window.addEventListener("keydown", guard, true);
  const save = (content, [bytes]) => {
    const url = URL.createObjectURL(new Blob([bytes], { type: content.type }));
    const link = document.createElement("a");
    link.href = url;
    link.download = content.save;
    link.click();
    URL.revokeObjectURL(url);
  };
  model.on("msg:custom", save);
  return () => {
    model.off("msg:custom", save);
    window.removeEventListener("keydown", guard, true);
    model.off("change:text", say);
  };
}
export default { render };
"""


class Voice(anywidget.AnyWidget):
    """What is said, and the zone that the browser tells."""

    _esm = _SCRIPT
    text = traitlets.Unicode("").tag(sync=True)
    zone = traitlets.Unicode("").tag(sync=True)


class BrowserLink:
    """A line for screen readers that also learns the browser's zone.

    While the focus is in its panel, plain keys are no commands of JupyterLab.

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
        self.widget = Voice()
        self.widget.observe(lambda change: self._told(change.new), "zone")

    def say(self, who: str, text: str) -> None:
        """Say a short text, unless ``who`` said it last or somebody just spoke."""
        now = self._clock()
        if text == self._said.get(who):
            return
        if now - self._spoke_at >= SPEAK_EVERY_S:
            self._spoke_at = now
            self._said[who] = text
            self.widget.text = line(text, 200)

    def heard(self, zoned: Callable[[], None]) -> None:
        """Call this one as well when the zone is told."""
        self._zoned.append(zoned)

    def save(self, name: str, data: bytes, kind: str = "text/csv") -> None:
        """Have the browser save a file where it saves what it downloads."""
        self.widget.send({"save": name, "type": kind}, buffers=[data])

    def _told(self, name: object) -> None:
        try:
            self.zone = ZoneInfo(str(name))
        except (ValueError, OSError, KeyError):
            # A zone this machine does not know: UTC is right as well.
            return
        for zoned in self._zoned:
            zoned()
