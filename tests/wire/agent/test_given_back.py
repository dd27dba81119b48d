"""What an agent says of a row that a person took while its work went on."""

from __future__ import annotations

from tests.helpers.virtual_world import Person, World


def test_a_failure_that_came_too_late_is_told_as_lost_not_as_written() -> None:
    with World.open() as world:
        person = Person(world)
        [rid] = person.add({"code": "fail-4"})
        agent = world.add_agent("agent")
        world.began = lambda row: world.at(
            1, lambda: person.edit(rid, state="hold", owner=None)
        )

        world.run(10)

        assert person.rows()[rid]["state"] == "hold"
        assert agent.told("lost") == [rid]
        assert agent.told("failed") == []
