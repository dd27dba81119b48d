from __future__ import annotations

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers.conditions import wait_until


@pytest.fixture
def race(races):
    ann, bob = races.catalog(user="ann"), races.catalog(user="bob")
    with ermpoll.teach.race(ann, bob) as panel:
        yield panel


def test_a_click_makes_the_next_step_of_its_worker(race):
    race.buttons.step_a.click()
    wait_until(lambda: race.played.order == "a")

    wait_until(lambda: race.buttons.step_a.description == "Ann claims")
    assert race.buttons.step_b.description == "Bob reads"
    assert "GET entity/Imaging:Race_" in race._scene.value


def test_back_plays_all_but_the_last_step_on_a_fresh_row(race):
    for act in (race.step_a, race.step_b, race.step_a):
        act()
    before = race.played.rid

    race.back()

    assert (race.played.order, race.played.row.state) == ("ab", "new")
    assert race.played.rid != before


def test_who_is_done_has_no_step(race):
    race.play("aab")

    assert race.buttons.step_a.disabled
    assert race.buttons.step_a.description == "Ann is done"


def test_every_order_is_listed_and_can_be_played(race):
    orders = race.play_all()
    labels = [label for label, _ in race._list.options]

    assert len(labels) == 1 + len(orders) == 7
    race._list.value = "baab"
    assert race.play().order == "baab"


def test_a_guard_chosen_in_the_menu_begins_anew(race):
    race.play_all()

    race._menus[0].value = "row version"

    wait_until(lambda: race.played.guard.value == "row version")
    assert (race.orders, race.played.steps) == ((), ())
    assert all(len(one.winners) == 1 for one in race.play_all())


def test_a_word_that_is_no_guard_is_told_with_those_that_are(race):
    with pytest.raises(UsageError, match="expected one of 'none', 'state word'"):
        race.choose(guard="rmt")


def test_what_was_played_reads_without_a_kernel(race):
    race.play("abab")
    race.play_all()

    bundle = race._repr_mimebundle_()

    assert "both believe they hold it" in bundle["text/plain"]
    assert "All 6 orders" in bundle["text/html"]
    assert "Ann~" in bundle["text/html"]


def test_what_code_chooses_is_not_taken_for_a_choice_in_the_menus(races):
    ann, bob = races.catalog(user="ann"), races.catalog(user="bob")
    told = "loses the answer", "gives it back"

    with ermpoll.teach.race(ann, bob, guard="ETag", stories=told) as panel:
        assert [menu.value for menu in panel._menus] == ["ETag", *told]
        assert not panel._commands.words
        assert tuple(one.value for one in panel.played.stories) == told
