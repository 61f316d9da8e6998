"""Pages in a headless Chromium that can reach nothing but this process, which writes down what it asks for."""

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

HOST = "http://page.test"
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-client-side-phishing-detection",
    "--enable-logging=stderr",
    "--proxy-bypass-list=<-loopback>",
]
OF_THE_BROWSER = re.compile(r"(https?://)?\w+\.google(apis)?\.com[:/].*")
"""It asks for the time and for its own settings, whatever it opens."""


@dataclass(frozen=True)
class Opened:
    """What opening a page came to."""

    requests: list[str]
    """Beside the page itself."""
    console: list[str]
    dom: str


def chromium() -> str:
    """The browser; skips the test where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium on this machine")
    return found


@contextmanager
def _proxy(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """A proxy for everything: it has the page, and notes what else is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_page = self.path == f"{HOST}/page.html"
            if not is_page:
                asked.append(self.path)
            self.send_response(200 if is_page else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            if is_page:
                self.wfile.write(content)

        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(403)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def open_page(page: Path, profile: Path) -> Opened:
    """Open a page in a browser with a profile of its own, and look at what it did."""
    browser = chromium()
    with _proxy(page.read_bytes()) as (port, asked):
        done = subprocess.run(
            [browser, *QUIET, f"--user-data-dir={profile}", f"--proxy-server=127.0.0.1:{port}", "--dump-dom",
             f"{HOST}/page.html"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    console = re.findall(r"CONSOLE[:(]\d+\)?\] (.*)", done.stderr)
    return Opened([one for one in asked if not OF_THE_BROWSER.fullmatch(one)], console, done.stdout)
