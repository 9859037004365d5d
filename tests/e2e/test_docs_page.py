"""The page /docs in a real browser that reaches no other host."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium
from tests.one_process import one_process


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_the_operations_are_shown_and_can_be_tried(browser: Browser, tmp_path: Path) -> None:
    with one_process(data=tmp_path) as service, browser.new_context() as context:
        page = context.new_page()
        asked: list[str] = []
        wrong: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda one: wrong.extend([one.text] if one.type == "error" else []))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        for base in ("", "/api"):
            page.goto(f"{service.url}{base}/docs")
            operation = page.locator("#operations-service-health")
            operation.wait_for()
            assert page.locator(".opblock").count() > 20
        page.goto(f"{service.url}/docs")
        operation.click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        response = operation.locator(".live-responses-table .microlight").first
        response.wait_for()
        assert '"service": "acestep-ray"' in response.inner_text()
        assert f"{service.url}/health" in asked
        foreign = [url for url in asked if not url.startswith((f"{service.url}/", "data:"))]
        assert foreign == [] and wrong == []
