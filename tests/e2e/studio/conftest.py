"""The Studio of a service with mock engines, in Debian's Chromium."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import chromium
from tests.e2e.studio.studio_page import PATIENCE_MS, StudioPage
from tests.one_process import OneProcess, one_process

OpenStudio = Callable[..., StudioPage]

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneProcess]:
    """A service that most tests share; each is a visitor of its own."""
    with one_process(
        data=tmp_path_factory.mktemp("studio"), mock={"step_seconds": 0.02}
    ) as service:
        yield service


@pytest.fixture
def visit(browser: Browser) -> Iterator[OpenStudio]:
    """Opens the Studio at an address for a new visitor; closed after the test."""
    opened: list[StudioPage] = []

    def visit(url: str, **context: Any) -> StudioPage:
        opened.append(StudioPage.open(browser, url, **context))
        return opened[-1]

    try:
        yield visit
    finally:
        with suppress(Exception):
            for studio in opened[1:]:
                studio.page.unroute_all(behavior="ignoreErrors")
                studio.page.context.close()
        if opened:
            opened[0].close()


@pytest.fixture
def studio(visit: OpenStudio, mock: OneProcess) -> StudioPage:
    """The Studio of the shared service, on a desktop."""
    return visit(mock.url)
