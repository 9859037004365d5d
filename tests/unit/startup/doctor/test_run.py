"""Checks run side by side, end in time, and never end the doctor."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from acestep_ray.errors import SettingError
from acestep_ray.startup.doctor.report import as_json, as_text, exit_status, without_secrets
from acestep_ray.startup.doctor.result import Check, Level, Result, ok, problem, warning
from acestep_ray.startup.doctor.run import run_checks
from acestep_ray.startup.doctor.setup import Setup

SETUP = Setup(Path("config.yaml"), None)


def run(*checks: Check) -> list[tuple[str, Result]]:
    return list(run_checks(SETUP, checks))


def test_a_check_that_hangs_is_left_alone_and_what_it_found_is_shown() -> None:
    never = threading.Event()

    def hang(_: Setup) -> Iterator[Result]:
        yield warning("First.")
        never.wait()

    found = run(Check("a", hang, seconds=0.2, needs_settings=False))
    assert [(name, result.level) for name, result in found] == [
        ("a", Level.WARNING),
        ("a", Level.PROBLEM),
    ]
    assert "this machine did not answer within 0.2 s" in found[1][1].message
    never.set()


def test_checks_wait_for_each_other_in_parallel() -> None:
    """Both meet: one after the other, neither would get on."""
    both = threading.Barrier(2, timeout=60)

    def meet(_: Setup) -> Iterator[Result]:
        both.wait()
        yield ok("There.")

    checks = [Check(name, meet, seconds=60, needs_settings=False) for name in ("a", "b")]
    assert {result.level for _, result in run(*checks)} == {Level.OK}


def test_an_error_with_a_cure_is_a_problem_and_another_shows_no_secret() -> None:
    def refuse(_: Setup) -> Iterator[Result]:
        raise SettingError("This is wrong; do that.")
        yield

    def fail(_: Setup) -> Iterator[Result]:
        raise RuntimeError("the password is sesame")
        yield

    found = run(Check("a", refuse, needs_settings=False), Check("b", fail, needs_settings=False))
    assert found[0] == ("a", problem("This is wrong; do that."))
    assert found[1][1].level is Level.WARNING
    assert "RuntimeError" in found[1][1].message and "sesame" not in found[1][1].message


def test_what_is_well_is_not_shown_beside_a_problem_of_the_same_check() -> None:
    def both(_: Setup) -> Iterator[Result]:
        yield problem("Bad.")
        yield ok("Good.")

    assert [result.message for _, result in run(Check("a", both, needs_settings=False))] == ["Bad."]


def test_checks_that_need_settings_wait_for_good_ones() -> None:
    def never(_: Setup) -> Iterator[Result]:
        raise AssertionError
        yield

    (found,) = run(Check("a", never))
    assert found[1].level is Level.NOT_CHECKED


REPORTED = [("ray", ok("Good.")), ("job store", problem("Bad; do this.")), ("port", warning("Hm."))]


def test_the_table_has_one_line_per_result_unless_the_terminal_is_narrow() -> None:
    text = as_text("c.yaml", REPORTED)
    assert text.splitlines()[1:] == [
        "ok       ray        Good.",
        "problem  job store  Bad; do this.",
        "warning  port       Hm.",
        "1 problem and 1 warning.",
    ]
    assert max(map(len, as_text("c.yaml", REPORTED, 30).splitlines()[1:])) <= 30
    assert as_text("c", REPORTED[:1]).splitlines()[-1] == "All is well."
    assert as_text("c", REPORTED[2:]).splitlines()[-1] == "No problem, 1 warning."


def test_only_a_problem_changes_the_exit_status() -> None:
    assert exit_status(REPORTED) == 1
    assert exit_status([REPORTED[0], REPORTED[2]]) == 0
    assert '"exit_status": 1' in as_json("c.yaml", REPORTED)


@pytest.mark.parametrize(
    "environment",
    [
        {"AWS_SECRET_ACCESS_KEY": "open sesame"},
        {"ACESTEP_STORE": "redis://user:open%20sesame@host:1/0"},
        {"ANYTHING": "https://user:open%20sesame@host"},
    ],
)
def test_secrets_of_the_environment_are_hidden_wherever_they_come_from(
    environment: dict[str, str],
) -> None:
    text = 'the library wrote "open sesame" and so on'
    assert without_secrets(text, environment, []) == 'the library wrote "***" and so on'
    assert without_secrets(text, {}, ["open sesame"]) == 'the library wrote "***" and so on'


def test_a_short_or_common_secret_does_not_make_the_table_unreadable() -> None:
    text = "a key, and a file /run/key"
    assert without_secrets(text, {"A_KEY": "a", "KEY_FILE": "/run/key"}, []) == text


def test_the_time_of_the_longest_check_is_the_time_of_all() -> None:
    """A fresh sum of all would be minutes for a machine whose network is down."""
    never = threading.Event()

    def hang(_: Setup) -> Iterator[Result]:
        never.wait()
        yield ok("Never.")

    checks = [Check(str(n), hang, seconds=0.5, needs_settings=False) for n in range(20)]
    before = time.thread_time()
    found = run(*checks)
    assert len(found) == 20 and time.thread_time() - before < 60
    never.set()
