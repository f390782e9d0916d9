"""What can go wrong with a run."""


class OutboundError(Exception):
    """A run that can't be begun or gone on with, and what to do about it. What is done is kept."""
