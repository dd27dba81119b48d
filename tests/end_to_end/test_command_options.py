"""The options of the commands, and what help says of them."""

from __future__ import annotations

import pytest

from ermpoll.command_options import parser

COMMANDS = ("lab", "sandbox", "run", "prove", "adopt")


def test_help_names_every_command() -> None:
    said = parser().format_help()

    assert [word for word in COMMANDS if f"\n    {word} " not in said] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help_of_its_own(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        parser().parse_args([command, "--help"])

    assert capsys.readouterr().out.startswith(f"usage: ermpoll {command}")


def test_what_the_table_is_called_must_be_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(["adopt", "https://host/ermrest/catalog/1"])

    assert "the following arguments are required: TABLE" in capsys.readouterr().err
