"""What went wrong that whoever runs a command can mend."""


class Mendable(Exception):
    """The message says what is wrong, or what to do. What is none of this kind is a fault of ours."""

    @property
    def explanation(self) -> str:
        """What to say where nothing but this is said."""
        return str(self)
