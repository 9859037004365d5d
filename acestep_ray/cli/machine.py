"""Commands for the machine that runs the service: serve, doctor, convert, make-tiny-checkpoint,
migrate-store."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from acestep_ray import configs
from acestep_ray.cli.download_model import offer_models
from acestep_ray.cli.groups import MODELS, SERVICE

TINY_LM = "acestep-5Hz-lm-0.6B"
"""Name of the tiny language model, in the style of the published names."""

Config = Annotated[
    Path,
    typer.Argument(
        metavar="CONFIG",
        help=f"A file, or one that comes with the package: {configs.MOCK} (mock models) or "
        f"{configs.REAL} (real ones, from ACESTEP_CHECKPOINTS).",
    ),
]
Port = Annotated[
    int | None, typer.Option(help="HTTP port.", show_default="ACESTEP_PORT, else 8001")
]
Host = Annotated[
    str | None, typer.Option(help="Address to listen on.", show_default="the config's")
]


class Dtype(StrEnum):
    """Number formats of a converted checkpoint. Listed so that help needs no torch."""

    BF16 = "bf16"
    FP16 = "fp16"
    FP32 = "fp32"


class Layout(StrEnum):
    """Layouts of a checkpoint."""

    UPSTREAM = "upstream"
    DIFFUSERS = "diffusers"


class Size(StrEnum):
    """Sizes of a made checkpoint. Listed so that help needs no torch."""

    TINY = "tiny"
    FULL_2B = "full-2b"
    FULL_XL = "full-xl"


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(rich_help_panel=SERVICE)(serve)
    app.command(rich_help_panel=SERVICE)(doctor)
    app.command(rich_help_panel=MODELS)(convert)
    app.command("make-tiny-checkpoint", rich_help_panel=MODELS)(make_tiny_checkpoint)
    app.command("migrate-store", rich_help_panel=MODELS)(migrate_store)


def serve(
    config: Config = configs.MOCK,
    port: Port = None,
    host: Host = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the whole log.")] = False,
) -> None:
    """Check the config and the port, then run the service until Ctrl-C."""
    from acestep_ray.startup.launcher import serve as run

    file = configs.find(config)
    offer_models(file)
    raise typer.Exit(run(file, port, verbose, host))


def doctor(
    config: Config = configs.MOCK,
    port: Port = None,
    host: Host = None,
    json: Annotated[bool, typer.Option("--json", help="The results as JSON.")] = False,
) -> None:
    """Check this machine and the settings, and show what to do about what is wrong."""
    from acestep_ray.startup.doctor.command import doctor as check

    raise typer.Exit(check(configs.find(config), port, host, as_document=json))


def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The checkpoints/ folder.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="Folder to write.")],
    model: Annotated[
        str, typer.Option(help="acestep-v15-..., if SRC holds several.", show_default=False)
    ] = "",
    dtype: Annotated[Dtype, typer.Option(help="Number format of the weights.")] = Dtype.BF16,
) -> None:
    """Write an upstream checkpoint as diffusers does."""
    _need_model_libraries()
    from acestep_ray.decoder.checkpoints import commands

    commands.convert(source, target, model, dtype.value)


def make_tiny_checkpoint(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write.")],
    layout: Annotated[Layout, typer.Option(help="Whose layout.")] = Layout.UPSTREAM,
    base: Annotated[bool, typer.Option("--base", help="A base model instead of turbo.")] = False,
    seed: Annotated[int, typer.Option(help="Of the random weights.")] = 0,
    size: Annotated[Size, typer.Option(help="Sizes of its layers.")] = Size.TINY,
) -> None:
    """Write random weights that the real engine runs on any CPU. They sound like noise."""
    _need_model_libraries()
    from acestep_ray.decoder.checkpoints import commands

    commands.make_tiny_checkpoint(folder, layout.value, base, seed, size=size.value)
    if layout is Layout.UPSTREAM and size is Size.TINY:
        from acestep_ray.planner.transformers.tiny import make_tiny_lm

        typer.echo(f"writing {TINY_LM}")
        make_tiny_lm(folder / TINY_LM, seed)


def _need_model_libraries() -> None:
    """Raises CheckpointError if one of them is not installed."""
    try:
        import acestep_ray.decoder.checkpoints.commands  # noqa: F401
    except ModuleNotFoundError as error:
        from acestep_ray.errors import CheckpointError

        raise CheckpointError(
            f"{error.name} is not installed: pip install 'acestep-ray[gpu]'."
        ) from error


def migrate_store(
    source: Annotated[str, typer.Argument(metavar="SRC", help="sqlite:///FILE")],
    target: Annotated[
        str,
        typer.Argument(
            metavar="DST", help="redis://HOST:PORT/DB; its password: ACESTEP_STORE_PASSWORD"
        ),
    ],
) -> None:
    """Copy the jobs from SQLite to Redis."""
    from acestep_ray.cli.moving import move_jobs

    typer.echo(move_jobs(source, target))
