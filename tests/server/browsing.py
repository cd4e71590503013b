"""A headless Chromium and pages in it that note whatever should not happen."""

import shutil
import time
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 20_000  # ms
_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


@contextmanager
def chromium():
    """Start the browser that is installed; skip the test where there is none that works."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as made:
        try:
            browser = made.chromium.launch(
                executable_path=path, args=["--no-sandbox", "--disable-gpu"], timeout=60_000
            )
        except Error as error:
            pytest.skip(f"{path} does not start: {str(error).splitlines()[0]}")
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page. `faults` are its errors, dialogs, requests to elsewhere, breaches of its policy."""

    def __init__(self, browser, server, **options):
        options.setdefault("viewport", {"width": 1200, "height": 800})
        self.context = browser.new_context(base_url=server.url, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.add_init_script(_WATCH)
        self.faults = []
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.context.on("page", lambda page: self.faults.append(f"window: {page.url}"))
        self.page.on("request", self._request)
        self._own = server.url + "/"

    def _dialog(self, dialog):
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request):
        if not request.url.startswith((self._own, "data:image/")):
            self.faults.append(f"request: {request.url}")

    def check(self):
        """Fail where something happened that should not."""
        faults = self.faults + self.page.evaluate("window.violations")
        assert not faults, faults[:5]

    def close(self):
        self.context.close()


@contextmanager
def watched(browser, server, **options):
    """Open a page that must be without faults to the end."""
    made = Watched(browser, server, **options)
    try:
        yield made.page
        made.check()
    finally:
        made.close()


def idle(page):
    """Wait until nothing is worked on."""
    page.wait_for_selector("#send[aria-label^=Send]")


def until(page, expression, arg=None):
    """Wait until JavaScript says yes. Asked from here: the page's policy forbids to eval there."""
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(expression, arg):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(20)


def say(page, text):
    """Type a message and send it; wait for its answer."""
    before = page.locator(".answer").count()
    page.fill("#input", text)
    page.wait_for_selector("#send:enabled")
    page.press("#input", "Enter")
    page.wait_for_selector(f".answer >> nth={before}")
    idle(page)
    page.wait_for_selector(".answer .meta span")


def last(page):
    """Return the text of the newest answer."""
    return page.locator(".answer").last.locator(".body").inner_text()
