"""Examines an answer to an exercise: not tried, wrong and why, or right.

Knows no exercise: what is right is the lesson's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from types import FunctionType
from typing import Any, TypeAlias

from ermpoll.redact import told
from ermpoll.render.page import fill, standalone

#: What is true of a right answer, and what to say where it is not.
Rule: TypeAlias = tuple[Callable[[Any], object], str]


class Grade(Enum):
    """How an answer is, in the words and the colour it is told in."""

    NOT_TRIED = "Not tried yet"
    WRONG = "Not yet"
    RIGHT = "Right"


_TONES = {Grade.NOT_TRIED: "mut", Grade.WRONG: "warn", Grade.RIGHT: "ok"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is to be said of an answer; true where it is right."""

    grade: Grade
    text: str = ""

    def __bool__(self) -> bool:
        return self.grade is Grade.RIGHT

    def __repr__(self) -> str:
        return f"{self.grade.value}: {self.text}" if self.text else self.grade.value

    def _repr_html_(self) -> str:
        tone, word = _TONES[self.grade], self.grade.value
        return standalone(fill("checked.html", tone=tone, word=word, text=self.text))


def examine(answer: Any, rules: Sequence[Rule], right: str) -> Checked:
    """Try the rules in turn; see `ermpoll.teach.check`."""
    if untouched(answer):
        text = "put your answer in place of the dots, then run this cell again."
        return Checked(grade=Grade.NOT_TRIED, text=text)
    for holds, wrong in rules:
        try:
            held = holds(answer)
        except Exception as error:  # noqa: BLE001 - it is the student's code
            return Checked(grade=Grade.WRONG, text=f"{wrong} {_stumbled(error)}")
        if not held:
            return Checked(grade=Grade.WRONG, text=wrong)
    return Checked(grade=Grade.RIGHT, text=right)


def untouched(answer: Any) -> bool:
    """Whether this is what the lesson put there: dots, or a function of dots."""
    if not isinstance(answer, FunctionType):
        return answer is ...
    code = answer.__code__
    constants = set(code.co_consts) - {answer.__doc__}
    return constants <= {None} and code.co_code in _STUBS


def _stub() -> None: ...


def _told_stub() -> None:
    """Do nothing."""


#: A docstring is a constant, so that what is returned stands at another place.
_STUBS = {_stub.__code__.co_code, _told_stub.__code__.co_code}


def _stumbled(error: Exception) -> str:
    """Tell an exception of the answer, a misspelt column with the way out."""
    if isinstance(error, KeyError) and error.args:
        return f"It asks for {error.args[0]!r}, which the row does not have."
    return f"It raised {told(error)}"
