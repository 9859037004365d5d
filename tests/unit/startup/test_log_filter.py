"""Which lines of the service's log are shown to the user who starts it."""

import importlib
from collections.abc import Iterator

import pytest

from acestep_ray.errors import ConfigurationError
from acestep_ray.startup import log_filter
from acestep_ray.startup.log_filter import LaunchLog
from tests.service import until

CONTROLLER = "(ServeController pid=1) "
TRACEBACK = [
    f"{CONTROLLER}ERROR controller 1 -- Exception in Replica(id='x', deployment='Planner'\n",
    f"{CONTROLLER}Traceback (most recent call last):\n",
    f'{CONTROLLER}  File "serve/deployment_state.py", line 1, in check_ready\n',
]
SENTENCE = "ACESTEP_LM__DEVICE=cuda cannot be had: leave the setting empty."
FAULT_LINE = f"{CONTROLLER}acestep_ray.errors.SettingError: {SENTENCE}\n"
NEWS = "INFO 2026 serve 1 -- all is well\n"
WARNING = "WARNING 2026 serve 1 -- something\n"


def test_news_of_routine_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    log = LaunchLog(verbose=False)
    log.read([NEWS, WARNING, "\n"])
    assert capsys.readouterr().err == WARNING
    assert not log.failed.is_set()


def test_a_traceback_that_ends_in_our_sentence_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = LaunchLog(verbose=False)
    log.read([WARNING, *TRACEBACK, FAULT_LINE, "System error:\n", *TRACEBACK])
    assert capsys.readouterr().err == WARNING
    assert log.faults == [SENTENCE]
    assert log.failed.is_set()


def test_a_token_that_ray_misses_is_shown_in_its_own_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """This happens to users who have set RAY_AUTH_MODE=token for another cluster."""
    sentence = "RAY_AUTH_TOKEN_PATH is set but file cannot be opened or is empty: /nowhere."
    log = LaunchLog(verbose=False)
    log.read([TRACEBACK[1], TRACEBACK[2], f"ray.exceptions.AuthenticationError: {sentence}\n"])
    assert capsys.readouterr().err == ""
    assert log.faults == [sentence]


def test_any_other_traceback_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [*TRACEBACK, f"{CONTROLLER}ZeroDivisionError: division by zero\n", WARNING]
    LaunchLog(verbose=False).read(lines)
    assert capsys.readouterr().err == "".join(lines)


def test_it_is_shown_though_nothing_comes_after_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if Serve tries a replica several times."""
    monkeypatch.setattr(log_filter, "HELD_SECONDS", 0.1)
    log = LaunchLog(verbose=False)
    shown = ""

    def all_shown() -> bool:
        nonlocal shown
        shown += capsys.readouterr().err
        return shown == "".join(TRACEBACK)

    def lines() -> Iterator[str]:
        yield from TRACEBACK
        until(all_shown, "the traceback is held back for ever")

    log.read(lines())


def test_a_service_that_is_up_shows_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """For a replica that starts later, no other code reports errors."""
    log = LaunchLog(verbose=False)
    log.started()
    log.read([*TRACEBACK, FAULT_LINE])
    assert capsys.readouterr().err == "".join([*TRACEBACK, FAULT_LINE])


def test_verbose_shows_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    log = LaunchLog(verbose=True)
    log.read([NEWS, *TRACEBACK, FAULT_LINE])
    assert capsys.readouterr().err == "".join([NEWS, *TRACEBACK, FAULT_LINE])
    assert log.faults == [SENTENCE]


def test_the_figures_that_end_a_raylets_log_are_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    death = "(raylet) Raylet is terminated. Last 20 lines of the Raylet logs:\n"
    figures = ["    [state-dump] - objects unsealed: 0\n", "    0 pending objects\n", "\n"]
    LaunchLog(verbose=False).read([death, *figures, WARNING])
    assert capsys.readouterr().err == death + WARNING
    LaunchLog(verbose=True).read([death, *figures, WARNING])
    assert capsys.readouterr().err == "".join([death, *figures, WARNING])


def kinds(error: type[Exception]) -> Iterator[type[Exception]]:
    for kind in error.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_configuration_error_is_shown() -> None:
    modules = (
        "acestep_ray.cli.moving",
        "acestep_ray.startup.launcher",
        "acestep_ray.startup.doctor.command",
        "deployments.app",
    )
    for module in modules:
        importlib.import_module(module)  # with everything that can keep the service from starting
    found = {kind.__name__ for kind in kinds(ConfigurationError)}
    assert len(found) > 5
    shown = {name for name in found if log_filter.FAULT.search(f"some.module.{name}: why")}
    assert shown == found
