"""The page /docs, for those who have no internet."""

import re

from tests.unit.api.harness import ApiHarness, problem_of


async def test_the_page_and_its_files_come_from_the_service_alone(api: ApiHarness) -> None:
    page = await api.http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "//" not in page.text.replace("// ", ""), "an address with a host"
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(named) == 3 and "openapi.json" in page.text
    for prefix in ("/", "/api/"):
        for name in named:
            file = await api.http.get(prefix + name)
            assert file.status_code == 200 and len(file.content) > 500, name
            assert file.headers["cache-control"] == "public, max-age=86400"
        assert (await api.http.get(f"{prefix}openapi.json")).status_code == 200


async def test_nothing_else_of_the_package_is_served(api: ApiHarness) -> None:
    for name in ("__init__.py", "..%2Fmain.py", "x"):
        problem_of(await api.http.get(f"/docs/{name}"), 404, "not_found")
