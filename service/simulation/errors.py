"""What keeps a simulation from running."""

from feature_store.errors import Mendable


class SimulationError(Mendable):
    """The workspace, the folder or the service is not fit for it; the message says what to do."""
