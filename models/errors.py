"""What can go wrong with models, as one family that a command line or a start-up can catch."""

from feature_store.errors import Mendable


class ModelError(Mendable):
    """The base of everything that is wrong with a model or with what it is made of."""


class ModelRefused(ModelError):
    """A model in the registry that must not serve, and why."""

    def __init__(self, name: str, version: str | None, reason: str) -> None:
        self.name = name
        self.version = version
        self.reason = reason
        super().__init__(f"model '{name}'" + (f" version {version}" if version else "") + f": {reason}")


class PreloadRefused(ModelError):
    """At least one of the models asked for must not serve, so none does; `refusals` has every reason."""

    def __init__(self, refusals: tuple[ModelRefused, ...]) -> None:
        self.refusals = refusals
        super().__init__("\n".join(str(refusal) for refusal in refusals))


class TrainingError(ModelError):
    """The data or the declarations can't make a model; the message says what would be right."""
