"""The program `osteomet`: its commands, and how errors become messages and exit codes."""

from __future__ import annotations

import sys

import typer

from osteomet import __version__
from osteomet.cli import (
    analyze,
    classify,
    convert,
    demo,
    evaluate,
    insert,
    model,
    predict,
    radiomics,
    reproduce,
    resample,
    synth,
    train,
)
from osteomet.core.errors import OsteometError

app = typer.Typer(
    name="osteomet",
    help="Find, outline, type, locate and measure bone metastases. Research software, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.command()(analyze.analyze)
app.command()(synth.synth)
app.command()(insert.insert)
app.command()(evaluate.evaluate)
app.command()(train.train)
app.command()(reproduce.reproduce)
app.command()(predict.predict)
app.command()(resample.resample)
app.command()(convert.convert)
app.add_typer(radiomics.app, name="radiomics")
app.add_typer(classify.app, name="classify")
app.add_typer(model.app, name="model")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"osteomet {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Find, outline, type, locate and measure bone metastases. Research software, not a medical device."""


def main() -> None:
    """Run the program; exit code 0 done, 2 usage, 3 input, 4 model, 5 internal."""
    try:
        app(prog_name="osteomet")
    except OsteometError as error:
        _fail(str(error), error, code=error.exit_code)
    except Exception as error:
        text = f"{type(error).__name__}: {error}; this is a fault in osteomet: run again with --verbose and report it"
        _fail(text, error, code=OsteometError.exit_code)


def _fail(text: str, error: Exception, *, code: int) -> None:
    """Print the message, and with ``--verbose`` where it came from, then leave."""
    if "--verbose" in sys.argv:
        import traceback

        traceback.print_exception(error)
    print(f"osteomet: {text}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
