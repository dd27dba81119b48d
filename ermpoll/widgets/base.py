"""What all panels are: a live view with a static one behind it, and two threads.

A panel draws a core object and owns no rule. Each widget has one writer at a time:
whoever holds the panel's lock, mostly its drawing thread.
"""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

import ipywidgets as W
from markupsafe import Markup

from ermpoll.records import Event
from ermpoll.render.page import fill, standalone, stylesheet
from ermpoll.render.plain import plain
from ermpoll.widgets.browser import BrowserLink
from ermpoll.widgets.still import VIEW, Still, in_kernel, put
from ermpoll.widgets.threads import CommandThread, DrawThread

if TYPE_CHECKING:
    from ermpoll.queue import Queue
    from ermpoll.queue.table import QueueTable

_numbers = itertools.count(1)


class Closing(Protocol):
    """Something to close."""

    def close(self) -> None:
        """Close it."""


#: Seconds that an answer and an error stay on the page.
ANSWER_STAYS_S, ERROR_STAYS_S = 60.0, 180.0


class Passing:
    """A text that goes by itself after a while: what it told of is long over."""

    def __init__(self, stays_s: float) -> None:
        self._stays_s = stays_s
        self._text, self._said_at = "", 0.0

    def say(self, text: str) -> None:
        """Show a text from now on, instead of another; "" for none."""
        self._text, self._said_at = text, monotonic()

    @property
    def text(self) -> str:
        """What is to be shown now, or ""."""
        return self._text if self.left_s is not None else ""

    @property
    def left_s(self) -> float | None:
        """For how many seconds it is still shown; None: there is none."""
        left_s = self._said_at + self._stays_s - monotonic()
        return left_s if self._text and left_s > 0 else None


class Panel(ABC):
    """A live view of something of ermpoll.

    Shown by a notebook it is a set of widgets; in a saved file, a terminal or an
    export it is the same as static HTML or text. Each of its buttons has a method of
    the same word, and stands in `buttons` under it. Nothing runs before it is asked
    to, and `close` ends what the panel itself started; agents and pollers go on.
    """

    def __init__(self, label: str) -> None:
        self._name = f"ermpoll-panel-{next(_numbers)}"
        self.label = label
        self.buttons = SimpleNamespace()
        self.closed = False
        self._failing = Passing(ERROR_STAYS_S)
        self._answer = Passing(ANSWER_STAYS_S)
        self._seen = False
        self._built = False
        self._lock = threading.RLock()
        #: Held by whatever acts: a method called from a cell waits for a clicked one.
        self._acting = threading.RLock()
        self._drawing = DrawThread(
            self._draw_live,
            again_s=lambda: self._due_s(),
            name=self._name,
        )
        self._commands = CommandThread(self._fail, name=f"{self._name}-acts")
        self._reads = CommandThread(self._fail, name=f"{self._name}-reads")
        self._style = html(fill("style.html", style=Markup(stylesheet(live=True))))
        self._error_line = html(css="ermpoll-error")
        self._parts: list[Closing] = []
        self._browser = BrowserLink(self._drawing.mark, monotonic)
        self._still = Still(self._repr_html_, monotonic)
        self._gone = html(fill("gone.html", name=self._still.name))
        self._unseen = [self._style, self._gone, self._browser.widget]
        self.widget = W.VBox(self._unseen)
        for name in ("ermpoll", "ermpoll-live"):
            self.widget.add_class(name)

    # what a panel of a kind says

    @abstractmethod
    def _draw(self) -> None:
        """Set the traits of the widgets from the present state."""

    @abstractmethod
    def _body(self) -> str:
        """Give the static HTML of the present state, without the style."""

    def _spoken(self) -> str:
        """Give what a screen reader should hear of the present state, or ""."""
        return ""

    def _again_s(self) -> float | None:
        """Give the seconds after which the page is stale by itself, or None."""
        return None

    def _top_error(self) -> str:
        """Give the error that stands at the top, where no other place shows it."""
        return self.error

    def _due_s(self) -> float | None:
        """Give the seconds after which something has to go from the page, or move."""
        due = (
            self._again_s(),
            self._failing.left_s,
            self._answer.left_s,
            self._still.due_s,
        )
        return min((s for s in due if s is not None), default=None)

    # for everybody

    @property
    def error(self) -> str:
        """What went wrong last in a button, or ""."""
        return self._failing.text

    @property
    def zone(self) -> tzinfo:
        """The zone that times are shown in: the browser's once it is known, or UTC."""
        return self._browser.zone

    def refresh(self) -> None:
        """Draw the present state now."""
        with self._lock:
            # News may come before the widgets are all there.
            if self._built and not self.closed:
                self._browser.say(self._name, self.error or self._spoken())
                self._error_line.value = note(self._top_error(), "bad")
                self._draw()

    def _ipython_display_(self) -> None:
        if self.closed or not in_kernel():
            put(self._repr_mimebundle_())
            return
        self._still.begin(self._view)

    def mark(self) -> None:
        """Have it drawn soon, and on while it moves by itself."""
        self._drawing.mark()

    def close(self) -> None:
        """End the panel's threads and take its widgets off the page. Twice is once."""
        self.closed = True
        self._drawing.close()
        self._reads.close(timeout_s=1)
        self._commands.close(timeout_s=1)
        with self._lock:
            self._still.write(last=True)
            for part in self._parts:
                part.close()
            # those of a nested panel are on no page; closed at once, a page would
            # still be about to make them
            for widget in (*self._unseen, self.widget):
                close_all(widget)

    def __enter__(self) -> Panel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        # Cheap, and without the traits: it stands in tracebacks.
        return f"<{type(self).__name__} {self.label!r}>"

    def _repr_html_(self) -> str:
        return standalone(self._body())

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        static = self._repr_html_()
        bundle: dict[str, Any] = {"text/plain": plain(static), "text/html": static}
        if not self.closed:
            bundle[VIEW] = self._view
        return bundle

    @property
    def _view(self) -> dict[str, object]:
        model = self.widget.model_id
        return {"version_major": 2, "version_minor": 0, "model_id": model}

    # for the panels of each kind

    def _show(self, *children: W.Widget) -> None:
        """Put the children on the page, once."""
        self.widget.children = (*self._unseen, *children)
        self._built = True
        # The page counts its views of us only when the count is not None.
        self.widget._view_count = 0
        self.widget.observe(lambda _: self._viewed(), "_view_count")
        self.refresh()

    def _keep(self, *parts: Closing) -> None:
        """Keep parts with widgets that are not on the page, or threads, to close."""
        self._parts += parts

    def nested(self, around: Panel) -> W.Widget:
        """Give the widget for a panel around this one, which brings the style."""
        self.widget.children = self.widget.children[len(self._unseen) :]
        self._browser = around._browser
        self._browser.heard(self._drawing.mark)
        return self.widget

    def _button(
        self,
        word: str,
        label: str,
        tip: str,
        primary: bool = False,
        lane: CommandThread | None = None,
    ) -> W.Button:
        """Make the button of a method; a click has it done on the acts' thread.

        Another ``lane`` is for what must not wait for an act that is going on.
        """
        made = W.Button(
            description=label, tooltip=tip, button_style="primary" if primary else ""
        )
        made.on_click(lambda _: self._click(word, lane))
        setattr(self.buttons, word, made)
        return made

    def _click(self, word: str, lane: CommandThread | None = None) -> None:
        self._failing.say("")
        act: Callable[[], object] = getattr(self, word)
        if (lane or self._commands).submit(word, lambda: self._acted(act)):
            self._drawing.mark()

    def _tell(self, text: str) -> None:
        """Say what came of an act, for a while."""
        self._answer.say(text)
        self._drawing.mark()

    def _acted(self, act: Callable[[], object]) -> None:
        try:
            act()
        finally:
            self._drawing.mark()

    def _fail(self, word: str, error: Exception) -> None:
        text = (
            f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        )
        self._failing.say(f"{word.replace('_', ' ')}: {text}")
        self._drawing.mark()

    def _busy(self, word: str) -> bool:
        return word in self._commands.words

    @property
    def is_hidden(self) -> bool:
        """Whether a page has shown the panel and shows it no longer."""
        return self._seen and self.widget._view_count == 0

    def _viewed(self) -> None:
        if self.widget._view_count:
            self._seen = True
            self._drawing.mark()

    def _draw_live(self) -> None:
        if self._built and not self.is_hidden:
            self.refresh()
            self._still.write()


def listener_of(panel: Panel) -> Callable[[Event], None]:
    """Make a listener that has a panel drawn, and does not keep it alive."""
    mark = weakref.WeakMethod(panel._drawing.mark)

    def heard(_: Event) -> None:
        ask = mark()
        if ask is not None:
            ask()

    return heard


def html(value: str = "", css: str = "") -> W.HTML:
    """Make an HTML widget; its value must come from our own templates."""
    made = W.HTML(value)
    if css:
        made.add_class(css)
    return made


def note(text: str, tone: str = "mut") -> str:
    """Give a line of text as HTML; nothing for none."""
    return text and fill("line.html", tone=tone, text=text)


def box(css: str, *children: W.Widget) -> W.Box:
    """Make a box of a CSS class."""
    made = W.Box(children)
    made.add_class(css)
    return made


def dropdown(
    label: str, options: Sequence[object], changed: Callable[[], None]
) -> W.Dropdown:
    """Make a labelled list to choose from."""
    made = W.Dropdown(description=label, options=options)
    made.observe(lambda _: changed(), "value")
    return made


def show(widget: W.DOMWidget, visible: bool) -> None:
    """Show a widget or take it out of the page's flow."""
    widget.layout.display = None if visible else "none"


def enable(button: W.Button, enabled: bool, why_not: str = "", tip: str = "") -> None:
    """Enable a button, or disable it with the reason in its tooltip."""
    button.disabled = not enabled
    button.tooltip = tip if enabled or not why_not else why_not


def why_not_writable(jobs: QueueTable | None) -> str:
    """Say why the user may not write to a queue, or ""."""
    return "" if jobs is None else jobs.why_not_writable


def monotonic() -> float:
    """Seconds on the clock that panels count by."""
    return time.monotonic()


def close_all(widget: W.Widget) -> None:
    """Close a widget with its children, layout and style."""
    for child in getattr(widget, "children", ()):
        close_all(child)
    for name in ("layout", "style"):
        part = getattr(widget, name, None)
        if isinstance(part, W.Widget):
            part.close()
    widget.close()


def roles(jobs: Queue) -> Mapping[str, str]:
    """Give the colour class of each state word of a queue, in the order of its life."""
    definition = jobs.definition
    return {
        **{definition.label(word): "mut" for word in definition.ready},
        definition.claimed: "accent",
        definition.done: "ok",
        definition.failed_label: "bad",
    }
