"""What the rules of the slate make of an answer: limits, tiers, mandatory actions, bundles, fallbacks."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action
from service.decisioning.choosing import chance
from service.decisioning.exploration import Exploration
from service.decisioning.periods import Hourly
from service.decisioning.slate import Slate, fill
from service.decisioning.slate_policy import AnswerLimit, Bundle, SlatePolicy
from service.decisioning.snapshot import Snapshot
from service.decisioning.stages import INACTIVE
from service.decisioning.volumes import UNLIMITED, VolumeLimit

from .conftest import MakeBatch, MakeSnapshot

NAMES = "abcdef"


class World:
    """Actions a, b, c... of falling priority, all in hero (1) and tiles (3) unless told otherwise."""

    def __init__(self, make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> None:
        self.make_snapshot, self.make_batch = make_snapshot, make_batch

    def answer(
        self,
        policy: SlatePolicy | None = None,
        *,
        count: int = 4,
        limits: dict[str, int] | None = None,
        places: dict[str, tuple[str, ...]] | None = None,
        fallbacks: str = "",
        out: str = "",
        mandatory: str = "",
        volumes: tuple[VolumeLimit, ...] = (),
        exploration: Exploration | None = None,
        **columns: Any,
    ) -> "Answer":
        names = NAMES[:count]
        actions = [Action(name, "i", "g", propensity=0.1, fallback=name in fallbacks) for name in names]
        said = {name: {"web": (places or {}).get(name, ("hero", "tiles"))} for name in names}
        snapshot = self.make_snapshot(
            actions,
            said,
            slate_policy=policy or SlatePolicy(),
            volumes=volumes,
            exploration=exploration or Exploration(),
        )
        batch: Batch = self.make_batch(snapshot, limits=limits, **columns)
        removed_by = np.array([[INACTIVE if name in out else 0 for name in names]], np.int32)
        priority = np.arange(count, 0, -1, dtype=np.float64)[None, :]
        first = np.array([[name in mandatory for name in names]]) if mandatory else None
        assigned = snapshot.experiments.assign(batch, snapshot.conduct)
        draws = chance(snapshot, batch, assigned, np.full_like(priority, 0.1))
        slate = fill(snapshot, batch, removed_by, priority, mandatory=first, chance=draws)
        return Answer(snapshot, slate, removed_by)


class Answer:
    def __init__(self, snapshot: Snapshot, slate: Slate, removed_by: NDArray[np.int32]) -> None:
        self.snapshot, self.slate, self.removed_by = snapshot, slate, removed_by

    @property
    def chosen(self) -> dict[str, str]:
        """The actions of each filled placement, in order of their ranks."""
        found: dict[str, str] = {}
        for slot, action in zip(self.slate.slot.tolist(), self.slate.action.tolist(), strict=True):
            place = self.snapshot.catalogue.slots[slot].placement.id
            found[place] = found.get(place, "") + NAMES[action]
        return found

    @property
    def bundles(self) -> list[tuple[int, int]]:
        return list(zip(self.slate.bundle.tolist(), self.slate.position.tolist(), strict=True))

    def reason(self, name: str) -> str | None:
        removal = self.snapshot.removals[self.removed_by[0, NAMES.index(name)]]
        return removal.rule if removal else None

    @property
    def empty(self) -> list[str]:
        return [self.snapshot.no_actions[code].reason for code in self.slate.empty_code.tolist()]


@pytest.fixture
def world(make_snapshot: MakeSnapshot, make_batch: MakeBatch) -> World:
    return World(make_snapshot, make_batch)


def of(names: str, count: int = 4) -> NDArray[np.bool_]:
    return np.array([name in names for name in NAMES[:count]])


def limited(names: str, at_most: int = 1, name: str = "few", count: int = 4) -> AnswerLimit:
    return AnswerLimit(name, at_most, of(names, count), channels=np.array([True, False]))


def test_a_limit_holds_over_all_placements_of_the_answer_and_says_whom_it_kept_out(world: World) -> None:
    answer = world.answer(SlatePolicy(limits=(limited("abc"),)))
    assert answer.chosen == {"hero": "a", "tiles": "d"}
    assert (answer.reason("b"), answer.reason("c")) == ("limit:few", "limit:few")


def test_whoever_would_not_have_come_anyway_is_outranked_and_not_kept_out_by_the_limit(world: World) -> None:
    answer = world.answer(SlatePolicy(limits=(limited("acd"),)), limits={"hero": 1, "tiles": 1})
    assert answer.chosen == {"hero": "a", "tiles": "b"}
    assert (answer.reason("c"), answer.reason("d")) == ("outranked", "outranked")


def test_of_several_limits_each_one_holds(world: World) -> None:
    policy = SlatePolicy(limits=(limited("ab", 1, "first"), limited("abcd", 2, "second")))
    answer = world.answer(policy)
    assert answer.chosen == {"hero": "a", "tiles": "c"}
    assert (answer.reason("b"), answer.reason("d")) == ("limit:first", "limit:second")


def test_a_placement_that_a_limit_leaves_empty_says_so(world: World) -> None:
    answer = world.answer(SlatePolicy(limits=(limited("abcd"),)))
    assert answer.chosen == {"hero": "a"}
    assert answer.empty == ["answer_limit_reached"]


def test_no_action_stands_twice_in_an_answer_unless_duplicates_are_allowed(world: World) -> None:
    assert world.answer(count=2).chosen == {"hero": "a", "tiles": "b"}
    assert world.answer(SlatePolicy(duplicates=True), count=2).chosen == {"hero": "a", "tiles": "ab"}


def test_every_duplicate_counts_in_a_limit(world: World) -> None:
    policy = SlatePolicy(duplicates=True, limits=(limited("a", count=2),))
    assert world.answer(policy, count=2).chosen == {"hero": "a", "tiles": "b"}


def test_a_better_tier_comes_first_whatever_the_priorities(world: World) -> None:
    policy = SlatePolicy(tiers=np.array([1, 1, 0, 1], np.int8))
    assert world.answer(policy).chosen == {"hero": "c", "tiles": "abd"}


def test_mandatory_actions_come_before_all_tiers(world: World) -> None:
    policy = SlatePolicy(tiers=np.array([1, 1, 0, 1], np.int8))
    assert world.answer(policy, mandatory="d").chosen == {"hero": "d", "tiles": "cab"}


def test_a_mandatory_action_keeps_to_the_limits(world: World) -> None:
    answer = world.answer(SlatePolicy(limits=(limited("cd"),)), mandatory="cd")
    assert answer.chosen == {"hero": "c", "tiles": "ab"}
    assert answer.reason("d") == "limit:few"


FIXED = SlatePolicy(bundles=(Bundle("pair", (1, 3), fixed=True),))
FLEXIBLE = SlatePolicy(bundles=(Bundle("pair", (0, 3, 1), fixed=False),))


def test_a_fixed_bundle_stands_together_where_its_lead_wins(world: World) -> None:
    answer = world.answer(FIXED)
    assert answer.chosen == {"hero": "a", "tiles": "bdc"}
    assert answer.bundles == [(-1, 0), (0, 1), (0, 2), (-1, 0)]


def test_a_fixed_bundle_is_not_split_for_want_of_ranks(world: World) -> None:
    answer = world.answer(FIXED, limits={"hero": 1, "tiles": 1})
    assert answer.chosen == {"hero": "a", "tiles": "c"}
    assert (answer.reason("b"), answer.reason("d")) == ("bundle:pair", "bundle:pair")


def test_a_fixed_bundle_of_which_an_action_is_out_is_out_as_a_whole(world: World) -> None:
    answer = world.answer(FIXED, out="d")
    assert answer.chosen == {"hero": "a", "tiles": "c"}
    assert answer.reason("b") == "bundle:pair"
    assert world.answer(FIXED, out="b").reason("d") == "bundle:pair"


def test_a_fixed_bundle_needs_room_in_the_limits_for_all_its_actions(world: World) -> None:
    answer = world.answer(SlatePolicy(limits=(limited("bd"),), bundles=FIXED.bundles))
    assert answer.chosen == {"hero": "a", "tiles": "c"}
    assert (answer.reason("b"), answer.reason("d")) == ("limit:few", "limit:few")


def test_a_fixed_bundle_that_was_outranked_says_so(world: World) -> None:
    policy = SlatePolicy(bundles=(Bundle("pair", (2, 3), fixed=True),))
    answer = world.answer(policy, limits={"tiles": 2})
    assert answer.chosen == {"tiles": "ab"}
    assert (answer.reason("c"), answer.reason("d")) == ("outranked", "outranked")


def test_those_that_can_follow_the_lead_of_a_flexible_bundle_in_the_order_of_the_bundle(world: World) -> None:
    answer = world.answer(FLEXIBLE, limits={"tiles": 4})
    assert answer.chosen == {"tiles": "adbc"}
    assert answer.bundles == [(0, 1), (0, 2), (0, 3), (-1, 0)]
    assert world.answer(FLEXIBLE, limits={"tiles": 4}, out="d").chosen == {"tiles": "abc"}


def test_the_actions_of_a_flexible_bundle_also_stand_for_themselves(world: World) -> None:
    answer = world.answer(FLEXIBLE, out="a")
    assert answer.chosen == {"hero": "b", "tiles": "cd"}
    assert answer.bundles == [(-1, 0)] * 3


def test_a_lead_whom_nobody_follows_stands_in_no_bundle(world: World) -> None:
    answer = world.answer(FLEXIBLE)
    assert answer.chosen == {"hero": "a", "tiles": "bcd"}
    assert answer.bundles == [(-1, 0)] * 4


def test_who_follows_in_a_flexible_bundle_keeps_to_the_limits(world: World) -> None:
    answer = world.answer(SlatePolicy(limits=(limited("ad"),), bundles=FLEXIBLE.bundles), limits={"tiles": 4})
    assert answer.chosen == {"tiles": "abc"}
    assert answer.reason("d") == "limit:few"


def test_a_fallback_stands_only_where_the_placement_would_stay_empty(world: World) -> None:
    answer = world.answer(fallbacks="a", limits={"hero": 1})
    assert answer.chosen == {"hero": "b"}
    assert answer.reason("a") == "fallback_not_needed"


def test_a_fallback_takes_no_place_and_no_room_in_a_limit_from_others(world: World) -> None:
    places = {"a": ("hero", "tiles"), "b": ("tiles",), "c": ("tiles",), "d": ("tiles",)}
    answer = world.answer(SlatePolicy(limits=(limited("ab"),)), fallbacks="a", places=places)
    assert answer.chosen == {"tiles": "bcd"}
    assert answer.reason("a") == "limit:few"
    assert answer.empty == ["answer_limit_reached"]
    assert world.answer(fallbacks="a", places=places).chosen == {"hero": "a", "tiles": "bcd"}


def test_of_several_fallbacks_the_best_stand_first(world: World) -> None:
    answer = world.answer(fallbacks="abcd", limits={"tiles": 3})
    assert answer.chosen == {"tiles": "abc"}
    assert answer.reason("d") == "outranked"


def test_a_volume_limit_lets_no_more_into_an_answer_than_its_budget(world: World) -> None:
    daily = VolumeLimit("daily", 5, Hourly(), of("abc"), np.array([True, True]))
    answer = world.answer(volumes=(daily,), budgets=np.array([[2]], np.int32))
    assert answer.chosen == {"hero": "a", "tiles": "bd"}
    assert answer.reason("c") == "volume:daily"
    plenty = world.answer(volumes=(daily,), budgets=np.array([[UNLIMITED]], np.int32))
    assert plenty.chosen == {"hero": "a", "tiles": "bcd"}


def test_a_limit_of_other_channels_keeps_nobody_out(world: World) -> None:
    mails = AnswerLimit("mails", 1, of("abcd"), channels=np.array([False, True]))
    assert world.answer(SlatePolicy(limits=(mails,))).chosen == {"hero": "a", "tiles": "bcd"}


def test_only_the_best_class_is_left_to_chance_and_who_follows_is_certain(world: World) -> None:
    policy = SlatePolicy(tiers=np.array([0, 0, 1, 1], np.int8), bundles=(Bundle("pair", (1, 2), fixed=True),))
    uniform = Exploration("uniform")
    for seed in range(20):
        seeds = np.array([seed], np.uint64)
        answer = world.answer(policy, limits={"tiles": 4}, exploration=uniform, seeds=seeds)
        assert answer.chosen in ({"tiles": "abcd"}, {"tiles": "bcad"})
        assert answer.slate.selection_probability.tolist() == [0.5, 1.0, 1.0, 1.0]


def test_what_leaving_a_turn_to_chance_gives_up_is_counted_within_the_best_class(world: World) -> None:
    policy = SlatePolicy(tiers=np.array([1, 0, 0, 1], np.int8))
    seeds, costs = np.arange(20, dtype=np.uint64), set[tuple[int, float]]()
    for seed in seeds:
        everybody = Exploration("epsilon", epsilon=1.0)
        slate = world.answer(policy, limits={"hero": 1}, exploration=everybody, seeds=seeds[[seed]]).slate
        costs.add((int(slate.action[0]), float(slate.expected_cost[0])))
    assert costs == {(1, 0.0), (2, 1.0)}
