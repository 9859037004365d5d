"""The command line: ``acestep-ray serve``, ``doctor``, ``migrate-store``, ``convert``,
``make-tiny-checkpoint``."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr

from acestep_ray import __version__, configs
from acestep_ray.errors import CheckpointError
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.errors import StoreUnavailable, StoreUnsuitable
from acestep_ray.jobs.store.factory import sqlite_file
from acestep_ray.jobs.store.migration.migrate import migrate
from acestep_ray.settings.store_url import checked_store_url, store_kind
from acestep_ray.startup.checks import Refused
from acestep_ray.startup.launcher import serve
from acestep_ray.startup.terminal import show_line

TINY_LM = "acestep-5Hz-lm-0.6B"
"""Name of the tiny language model, in the style of the published names."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0 on success, 2 if something was refused. That of
    ``doctor`` is 1 if it found a problem."""
    parser = argparse.ArgumentParser(prog="acestep-ray", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="check the config and the port, then run the app")
    _add_config(serving)
    serving.add_argument("--verbose", action="store_true", help="show the whole log")
    checking = commands.add_parser(
        "doctor", help="check this machine and the settings, and show what to do about it"
    )
    _add_config(checking)
    checking.add_argument("--json", action="store_true", help="the results as JSON")
    moving = commands.add_parser("migrate-store", help="copy the jobs from SQLite to Redis")
    moving.add_argument("source", metavar="SRC", help="sqlite:///FILE")
    moving.add_argument(
        "target", metavar="DST", help="redis://HOST:PORT/DB; its password: ACESTEP_STORE_PASSWORD"
    )
    _add_checkpoint_commands(commands)
    options = parser.parse_args(argv)
    try:
        if options.command in ("convert", "make-tiny-checkpoint"):
            return _checkpoints(options)
        if options.command == "migrate-store":
            return _migrate_store(options.source, options.target)
        if options.command == "doctor":
            from acestep_ray.startup.doctor.command import doctor  # noqa: PLC0415  (slow to import)

            config = configs.find(options.config)
            return doctor(config, options.port, options.host, as_document=options.json)
        return serve(configs.find(options.config), options.port, options.verbose, options.host)
    except (Refused, CheckpointError, StoreUnavailable, StoreUnsuitable) as refusal:
        show_line(str(refusal), "ERROR")
        return 2


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "config",
        nargs="?",
        type=Path,
        default=configs.MOCK,
        metavar="CONFIG",
        help=f"a file, or one that comes with the package: {configs.MOCK} (mock models; the "
        f"default) or {configs.REAL} (real ones, from ACESTEP_CHECKPOINTS)",
    )
    command.add_argument("--port", type=int, help="HTTP port (default: ACESTEP_PORT, else 8001)")
    command.add_argument("--host", help="address to listen on (default: the config's)")


def _migrate_store(source: str, target: str) -> int:
    try:
        for url in (source, target):
            checked_store_url(SecretStr(url))
    except ValueError as error:
        raise Refused(f"{error}.") from error
    if [store_kind(url) for url in (source, target) if url] != ["sqlite", "redis"]:
        raise Refused("jobs are moved from SRC, sqlite:///FILE, to DST, redis://HOST:PORT/DB.")
    file, password = sqlite_file(source), os.environ.get("ACESTEP_STORE_PASSWORD")
    counts = migrate(file, target, password)
    print(
        f"All {sum(counts.jobs.values()):,} jobs are there, {counts.jobs[Status.QUEUED]:,} of them "
        "queued. Start the service with ACESTEP_STORE set to it. The audio stays where it is: "
        "ACESTEP_ARTIFACTS (or ACESTEP_DATA) must name the same place as before. "
        f"{file} is left as it was; do not run a service on it any more."
    )
    return 0


def _add_checkpoint_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    convert = commands.add_parser("convert", help="write an upstream checkpoint as diffusers does")
    convert.add_argument("source", metavar="SRC", type=Path, help="the checkpoints/ folder")
    convert.add_argument("target", metavar="DST", type=Path, help="folder to write")
    convert.add_argument("--model", default="", help="acestep-v15-..., where SRC holds several")
    convert.add_argument("--dtype", choices=("bf16", "fp16", "fp32"), default="bf16")
    tiny = commands.add_parser(
        "make-tiny-checkpoint", help="write random weights that the real engine runs on any CPU"
    )
    tiny.add_argument("folder", metavar="DIR", type=Path)
    tiny.add_argument("--layout", choices=("upstream", "diffusers"), default="upstream")
    tiny.add_argument("--base", action="store_true", help="a base model (default: turbo)")
    tiny.add_argument("--seed", type=int, default=0)
    tiny.add_argument("--size", choices=("tiny", "full-2b", "full-xl"), default="tiny")


def _checkpoints(options: argparse.Namespace) -> int:
    try:
        from acestep_ray.decoder.checkpoints import commands  # noqa: PLC0415  (torch)
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"{error.name} is not installed: pip install 'acestep-ray[gpu]'."
        ) from error
    if options.command == "convert":
        commands.convert(options.source, options.target, options.model, options.dtype)
    else:
        commands.make_tiny_checkpoint(
            options.folder, options.layout, options.base, options.seed, size=options.size
        )
        if options.layout == "upstream" and options.size == "tiny":
            from acestep_ray.planner.transformers.tiny import make_tiny_lm  # noqa: PLC0415  (torch)

            print(f"writing {TINY_LM}")
            make_tiny_lm(options.folder / TINY_LM, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
