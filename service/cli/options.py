"""Arguments and options that several commands share, and what they say of themselves."""

from pathlib import Path
from typing import Annotated

import typer

Workspace = Annotated[Path, typer.Argument(help="A workspace folder.", show_default=False)]
WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace", help="A workspace folder.", show_default="ARBITER_WORKSPACE, or examples/telco"
    ),
]
RedisUrl = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        help="The store: redis://, rediss://, unix:// or redis-cluster://host:port,... "
        "[env: ARBITER_REDIS_URL]",
        show_default=False,
    ),
]
Host = Annotated[
    str | None, typer.Option("--host", help="The address to listen on.", show_default="127.0.0.1")
]
Port = Annotated[int | None, typer.Option("--port", help="The port to listen on.", show_default="8080")]
Workers = Annotated[int | None, typer.Option("--workers", help="How many processes serve.", show_default="1")]
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=2**31 - 1, help="The same seed gives the same result.")
]
