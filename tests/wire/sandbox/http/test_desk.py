"""A page in a browser on the same machine can't reach into a sandbox."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

import ermpoll
from ermpoll.sandbox import Box
from tests.helpers.sandbox_client import Client, closing

ROW = '[{"Code": "M-9999"}]'
SUBJECTS = "/entity/Imaging:Subject"


@pytest.fixture
def place(box: Box) -> str:
    return urlsplit(box.url).netloc


@pytest.mark.parametrize(
    "host", ["evil.example.org", "localhost.evil.example.org", "10.0.0.5:80", ""]
)
def test_a_name_that_was_rebound_to_this_machine_is_misdirected(
    demo: Client, host: str
) -> None:
    assert demo.get(SUBJECTS, Host=host).status == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "box.localhost:1"])
def test_names_of_this_machine_are_served(demo: Client, host: str) -> None:
    assert demo.get(SUBJECTS, Host=host).status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example.org", "http://localhost:1", "null"]
)
def test_pages_of_other_sites_are_refused(demo: Client, origin: str) -> None:
    assert demo.get(SUBJECTS, Origin=origin).status == 403
    assert demo.post(SUBJECTS, ROW, Origin=origin).status == 403


def test_a_page_of_its_own_is_served(demo: Client, place: str) -> None:
    assert demo.get(SUBJECTS, Origin=f"http://{place}").status == 200


def test_what_a_browser_calls_cross_site_is_refused(demo: Client) -> None:
    answers = {
        site: demo.get(SUBJECTS, Sec_Fetch_Site=site).status
        for site in ("cross-site", "same-origin", "none")
    }

    assert answers == {"cross-site": 403, "same-origin": 200, "none": 200}


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_a_form_is_no_body(demo: Client, box: Box, kind: str) -> None:
    for path, body in ((SUBJECTS, ROW), ("/schema", '{"schemas": {"X": {}}}')):
        assert demo.post(path, body, Content_Type=kind).status == 415

    assert box.log == ()


def test_a_body_without_a_type_is_refused(demo: Client) -> None:
    demo.connection.putrequest("POST", demo.root + SUBJECTS)
    demo.connection.putheader("Content-Length", str(len(ROW)))
    demo.connection.endheaders(ROW.encode())
    answer = demo.connection.getresponse()
    answer.read()

    assert answer.status == 415


def test_commands_need_the_owners_token() -> None:
    with (
        ermpoll.sandbox.start(token="own", tokens={"bo": "bo"}, control=True) as box,
        closing(Client(box.url)) as client,
    ):
        client.root = "/sandbox/control"
        statuses = [
            client.post("", {"do": "connections"}, **login).status
            for login in (
                {},
                {"Authorization": "Bearer bo"},
                {"Authorization": "Bearer own"},
            )
        ]

    assert statuses == [401, 401, 200]


# ---- with a real browser


class _Evil(BaseHTTPRequestHandler):
    """Somebody else's site: one empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>evil</title>")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def evil_site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Evil) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


_ATTACK = """
async ([base, row]) => {
  const tries = [
    ['POST', 'text/plain', '/entity/Imaging:Subject'],
    ['POST', 'application/x-www-form-urlencoded', '/entity/Imaging:Subject'],
    ['POST', null, '/entity/Imaging:Subject'],
    ['POST', null, '/schema/Stolen'],
    ['GET', null, '/entity/Imaging:Subject'],
  ];
  const read = [];
  for (const [method, type, path] of tries) {
    const options = {method, mode: 'no-cors', credentials: 'include'};
    const kind = type ? {type} : {};
    if (method === 'POST') options.body = new Blob([row], kind);
    try { read.push(await (await fetch(base + path, options)).text()); }
    catch (error) { read.push(''); }
  }
  return read.join('');
}
"""


@pytest.mark.chromium
def test_a_page_in_chromium_reads_and_writes_nothing(box: Box, evil_site: str) -> None:
    from tests.end_to_end.browser.lab import chromium

    with chromium() as browser:
        page = browser.new_page()
        page.goto(evil_site)
        read = page.evaluate(_ATTACK, [box.url, ROW])

    assert (read, box.log) == ("", ())
