"""What keeps a simulation from running."""


class SimulationError(Exception):
    """The workspace, the folder or the service is not fit for it; the message says what to do."""
