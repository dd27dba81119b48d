from __future__ import annotations

from ermpoll.render.plain import plain
from ermpoll.teach.scenes import race_scene, scene, tally
from ermpoll.teach.script import End
from tests.unit.teach.test_script import READ_A, READ_B, played


def test_a_scene_has_the_guard_the_requests_and_the_row():
    text = plain(race_scene(played(READ_A, READ_B), ("Ann", "Bob")))

    assert "Ann and Bob at row 1" in text
    assert "guard: none · Ann claims, Bob claims" in text
    assert text.count("reads") == 2


def test_names_and_words_from_a_catalog_are_escaped():
    made = scene("<b>race</b>", ["<i>", "b"], [], end="<script>")

    assert "<script>" not in made
    assert "<i>" not in made
    assert "<b>race" not in made
    assert "&lt;b&gt;race" in made


def test_an_end_in_which_both_hold_the_row_looks_bad():
    made = scene("race", ("a", "b"), [], end=End.BOTH)

    assert '<b class="ermpoll-bad">both believe they hold it</b>' in made


def test_a_tally_counts_the_ends():
    assert tally([played(READ_A)]) == "All 1 orders: not over (1)"
