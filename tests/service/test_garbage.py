"""When nobody looks for garbage."""

import gc

from service.garbage import uncollected


def test_no_garbage_is_looked_for_meanwhile_and_then_as_before() -> None:
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
