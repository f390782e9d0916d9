"""`arbiter bench`: how fast the service is on this machine, beside others."""

import typer


def bench(context: typer.Context) -> None:
    """Measure decisions with everything on, beside an endpoint that does nothing (`arbiter bench --help`)."""
    from loadtests.bench.command import main  # only whoever measures pays for loading it

    raise SystemExit(main(context.args))
