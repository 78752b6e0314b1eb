"""No attack gains anything, and nobody else notices that there was one."""

from collections import Counter
from collections.abc import Callable

import pytest
from arena import ASSIGNMENTS, Arena
from attacks import ATTACKS, Attack

Gained = Callable[..., list[str]]


FIRST = {attack.boundary: attack for attack in reversed(ATTACKS)}
"""One attack on each boundary. All together take some seven minutes."""


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(
            attack,
            id=attack.name,
            marks=() if attack is FIRST[attack.boundary] else pytest.mark.long,
        )
        for attack in ATTACKS
    ],
)
def test_the_attack_gains_nothing(attack: Attack, arena_of: Callable[[str], Arena], gained: Gained):
    arena = arena_of(attack.assignment)
    found = gained(arena, *arena.of(attack))
    assert not found, "\n".join(found)


def test_every_attack_is_another_one():
    pairs = Counter((attack.boundary, attack.means) for attack in ATTACKS)
    assert max(pairs.values()) == 1
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_no_attack_gains_nothing(assignment, arena_of, gained, template):
    arena = arena_of(assignment)
    assert gained(arena, arena.wrong()) == []
    assert arena.scores("mallory") == template.floor[assignment]


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_right_answers_are_seen_to_gain(assignment, arena_of, gained, template):
    arena = arena_of(assignment)
    found = gained(arena, arena.right())
    assert len(found) == len(ASSIGNMENTS[assignment])
    assert all("gained points" in line for line in found)
    assert arena.scores("mallory") == template.most[assignment]
