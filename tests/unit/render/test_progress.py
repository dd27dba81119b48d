from __future__ import annotations

import random

import pytest

from ermpoll.render.progress import Progress, progress, progress_of
from tests.helpers import pages


def test_it_is_told_in_the_words_of_tqdm():
    told = progress_of(132, 68, (10, 0, 30, 2, 8, 9, 14, 5, 7, 6, 10, 20))

    assert str(told) == "66% 132/200, 2.0 jobs/s, 00:34 left (00:23 to 01:03)"
    assert told.part == pytest.approx(0.66)


@pytest.mark.parametrize(
    ("done", "left", "spans", "text"),
    [
        (0, 0, (), "100% 0/0"),
        (3, 0, (1, 2), "100% 3/3"),
        (0, 68, (0,) * 12, "0% 0/68, no job ended in the last minute"),
        (999, 1, (5,) * 12, "99% 999/1,000, 1.0 jobs/s, 00:01 left (00:01 to 00:01)"),
        (1, 720, (1,) * 12, "0% 1/721, 5.0 s/job, 1:00:00 left (1:00:00 to 1:00:00)"),
        (1, 36_000, (1,) * 12, "0% 1/36,001, 5.0 s/job, 2 d 2 h left (2 d 2 h to 2 d"),
    ],
)
def test_it_says_what_there_is_to_say(done, left, spans, text):
    assert str(progress_of(done, left, spans)).startswith(text)


def test_what_is_seen_of_one_job_has_no_end_in_sight():
    told = progress_of(1, 100, (0,) * 11 + (1,))

    assert told.most_s is None
    assert str(told).endswith("or more)")


def test_the_time_before_the_first_job_does_not_count():
    assert progress_of(9, 10, (0, 0, 0, 5, 5)).per_s == 1.0


def test_the_true_time_is_mostly_within_the_spread():
    chance, within = random.Random(5), 0
    for _ in range(400):
        # jobs that end by chance, two a second
        spans = [sum(chance.random() < 0.1 for _ in range(100)) for _ in range(12)]
        told = progress_of(0, 1000, spans)
        within += told.least_s <= 500 <= (told.most_s or 1e9)

    assert within > 350


def test_the_bar_is_as_wide_as_the_part_that_is_done():
    shown = progress(Progress(done=1, left=3))

    assert 'width="25.00"' in shown
    assert "25% 1/4" in pages.text_of(shown)
