"""What can go wrong with a run."""

from feature_store.errors import Mendable


class OutboundError(Mendable):
    """A run that can't be begun or gone on with, and what to do about it. What is done is kept."""
