"""Settings: each is an environment variable `ARBITER_*`, and the command line sets the same."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.choosing import Choice

DAY = 86_400.0

LEAST_SECRET = 16
"""Characters."""

Count = Annotated[int, Field(ge=1)]
Days = Annotated[float, Field(gt=0, le=36_500)]
Milliseconds = Annotated[float, Field(gt=0, le=60_000)]


class Settings(BaseSettings):
    """How one service runs. What a business decides stands in the workspace, not here."""

    model_config = SettingsConfigDict(env_prefix="ARBITER_", extra="ignore")

    workspace: Path = Field(Path("examples/telco"), description="The workspace to serve.")
    data: Path = Field(
        Path(".arbiter"), description="Where the embedded store, the secret and demo data are kept."
    )
    host: str = Field("127.0.0.1", min_length=1, description="The address to listen on.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(8080, description="The port to listen on.")
    workers: Count = Field(1, description="How many processes serve.")
    redis_url: str | None = Field(
        None,
        description="The store: redis://, rediss://, unix:// or redis-cluster://host:port,... "
        "Without it `arbiter run` starts an embedded one, and `arbiter serve` asks redis://127.0.0.1:6379.",
    )
    store_timeout_ms: Milliseconds = Field(
        250, description="How long a read or write of the store may take before the store counts as away."
    )
    store_retry_ms: Milliseconds = Field(
        250, description="How long decisions go on without a store that is away before it is asked again."
    )
    customer_ttl_days: Days | None = Field(
        None, description="Forget a customer that was not written for so long. Without it, never."
    )
    outcome_log_length: Count = Field(
        1_000_000,
        description="About how many entries of outcomes (an entry is one batch) the store keeps until a "
        "consumer has written them into files; older ones are lost then.",
    )
    event_log_length: Annotated[int, Field(ge=0)] = Field(
        100_000,
        description="About how many entries the stream of events keeps (an entry is one batch); 0: none.",
    )
    decision_log_length: Annotated[int, Field(ge=0)] = Field(
        20_000,
        description="About how many entries of decisions (one has some sixty, fewer where they are rare) the "
        "store keeps until a consumer has written them into files; older ones are lost then. 0: no log.",
    )
    deadline_ms: Milliseconds = Field(
        50, description="By when a decision is answered if the request says nothing."
    )
    max_batch: Count = Field(128, description="How many requests are decided together at most.")
    max_waiting: Count = Field(
        4096, description="How many requests may wait; one more is answered 503 at once."
    )
    max_body_bytes: Count = Field(2_000_000, description="The largest request body that is read.")
    scorer: Choice = Field(
        "auto",
        description="What scores models of trees: lightgbm (its library), compiled (machine code of ours, "
        "which gives the same scores to the last bit, and refuses a model that it can't score), or auto: the "
        "faster of the two.",
    )
    token_secret: SecretStr | None = Field(
        None,
        description="Signs outcome tokens; at least 16 characters, the same on all machines. Without it a "
        "secret is made once and kept in the data folder.",
    )
    token_days: Days = Field(30, description="For how long an outcome is accepted after its decision.")
    replay_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01,
        description="Which share of the decisions is recorded, so that `arbiter replay` can make them again. "
        "`arbiter run` records all, unless told otherwise.",
    )
    replay_days: Days = Field(7, description="For how long a recorded decision is kept.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error."
    )

    @field_validator("token_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret) < LEAST_SECRET:
            raise ValueError(f"must have at least {LEAST_SECRET} characters, not {len(secret)}")
        return secret

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, level: Any) -> Any:
        return level.lower() if isinstance(level, str) else level

    @property
    def customer_ttl_seconds(self) -> int | None:
        """How long a customer is kept, in whole seconds; None is for ever."""
        return None if self.customer_ttl_days is None else max(1, round(self.customer_ttl_days * DAY))

    @property
    def replay_seconds(self) -> int:
        """How long a recorded decision is kept, in whole seconds."""
        return max(1, round(self.replay_days * DAY))

    @property
    def token_seconds(self) -> float:
        """For how long a token is good."""
        return self.token_days * DAY
