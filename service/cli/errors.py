"""From what went wrong to what the user should do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from feature_store.documents import WorkspaceError
from feature_store.errors import Mendable
from feature_store.store import StoreUnavailable
from models.errors import PreloadRefused
from service.cli.console import fail

_PYDANTIC = re.compile(r"^(Value error, |(Input|String|Value) (?=should))")
"""How a message of pydantic begins, which says nothing to who has set a variable."""


@contextmanager
def explained() -> Iterator[None]:
    """Turn the errors that a user can mend into a message and exit status 1; others are ours and keep their
    trace."""
    try:
        yield
    except WorkspaceError as error:
        number = len(error.problems)
        fail(f"{error}\n{number} problem{'s' if number > 1 else ''} to mend")
    except ValidationError as error:
        fail("\n".join(_setting(detail["loc"], detail["msg"]) for detail in error.errors(include_url=False)))
    except PreloadRefused as error:
        fail(f"{error}\n`arbiter train WORKSPACE` makes new versions of all models")
    except Mendable as error:
        fail(error.explanation)
    except StoreUnavailable as error:
        fail(f"the store is away: {error}")
    except PermissionError as error:
        fail(f"{error.filename}: permission denied; set ARBITER_DATA to a folder that can be written")
    except OSError as error:
        fail(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))


def _setting(loc: tuple[int | str, ...], message: str) -> str:
    name = "_".join(str(part) for part in loc).upper()
    return f"ARBITER_{name}: {_PYDANTIC.sub('', message).replace('should', 'must', 1)}"
