"""The race as a panel: a button for each step, and for each order."""

from __future__ import annotations

import threading
from enum import Enum
from typing import TypeVar

from ermpoll.errors import UsageError
from ermpoll.teach.scenes import race_scene, tally
from ermpoll.teach.script import ClaimGuard, Move, Played, Story, order_in_words
from ermpoll.teach.stage import Stage, Take
from ermpoll.widgets.base import Panel, box, dropdown, enable, html

Word = TypeVar("Word", bound=Enum)


class RacePanel(Panel):
    """Two workers side by side, and the row between them.

    Attributes
    ----------
    played
        What was played last: its steps, its winners and how it ended.
    orders
        Every order there is, as `play_all` played it; empty before.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__("race")
        self._stage = stage
        self.orders: tuple[Played, ...] = ()
        self._guard, self._stories = ClaimGuard.NONE, (Story.CLAIMS, Story.CLAIMS)
        #: The thread that sets the menus to what is chosen already.
        self._setting: int | None = None
        self._take: Take = stage.begin(self._guard, self._stories)
        self._build()

    # what its buttons do

    def step_a(self) -> Move:
        """Let the first worker make its next step."""
        return self._step("a")

    def step_b(self) -> Move:
        """Let the second worker make its next step."""
        return self._step("b")

    def back(self) -> None:
        """Play all but the last step again, on a fresh row."""
        with self._acting:
            self._replay(self.played.order[:-1])

    def restart(self) -> None:
        """Begin anew, on a fresh row."""
        with self._acting:
            self._replay("")

    def play(self, order: str | None = None) -> Played:
        """Play an order on a fresh row, and on to the end.

        Parameters
        ----------
        order
            Whose each step is: ``"abab"``. None: the one that is chosen in the list,
            or what was played, to its end.

        Raises
        ------
        UsageError
            It names a worker that has nothing left to do.
        """
        with self._acting:
            order = self._list.value if order is None else order
            self._take = self._stage.play_out(
                self._guard, self._stories, order or self.played.order
            )
        self.refresh()
        return self.played

    def play_all(self) -> tuple[Played, ...]:
        """Play every order there is, each on a fresh row; returns what came of them."""
        with self._acting:
            self.orders = self._stage.play_all(self._guard, self._stories)
            names = self._stage.names
            self._list.options = [("as played above", "")] + [
                (f"{n}. {order_in_words(one, names)} → {one.end.value}", one.order)
                for n, one in enumerate(self.orders, 1)
            ]
        self.refresh()
        return self.orders

    def choose(
        self, guard: str | None = None, stories: tuple[str, str] | None = None
    ) -> None:
        """Choose the guard, and what happens to each worker; begins anew.

        Raises
        ------
        UsageError
            There is no such guard or story.
        """
        with self._acting:
            chosen = self._guard if guard is None else _member(ClaimGuard, guard)
            told = self._stories
            if stories is not None:
                first, second = stories
                told = _member(Story, first), _member(Story, second)
            if (chosen, told) != (self._guard, self._stories):
                self._guard, self._stories, self.orders = chosen, told, ()
                self._list.options = [("as played above", "")]
                self._replay("")
        self.refresh()

    # for everybody

    @property
    def played(self) -> Played:
        """What was played last."""
        return self._take.played

    def _step(self, who: str) -> Move:
        with self._acting:
            made = self._take.step(who)
        self.refresh()
        return made

    def _replay(self, order: str) -> None:
        self._take = self._stage.play(self._guard, self._stories, order)
        self.refresh()

    # drawing

    def _build(self) -> None:
        first, second = self._stage.names
        guards, stories = (
            [one.value for one in ClaimGuard],
            [one.value for one in Story],
        )
        self._menus = [
            dropdown("Guard", guards, self._chosen),
            dropdown(first, stories, self._chosen),
            dropdown(second, stories, self._chosen),
        ]
        self._list = dropdown("Order", [("as played above", "")], self._drawing.mark)
        self._list.add_class("ermpoll-order")
        self._scene = html()
        steps = box(
            "ermpoll-acts",
            self._button("step_a", f"Step {first}", f"The next step of {first}", True),
            self._button(
                "step_b", f"Step {second}", f"The next step of {second}", True
            ),
            self._button("back", "Back", "Undo the last step, on a fresh row"),
            self._button("restart", "Restart", "Begin anew, on a fresh row"),
        )
        orders = box(
            "ermpoll-acts",
            self._button("play_all", "Play all orders", "Each on a fresh row"),
            self._list,
            self._button("play", "Play to the end", "Play the chosen order"),
        )
        head = box("ermpoll-head", steps, box("ermpoll-acts", *self._menus))
        body = box("ermpoll-body", self._scene)
        body.layout.display = "block"
        foot = box("ermpoll-head", orders)
        self._show(head, foot, self._error_line, body)

    def _chosen(self) -> None:
        if self._setting == threading.get_ident():
            return
        guard, first, second = (menu.value for menu in self._menus)
        told = guard, (first, second)
        shown = self._guard.value, tuple(one.value for one in self._stories)
        if told != shown:
            self._commands.submit("choose", lambda: self.choose(*told))

    def _draw(self) -> None:
        # what somebody has just chosen stays
        if not self._busy("choose"):
            self._set_menus()
        self._scene.value = self._body()
        played, names = self.played, self._stage.names
        for who, name in zip("ab", names, strict=True):
            act = played.next_act(who)
            button = getattr(self.buttons, f"step_{who}")
            button.description = f"{name} {act.value}" if act else f"{name} is done"
            tip = f"The next step of {name}"
            enable(button, act is not None, "Nothing left to do; Back or Restart", tip)
        enable(self.buttons.back, bool(played.steps), "No step was made yet", "Back")

    def _set_menus(self) -> None:
        self._setting = threading.get_ident()
        try:
            chosen = self._guard, *self._stories
            for menu, one in zip(self._menus, chosen, strict=True):
                menu.value = one.value
        finally:
            self._setting = None

    def _body(self) -> str:
        return race_scene(self.played, self._stage.names, self.orders)

    def _spoken(self) -> str:
        if self.orders:
            return tally(self.orders)
        return order_in_words(self.played, self._stage.names)


def _member(kind: type[Word], word: str) -> Word:
    words = [one.value for one in kind]
    if word not in words:
        known = ", ".join(map(repr, words))
        raise UsageError(f"expected one of {known}; found {word!r}")
    return kind(word)
