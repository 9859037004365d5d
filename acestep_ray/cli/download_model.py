"""``acestep-ray download-model``: published models into the checkpoints folder."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acestep_ray.cli.exit_status import ExitStatus
from acestep_ray.cli.groups import MODELS
from acestep_ray.cli.output import is_interactive, show_line

if TYPE_CHECKING:
    from acestep_ray.downloads.hub import Wanted
    from acestep_ray.settings import Settings

FOLDER = Path("checkpoints")
"""The checkpoints folder if the settings name none."""
LARGE_GPU = 20_000_000_000
"""Bytes of GPU memory from which the larger language model is chosen."""

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL",
        help="acestep-v15-... or acestep-5Hz-lm-...; or OWNER/NAME, a repository in the layout of "
        "diffusers.",
        show_default="those that the settings choose, else turbo and a language model",
    ),
]
Target = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="DIR",
        help="The checkpoints folder.",
        show_default="ACESTEP_CHECKPOINTS, else checkpoints",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("download-model", rich_help_panel=MODELS)(download_model)


def download_model(
    models: Names = None,
    to: Target = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show sizes, licences and what fits.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Download published models and check them; go on where an earlier download stopped.

    HF_ENDPOINT names a mirror of the hub, HF_TOKEN a token for it.
    """
    from pydantic import ValidationError

    from acestep_ray.settings import Settings
    from acestep_ray.settings.mistakes import in_words

    try:
        settings = Settings()
    except ValidationError as error:
        for one in error.errors():
            show_line(f"{'.'.join(map(str, one['loc']))}: {in_words(one, Settings)}")
        raise typer.Exit(ExitStatus.REFUSED) from error
    names = models or chosen_models(settings)
    folder = to or settings.checkpoints or FOLDER
    raise typer.Exit(download_models(names, folder.absolute(), dry_run=dry_run, asks=not yes))


def looks_like_model(name: str) -> bool:
    """Whether it is the name of a model, and not the id of a job."""
    return name.startswith("acestep-") or "/" in name


def chosen_models(settings: "Settings") -> list[str]:
    """The models that the settings choose; else turbo, and the language model for this GPU."""
    from acestep_ray.decoder.checkpoints.layout import DEFAULT_MODEL

    large = max(_gpu_memory(), default=0) >= LARGE_GPU
    fitting = "acestep-5Hz-lm-1.7B" if large else "acestep-5Hz-lm-0.6B"
    return [settings.dit.model or DEFAULT_MODEL, settings.lm.model or fitting]


def offer_models(config: Path) -> None:
    """If this Serve config has real engines and there are no checkpoints, ask whether to download
    some, if a person can answer. They are used by this process and its children."""
    if not is_interactive():
        return
    from acestep_ray.startup.checks import Refused
    from acestep_ray.startup.refusals import engines_of
    from acestep_ray.startup.serve_config import configured, read_document

    try:
        settings = configured(config, read_document(config)).settings
    except Refused:
        return  # the start shows it
    folder = (settings.checkpoints or FOLDER).absolute()
    there = settings.checkpoints is not None and folder.is_dir() and any(folder.iterdir())
    if there or engines_of(settings) == ["mock"]:
        return
    show_line(f"there are no models in {folder}")
    status = download_models(chosen_models(settings), folder)
    if status not in (ExitStatus.OK, ExitStatus.REFUSED):
        raise typer.Exit(status)
    if status is ExitStatus.OK:
        os.environ["ACESTEP_CHECKPOINTS"] = str(folder)


def download_models(
    names: Sequence[str], folder: Path, *, dry_run: bool = False, asks: bool = True
) -> ExitStatus:
    """Show what is wanted, and download what is missing into ``folder``. ``asks``: first, if a
    person can answer."""
    from acestep_ray.downloads.catalogue import UnknownModel, parts_of

    try:
        from acestep_ray.downloads import hub
    except ModuleNotFoundError as error:
        show_line(
            f"{error.name} is not installed: make engines, or pip install 'acestep-ray[gpu]'."
        )
        return ExitStatus.REFUSED
    # The library's threads would be waited for, and what they wait for may never come.
    before = signal.signal(signal.SIGINT, _stop)
    try:
        wanted = hub.look_up(parts_of(names), folder)
        _show(names, wanted, folder)
        missing = [one for one in wanted if one.missing]
        if dry_run or not missing:
            return ExitStatus.OK
        hub.refuse_full_disk(missing, folder)
        if asks and is_interactive() and not typer.confirm("Download?", default=True, err=True):
            return ExitStatus.REFUSED
        for one in missing:
            show_line(f"{one.part.repository} …")
            hub.download(one, folder)
        show_line("comparing checksums …")
        for one in missing:
            hub.check(one, folder)
    except UnknownModel as error:
        show_line(str(error))
        return ExitStatus.REFUSED
    except hub.DownloadError as error:
        show_line(str(error))
        return ExitStatus.FAILED
    finally:
        signal.signal(signal.SIGINT, before)
    show_line(f"done: ACESTEP_CHECKPOINTS={folder} make serve-real")
    return ExitStatus.OK


def _stop(number: int, _: object) -> None:
    show_line("stopped; the same command goes on where it stopped")
    os._exit(ExitStatus.INTERRUPTED)


def _show(names: Sequence[str], wanted: "Sequence[Wanted]", folder: Path) -> None:
    """What is wanted, on stdout."""
    from acestep_ray.downloads.catalogue import MODELS as PUBLISHED
    from acestep_ray.downloads.hub import gigabytes

    for one in wanted:
        missing = f"{gigabytes(one.missing)} missing" if one.missing else "all there"
        typer.echo(
            f"{one.part.repository} (licence: {one.licence}) into {folder / one.part.folder}: "
            f"{one.files} files, {gigabytes(one.size)}, {missing}"
        )
    memory = _gpu_memory()
    for model in PUBLISHED:
        if model.name in names:
            fits = [f"{size / 1e9:.1f} GB: {_verdict(model.gpu_gb, size)}" for size in memory]
            has = f"this machine has {', '.join(fits)}" if fits else "no GPU was found here"
            typer.echo(f"{model.name} needs {model.gpu_gb:g} GB of a GPU; {has}")


def _verdict(needed_gb: float, size: int) -> str:
    return "fits" if needed_gb * 1e9 <= size else "does not fit"


def _gpu_memory() -> list[int]:
    """Bytes of each GPU of this machine."""
    from acestep_ray.startup.doctor.nvidia import DriverError, visible_gpus

    try:
        return [gpu.total for gpu in visible_gpus()]
    except DriverError:
        return []
