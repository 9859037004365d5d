"""The Studio's page and its files: what browsers and proxies get."""

import gzip
import re
from html.parser import HTMLParser

import httpx
import pytest

from acestep_ray.api.studio_files import studio_files
from acestep_ray.studio import FOLDER
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import ApiHarness, problem_of

PAGE_AND_FILE = ["/", f"/studio/{studio_files().digest}/js/main.js"]


class Links(HTMLParser):
    """The addresses of everything that a page loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        self.found += [text for name, text in attributes if name in ("src", "href") and text]
        if tag == "meta" and ("name", "modules") in attributes:
            self.found += (dict(attributes)["content"] or "").split()


async def test_a_browser_gets_the_page_and_all_that_it_names(api: ApiHarness) -> None:
    page = await api.http.get("/")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    links = [link for link in Links(page.text).found if not link.startswith("#")]
    assert len(links) > 30
    for link in links:
        assert link.startswith("studio/"), "only files of the service, by relative addresses"
        assert (await api.http.get(f"/{link}")).status_code == 200, link


async def test_the_first_paint_needs_one_request(api: ApiHarness) -> None:
    page = (await api.http.get("/")).text
    head = page.partition("</head>")[0]
    assert "stylesheet" not in head and "--accent:" in head, "the styles are in the page"
    assert '<script src="' not in head and "studio.theme" in head, "the theme's script, too"
    assert 'type="module"' not in page and 'modulepreload" href' not in page, "they come after it"


async def test_every_module_is_listed(api: ApiHarness) -> None:
    """Otherwise a browser would find each only when it has read the one that imports it."""
    page = (await api.http.get("/")).text
    listed = re.search(r'<meta name="modules" content="(.*?)">', page)
    assert listed
    names = [re.sub(r"^studio/\w+/", "", address) for address in listed[1].split(" ")]
    modules = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.js")}
    assert sorted(names) == sorted(name for name in modules if "/first/" not in name)
    assert names[0] == "js/main.js"


@pytest.mark.parametrize("path", PAGE_AND_FILE)
async def test_what_a_browser_has_is_not_sent_again(api: ApiHarness, path: str) -> None:
    first = await api.http.get(path)
    again = await api.http.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("path", PAGE_AND_FILE)
@pytest.mark.parametrize(
    ("accepts", "coded"),
    [("gzip, deflate, br", True), ("br;q=1.0, gzip;q=0.8", True), ("*", True), ("GZIP", True),
     ("identity", False), ("gzip;q=0", False), ("", False)],
)  # fmt: skip
async def test_compressed_only_for_who_can_read_it(
    api: ApiHarness, path: str, accepts: str, coded: bool
) -> None:
    plain = await api.http.get(path, headers={"Accept-Encoding": "identity"})
    async with api.http.stream("GET", path, headers={"Accept-Encoding": accepts}) as answer:
        body = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == ("gzip" if coded else None)
    assert "Accept-Encoding" in answer.headers["vary"]
    assert int(answer.headers["content-length"]) == len(body)
    assert (gzip.decompress(body) if coded else body) == plain.content
    assert (answer.headers["etag"] == plain.headers["etag"]) is not coded


async def test_files_are_kept_for_ever_and_the_page_never_unchecked(api: ApiHarness) -> None:
    page = await api.http.get("/")
    assert page.headers["cache-control"] == "no-cache"
    file = await api.http.get(PAGE_AND_FILE[1])
    assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
    # A page of the release before, during an upgrade: it gets the file, and does not keep it.
    other = await api.http.get("/studio/0123456789abcdef/js/main.js")
    assert (other.status_code, other.headers["cache-control"]) == (200, "no-cache")
    assert other.content == file.content


@pytest.mark.parametrize(
    "path", ["/studio/", "/studio/x", "/studio/x/no.js", "/studio/x/index.html", "/studio/x/",
             "/studio/x/../__init__.py", "/studio/x/__init__.py", "/studio/x/%2e%2e/app.py"],
)  # fmt: skip
async def test_there_are_no_other_files(api: ApiHarness, path: str) -> None:
    problem_of(await api.http.get(f"http://music{path}"), 404, "not_found")


@pytest.mark.parametrize("path", PAGE_AND_FILE)
async def test_head(api: ApiHarness, path: str) -> None:
    same = {"X-Request-ID": "probe"}
    head, get = [await api.http.request(one, path, headers=same) for one in ("HEAD", "GET")]
    assert (head.status_code, head.headers) == (200, get.headers)


async def test_the_page_needs_no_key_and_the_api_does(make_api: MakeHarness) -> None:
    locked = await make_api(api_key="k")
    for prefix in ("", "/api"):
        for path in PAGE_AND_FILE:
            assert (await locked.http.get(prefix + path)).status_code == 200
    for path in ("/v1/jobs", "/studio", "/studiox"):
        problem_of(await locked.http.get(path), 401, "missing_api_key")


async def test_nothing_from_elsewhere_can_run_in_the_page(api: ApiHarness) -> None:
    headers = (await api.http.get("/")).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self' 'sha256-" in policy
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy
    assert headers["x-content-type-options"] == "nosniff"


async def test_takes_of_an_object_store_may_be_fetched(make_api: MakeHarness) -> None:
    api = await make_api(artifacts="s3://bucket", downloads="redirect")
    policy = (await api.http.get("/")).headers["content-security-policy"]
    assert "connect-src 'self' https: http:" in policy
    assert "http" not in policy.replace("connect-src 'self' https: http:", "")


async def test_below_a_base_path_the_page_has_a_slash(api: ApiHarness) -> None:
    """Serve's route_prefix, and the prefix /api: relative names would lead beside the path."""
    transport = httpx.ASGITransport(api.app, root_path="/music")
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as http:
        answer = await http.get("/music?x=1")
        assert (answer.status_code, answer.headers["location"]) == (307, "music/?x=1")
        page = await http.get("/music/")
        assert page.status_code == 200 and page.text == (await api.http.get("/")).text
        assert (await http.get(f"/music{PAGE_AND_FILE[1]}")).status_code == 200
    answer = await api.http.get("/api")
    assert (answer.status_code, answer.headers["location"]) == (307, "api/")
    assert (await api.http.get("/api/")).text == page.text
