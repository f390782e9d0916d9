"""What a request becomes when its batch begins."""

from itertools import islice
from uuid import RFC_4122, UUID

from service.runtime.pending import DRAWN_AHEAD, random_ids


def test_ids_are_random_uuids_that_end_in_their_seed() -> None:
    drawn = dict(islice(random_ids(), 3 * DRAWN_AHEAD))
    assert len(set(drawn.values())) == len(drawn) == 3 * DRAWN_AHEAD
    for id_, seed in drawn.items():
        uuid = UUID(id_)
        assert (str(uuid), uuid.version, uuid.variant) == (id_, 4, RFC_4122)
        assert uuid.int & (2**64 - 1) == seed


def test_nobody_draws_the_ids_of_another() -> None:
    assert set(islice(random_ids(), 10)).isdisjoint(islice(random_ids(), 10))
