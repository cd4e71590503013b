"""The page in a headless Chromium, against the real server and palaver-tiny."""

import re

import pytest
from tests.server.browsing import chromium, idle, last, say, until, watched
from tests.server.serving import serving

from palaver.core.generation import Generation, Timings
from palaver.core.messages import Message, Reasoning, Text, assistant, system, user
from palaver.sessions.store import Store

RICH = """## Head

Text with **bold**, *slanted*, ~~gone~~ and `code`; see [the guide](https://example.org/guide).

1. one
   - inner
2. two

| a | b |
|--|--:|
| 1 | 2 |

> said

```python
def f(): return "text"  # comment
```

![dot](data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==)
![far](https://example.org/x.png)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home):
    (home / "data").mkdir(mode=0o700)
    with Store(home / "data" / "palaver.db"):
        pass
    with serving(home, "--tools", "on", "--no-sandbox") as made:
        yield made


@pytest.fixture(scope="module")
def browser():
    with chromium() as made:
        yield made


@pytest.fixture
def page(browser, server):
    with watched(browser, server, permissions=["clipboard-read", "clipboard-write"]) as made:
        made.goto("/")
        made.wait_for_selector("#model:has-text('context')")
        yield made


@pytest.fixture
def store(home, server):
    with Store(home / "data" / "palaver.db") as made:
        yield made


def put(store, *messages, title=None):
    """Store a session as the terminal would; return its number."""
    session, parent = store.create_session(title), None
    for message in messages:
        made = None
        if message.role == "assistant":
            timings = Timings(reused=8, prefilled=4, decoded=20, decode_seconds=0.5, ttft=0.012)
            made = Generation(engine="e", model="some-model", timings=timings)
        parent = store.append(session, parent, message, made).id
    store.release(session)
    return session


def open_(page, session):
    page.goto(f"/#/{session}")
    page.wait_for_selector(f"#sessions a[aria-current][href='#/{session}']")


def test_a_chat_streams_and_shows_what_it_cost(page, store):
    say(page, "Hello! Who are you?")
    assert "palaver-tiny" in last(page)
    meta = page.locator(".answer .meta").inner_text()
    assert re.search(r"[\d.]+ tokens/s", meta)
    assert re.search(r"\d+ reused, \d+ read", meta)
    say(page, "Who made you?")
    reused, read = map(int, re.search(r"(\d+) reused, (\d+) read",
                       page.locator(".answer .meta").last.inner_text()).groups())  # fmt: skip
    assert reused > read
    session = int(page.url.rsplit("/", 1)[1])
    assert store.path(session)[-1].entry.text.strip() == last(page).strip()
    assert page.locator("#speech").inner_text().strip().endswith(last(page).strip())
    page.reload()
    page.wait_for_selector(".answer >> nth=1")
    assert page.locator(".said").all_inner_texts() == ["Hello! Who are you?", "Who made you?"]


def test_markdown_becomes_elements_and_nothing_else(page, store):
    answer = Message("assistant", (Reasoning("Hm, *well*."), Text(RICH)), "end")
    open_(page, put(store, system("Be kind."), user("Show."), answer))
    prose = page.locator(".answer .body > .prose")
    assert prose.locator("h3").inner_text() == "Head"
    for tag in ("strong", "em", "del", "ol > li > ul > li", "table td.right", "blockquote p"):
        assert prose.locator(tag).count() == 1, tag
    assert prose.locator("figure code .k").all_inner_texts() == ["def", "return"]
    link = prose.locator("a").first
    assert link.get_attribute("href") == "https://example.org/guide"
    assert "noopener" in link.get_attribute("rel")
    assert "(https://example.org/guide)" in prose.inner_text()
    assert prose.locator("img").count() == 0  # none is shown unasked
    prose.get_by_role("button", name="Show the image: dot").click()
    until(page, "document.querySelector('.prose img').naturalWidth === 1")
    assert "image: far" in prose.inner_text()
    assert not page.locator(".thought > div").is_visible()
    page.locator(".thought summary").click()
    assert page.locator(".thought em").inner_text() == "well"
    page.get_by_role("button", name="Copy code").click()
    page.wait_for_selector("#speech:has-text('copied')", state="attached")
    code = page.evaluate("navigator.clipboard.readText()")
    assert code == 'def f(): return "text"  # comment'


def test_stop_continue_retry_edit_and_undo(page, server):
    page.evaluate("localStorage.setItem('sampling', JSON.stringify({max_tokens: 3}))")
    say(page, "What are you?")
    assert "cut off at the limit" in page.locator(".answer .meta").inner_text()
    short = last(page).strip()
    page.evaluate("localStorage.clear()")
    page.get_by_role("button", name="Go on with the answer").click()
    until(page, "n => document.querySelector('.answer .body').innerText.length > n + 3 "
                           "&& !document.querySelector('.meta .stop')", arg=len(short))  # fmt: skip
    idle(page)
    assert last(page).startswith(short)
    assert page.locator(".answer").count() == 1
    first = page.locator(".answer").get_attribute("data-row")
    page.get_by_role("button", name="Ask for another answer").click()
    until(page, "n => document.querySelector('.answer')?.dataset.row > n", arg=first)
    idle(page)
    page.locator(".said").hover()
    page.get_by_role("button", name="Edit the message").click()
    assert page.input_value("#input") == "What are you?"
    page.keyboard.press("Escape")
    assert page.input_value("#input") == ""
    page.locator(".said").hover()
    page.get_by_role("button", name="Edit the message").click()
    page.fill("#input", "Who made you?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".said:has-text('Who made you?')")
    page.wait_for_selector(".answer .meta span")
    idle(page)
    assert page.locator(".said").count() == 1
    page.locator(".said nav:has-text('2/2')").wait_for()
    page.get_by_role("button", name="The version before").first.click()
    page.wait_for_selector(".said:has-text('What are you?')")
    page.locator(".answer nav:has-text('3/3')").wait_for()  # cut off, whole, and once more
    page.get_by_role("button", name="The next version").first.click()
    page.wait_for_selector(".said:has-text('Who made you?')")
    page.get_by_role("button", name="Take the last turn back").click()
    page.wait_for_selector(".said", state="detached")
    page.get_by_role("button", name="Bring back what was taken back").click()
    page.wait_for_selector(".said:has-text('Who made you?')")


def test_escape_stops_an_answer(page):
    page.route("**/page/api/sessions", _endless)
    page.fill("#input", "Tell me a story.")
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer .prose p")
    page.wait_for_selector("#send[aria-label=Stop]")
    page.keyboard.press("Escape")
    page.wait_for_selector(".meta .stop:has-text('stopped')")
    idle(page)
    assert last(page).strip()


def test_what_is_typed_in_an_answer_is_sent_behind_it(page):
    page.route("**/page/api/sessions", _endless)
    page.fill("#input", "Tell me a story.")
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer .prose p")
    page.fill("#input", "Thanks!")
    page.keyboard.press("Enter")
    page.wait_for_selector("#hint:has-text('Sent when the answer is done')")
    assert page.input_value("#input") == "Thanks!"
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector(".said:has-text('Thanks!')")
    page.wait_for_selector("#hint:has-text('Enter sends')")
    assert page.input_value("#input") == ""
    idle(page)


def _endless(route):
    """Ask for an answer that palaver-tiny never ends by itself."""
    body = route.request.post_data_json
    if body:
        body["sampling"] = {"logit_bias": {"2": -100}}
        route.continue_(post_data=body)
    else:
        route.continue_()


def test_a_call_is_asked_about_whole(page, store):
    page.fill("#input", "What is 12*34?")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("alertdialog")
    dialog.wait_for()
    assert dialog.locator(".exact").inner_text().strip() == "print(12*34)"
    page.wait_for_timeout(400)  # what is pressed at once is no answer
    dialog.get_by_role("button", name="Run it once").click()
    page.wait_for_selector(".card[data-state=good]")
    idle(page)
    assert "408" in last(page)
    page.locator(".card summary").click()
    assert "408" in page.locator(".printed").inner_text()

    page.fill("#input", "Write 'hello' into hello.txt")
    page.keyboard.press("Enter")
    dialog.wait_for()
    assert dialog.locator(".plus").inner_text().strip() == "+hello"
    page.reload()  # the question stays, and is asked again
    dialog.wait_for()
    page.wait_for_timeout(400)
    dialog.get_by_label("Reason for the model").fill("not now")
    dialog.get_by_role("button", name="Don't run it").click()
    page.wait_for_selector(".state:has-text('declined')")
    idle(page)
    session = int(page.url.rsplit("/", 1)[1])
    assert any(getattr(row.entry, "reason", "") == "not now" for row in store.path(session))


def test_what_is_asked_about_is_spelled_out(page):
    shown = page.evaluate(r"""async () => {
      const { exact, line } = await import("/page/escape.js");
      const odd = exact("a\u202eb\u200bc\x1b[2J\r\u{e0041}\n\t");
      return [odd, line("a\n\n b\u2066"), exact("é ß 東 🦀 ⚠️ 👨‍👩‍👧 می‌خواهم")];
    }""")
    assert shown == [
        r"a\u{202e}b\u{200b}c\x1b[2J\x0d\u{e0041}" + "\n\t",
        r"a b\u{2066}",
        "é ß 東 🦀 ⚠️ 👨‍👩‍👧 می‌خواهم",
    ]


def test_sessions_are_found_named_and_removed(page, store):
    number = put(store, user("Where is the quokka?"), assistant("On an island."), title="Animals")
    page.reload()
    page.get_by_role("link", name="Animals").wait_for()
    page.keyboard.press("Control+k")
    page.keyboard.type("quokka")
    page.locator("#sessions mark").wait_for()
    page.locator("#sessions a").click()
    page.wait_for_selector(".said:has-text('quokka')")
    assert page.url.endswith(f"#/{number}")
    page.fill("#search", "")
    item = page.locator("#sessions li", has=page.get_by_role("link", name="Animals"))
    item.hover()
    item.get_by_role("button", name="Rename Animals").click()
    page.get_by_label("Title").fill("Quokkas")
    page.keyboard.press("Enter")
    page.wait_for_selector("#title:has-text('Quokkas')")
    item = page.locator("#sessions li", has=page.get_by_role("link", name="Quokkas"))
    item.hover()
    item.get_by_role("button", name="Delete Quokkas").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_selector("#title:has-text('New chat')")
    page.get_by_role("link", name="Quokkas").wait_for(state="detached")


def test_a_session_that_is_not_there_is_said(page):
    page.goto("/#/99999")
    page.reload()
    page.wait_for_selector("text=There is no such session")
    assert page.url.endswith("#/")


def test_keys_reach_everything(page, store):
    put(store, user("b"), assistant("b"), title="Second")
    put(store, user("a"), assistant("a"), title="First")
    page.reload()
    page.get_by_role("link", name="First").wait_for()
    page.get_by_role("link", name="First").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == "Second"
    page.keyboard.press("Enter")
    page.wait_for_selector("#title:has-text('Second')")
    page.locator("#log").focus()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "input"
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    assert page.input_value("#input") == "one\ntwo"
    unnamed = page.evaluate("""[...document.querySelectorAll("button, input, textarea, a, dialog")]
      .filter((one) => !(one.ariaLabel || one.textContent.trim() || one.labels?.length ||
                         one.getAttribute("aria-labelledby"))).map((one) => one.outerHTML)""")
    assert unnamed == []
    page.fill("#input", "")


def test_light_dark_and_a_phone(browser, server, store):
    session = put(store, user("x" * 300), assistant(RICH + "```\n" + "y" * 500 + "\n```"))
    phone = {"width": 390, "height": 844}
    with watched(browser, server, viewport=phone, color_scheme="dark") as page:
        page.goto(f"/#/{session}")
        page.wait_for_selector(".answer .meta span")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.evaluate("document.getElementById('log').scrollWidth") <= 390
        back = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(back)
        page.get_by_role("button", name="Light or dark").click()
        light = page.evaluate(back)
        assert light == "rgb(255, 255, 255)" != dark
        page.reload()
        page.wait_for_selector(".answer .meta span")
        assert page.evaluate(back) == light
        assert not page.locator("#search").is_visible()
        page.get_by_role("button", name="Show sessions").click()
        page.locator("#search").wait_for()
        page.keyboard.press("Escape")
        page.locator("#search").wait_for(state="hidden")


def test_sampling_is_sent_and_kept(page):
    sent = []
    page.on("request", lambda r: sent.append(r.post_data_json) if r.method == "POST" else None)
    page.get_by_role("button", name="Settings").click()
    assert "palaver-tiny" in page.get_by_role("dialog").inner_text()
    page.get_by_label("Temperature").fill("9")
    page.get_by_label("Most tokens").fill("4")
    page.keyboard.press("Tab")
    assert page.get_by_label("Temperature").input_value() == "2"
    page.get_by_label("Temperature").fill("0")
    page.keyboard.press("Escape")
    page.reload()
    say(page, "What are you?")
    assert sent[0]["sampling"] == {"temperature": 0, "max_tokens": 4}
    assert "4 tokens" in page.locator(".meta span").all_inner_texts()


def test_a_session_of_the_terminal_is_read_and_copied(page, store):
    session = store.create_session("Busy")
    row = store.append(session, None, user("from the terminal"))
    open_(page, session)
    page.wait_for_selector("#notices :text('open for writing in another palaver')")
    assert page.locator("#input").is_disabled()
    store.append(session, row.id, assistant("a live answer"))
    page.wait_for_selector(".answer:has-text('a live answer')")
    page.get_by_role("button", name="Go on in a copy").click()
    until(page, "n => !location.hash.endsWith('/' + n)", arg=session)
    page.wait_for_selector("#input:enabled")
    say(page, "Hello!")
    assert page.locator(".said").count() == 2


def test_a_key_is_asked_for_and_stays_in_the_tab(browser, tmp_path):
    import subprocess
    import sys

    from tests.support.terminal import environment

    key = subprocess.run(
        [sys.executable, "-m", "palaver.cli.main", "serve", "keys", "add", "me"],
        env=environment(tmp_path), capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    with serving(tmp_path, "--require-key", "--page", "me", "--no-save") as server:
        assert server.ask("GET", "/page/api/about", None, {"x-palaver-page": "1"})[0] == 401
        with watched(browser, server) as page:
            page.goto("/")
            page.get_by_role("textbox", name="Key").fill(key)
            page.keyboard.press("Enter")
            page.wait_for_selector("#model:has-text('tiny')")
            page.wait_for_selector("text=What is said here ends with the server")
            say(page, "Hello!")
            assert key not in page.url + page.content()
            assert page.evaluate("JSON.stringify(localStorage)") == "{}"
        assert not any(key in line for line in server.lines)


def test_the_end_of_the_server_is_told_once(browser, tmp_path):
    with serving(tmp_path) as server, watched(browser, server) as page:
        page.goto("/")
        page.wait_for_selector("#model:has-text('context')")
        say(page, "Hello!")
        server.process.terminate()
        page.wait_for_selector("#notices :text('The server ends')")
        until(page, "document.querySelectorAll('[data-lost]').length === 1")
        assert server.process.wait(60) == 0
