"""`arbiter`: the command line."""

from service.cli.interrupts import stopped_at_once

with stopped_at_once():
    import typer

    from service.cli.batch import batch
    from service.cli.bench import bench
    from service.cli.diff import diff
    from service.cli.evaluate import evaluate
    from service.cli.explain import explain
    from service.cli.import_model import import_model
    from service.cli.labels import labels
    from service.cli.load import load
    from service.cli.log import log
    from service.cli.models import challenge, models, promote, rollback, shadow, withdraw
    from service.cli.replay import replay
    from service.cli.report import report
    from service.cli.run import run
    from service.cli.serve import serve
    from service.cli.simulate import simulate
    from service.cli.train import train
    from service.cli.validate import validate
    from service.cli.world import world

app = typer.Typer(
    name="arbiter",
    help="Real-time next best actions: one brain for marketing, sales and service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    run,
    serve,
    explain,
    world,
    load,
    train,
    import_model,
    models,
    promote,
    rollback,
    shadow,
    challenge,
    withdraw,
    validate,
    diff,
    evaluate,
    simulate,
    replay,
    batch,
    log,
    labels,
    report,
):
    app.command()(command)
app.command(
    add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)(bench)


def main() -> None:
    """Entry point of the `arbiter` command."""
    app()


if __name__ == "__main__":
    main()
