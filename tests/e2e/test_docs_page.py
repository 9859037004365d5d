"""The page /docs in a real browser that reaches no other host."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

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


def test_with_a_key_the_page_is_there_and_the_button_authorize_takes_it(
    browser: Browser, tmp_path: Path
) -> None:
    with one_process(data=tmp_path, api_key="s3cret") as service, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{service.url}/docs")
        operation = page.locator("#operations-service-stats")
        operation.click()
        operation.get_by_role("button", name="Try it out").click()
        execute = operation.get_by_role("button", name="Execute")
        status = operation.locator(".live-responses-table tbody .response-col_status").first
        execute.click()
        expect(status).to_contain_text("401")
        page.get_by_role("button", name="Authorize").first.click()
        dialog = page.locator(".modal-ux")
        dialog.locator("input").fill("s3cret")
        dialog.get_by_role("button", name="Apply credentials").click()
        dialog.locator(".btn-done").click()
        execute.click()
        expect(status).to_contain_text("200")
        # It was not kept: another tab has to be given it, too.
        kept = page.evaluate("JSON.stringify([localStorage, sessionStorage])")
        assert "s3cret" not in kept
