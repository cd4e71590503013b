"""What models, tools and other programs say is never more than text on the page."""

import json

import pytest
from tests.server.browsing import Watched, chromium, idle, watched
from tests.server.serving import serving
from tests.server.xss import HIT, TEXTS

from palaver.core.generation import Generation
from palaver.core.log import CallStarted, Notice
from palaver.core.messages import Message, Reasoning, Text, ToolCall, ToolResult, user
from palaver.sessions.store import Store

TAGS = """a article aside b blockquote body br button code dd del details dialog div dl dt em
figcaption figure footer h1 h2 h3 h4 h5 h6 head header hr html i input label li link main mark meta
nav noscript ol p path pre script section small span strong summary svg table tbody td textarea th
thead title tr ul"""
FOUND = """(tags) => {
  const allowed = new Set(tags.split(/\\s/)), odd = [];
  if ("__hit" in window) odd.push("it ran");
  if (document.scripts.length !== 2) odd.push(`${document.scripts.length} scripts`);
  if (document.querySelectorAll("meta").length !== 3) odd.push("meta");
  if (document.querySelectorAll("link").length !== 3) odd.push("link");
  for (const one of document.querySelectorAll("*")) {
    if (!allowed.has(one.localName)) odd.push(one.outerHTML.slice(0, 200));
    for (const { name, value } of one.attributes) {
      const bad =
        /^on|^(srcdoc|action|formaction|background|poster|srcset|is)$|:/.test(name) ||
        (name === "style" && one.id !== "input") ||
        (name === "href" && !/^(https?:|mailto:|#\\/\\d*$|#input$|\\/page\\/)/.test(value)) ||
        (name === "src" && !/^\\/page\\/(app|theme)\\.js$/.test(value)) ||
        (name === "id" && document.querySelectorAll(`#${CSS.escape(value)}`).length > 1);
      if (bad) odd.push(`${one.localName} ${name}=${value.slice(0, 100)}`);
    }
  }
  return odd;
}"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = tmp_path_factory.mktemp("home")
    (made / "data").mkdir(mode=0o700)
    return made


@pytest.fixture(scope="module")
def sessions(home):
    """Store the texts wherever somebody else's text can stand; return the sessions' numbers."""
    with Store(home / "data" / "palaver.db") as store:
        return {
            "answers": _put(store, [m for text in TEXTS for m in _answer(text)]),
            "tools": _put(store, [m for text in TEXTS for m in _call(text)]),
            "titles": [_put(store, [user("x")], title=text) for text in TEXTS],
            "previews": [_put(store, [user(text)]) for text in TEXTS[:40]],
        }


def _answer(text):
    return user(text), Message("assistant", (Reasoning(text), Text(text)), "end"), _note(text)


def _note(text):
    return Notice("exec" if len(text) % 2 else "info", text)


def _call(text):
    given = text if len(text) % 2 else json.dumps({text[:50]: text, "code": text})
    return (
        user("go"),
        Message(
            "assistant", (ToolCall(text[:60], text, given), ToolCall("b", "shell", given, text))
        ),
        CallStarted(text[:60], text),
        Message("tool", (ToolResult(text[:60], text, text),)),
        Message("tool", (ToolResult("b", text, text, failed=True),)),
    )


def _put(store, entries, title=None):
    session, parent = store.create_session(title, model=title), None
    for entry in entries:
        made = None
        if isinstance(entry, Message) and entry.role == "assistant":
            made = Generation(engine=entry.text, model=entry.text or entry.calls[0].name)
        parent = store.append(session, parent, entry, made, durable=False).id
    store.release(session)
    return session


@pytest.fixture(scope="module")
def server(home, sessions):
    with serving(home, "--name", f'"><img src=x onerror={HIT}>') as made:
        yield made


@pytest.fixture(scope="module")
def browser():
    with chromium() as made:
        yield made


@pytest.fixture
def page(browser, server):
    with watched(browser, server) as made:
        made.goto("/")
        made.wait_for_selector("#model:has-text('onerror')")
        yield made


def clean(page):
    """Fail where something on the page is none of ours."""
    assert page.evaluate(FOUND, TAGS) == []


def test_there_are_two_hundred_of_them():
    assert len(set(TEXTS)) == len(TEXTS) >= 200


def test_as_answers_reasoning_messages_notes_and_models(page, sessions):
    page.goto(f"/#/{sessions['answers']}")
    page.wait_for_selector(f".answer >> nth={len(TEXTS) - 1}")
    idle(page)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    clean(page)
    bubbles = page.evaluate("[...document.querySelectorAll('.bubble')].map((b) => b.textContent)")
    assert bubbles == TEXTS  # to the last character, and only that


def test_as_calls_their_arguments_and_results(page, sessions):
    page.goto(f"/#/{sessions['tools']}")
    page.wait_for_selector(f".card >> nth={2 * len(TEXTS) - 1}", state="attached")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.locator(".card[data-state=good]").count() >= len(TEXTS)
    clean(page)


def test_as_titles_and_what_a_search_finds(page, sessions):
    page.wait_for_selector(f"#sessions li >> nth={len(TEXTS) - 1}", state="attached")
    clean(page)
    for text in ("script", "onerror", "javascript"):
        page.fill("#search", text)
        page.wait_for_selector(f"#sessions mark:has-text('{text}')")
        clean(page)
    page.fill("#search", "")
    page.goto(f"/#/{sessions['titles'][0]}")
    page.wait_for_selector("#title:has-text('script')")
    clean(page)


def test_while_they_come_a_piece_at_a_time(page):
    shown = page.evaluate(
        """async (texts) => {
          const { Log } = await import("/page/log.js");
          const log = new Log(document.getElementById("log"), {});
          const lost = [];
          for (const text of texts) {
            const live = log.begin();
            const pieces = text.match(/[^]{1,3}/g);
            const step = pieces.length > 60 ? 50 : 1;
            live.add({ type: "waiting", why: text, seconds: 1 });
            for (let i = 0; i < pieces.length; i += step) {
              const piece = pieces.slice(i, i + step).join("");
              live.add({ type: "reasoning", text: piece });
              live.paint();
            }
            for (let i = 0; i < pieces.length; i += step) {
              live.add({ type: "text", text: pieces.slice(i, i + step).join("") });
              live.paint();
            }
            live.add({ type: "call_delta", index: 0, name: text, arguments: text });
            live.paint();
            const streamed = live.body.querySelector(":scope > .prose").textContent;
            log.drop();
            const whole = log.begin();
            whole.add({ type: "text", text });
            whole.parts[0].paint(true);
            if (whole.body.textContent !== streamed && !text.includes("```")) lost.push(text);
            if (text === texts[0] || texts.indexOf(text) % 9) log.drop();
            else log.live = null;
          }
          return lost;
        }""",
        TEXTS,
    )
    assert shown == []  # a stream ends as what the whole text is
    clean(page)


def test_as_questions(page):
    odd = page.evaluate(
        """async ([texts, tags]) => {
          const { Consent } = await import("/page/consent.js");
          const found = FOUND;
          const odd = [];
          for (const text of texts) {
            const asked = new Consent(() => {}, () => {});
            const preview = { text, title: text, notes: [text] };
            const call = { name: texts.indexOf(text) % 2 ? text : "apply_patch", arguments: text };
            const more = { reason: text, always: `x\\n${text}`, printed: text };
            asked.show({ digest: text, call, preview, ...more });
            odd.push(...found(tags));
            asked.close();
          }
          return odd;
        }""".replace("FOUND", FOUND),
        [TEXTS, TAGS],
    )
    assert odd == []


def test_the_policy_holds_even_where_the_page_would_not(browser, server):
    made = Watched(browser, server)
    try:
        page = made.page
        page.goto("/")
        page.wait_for_selector("#model:has-text('onerror')")
        tried = page.evaluate(
            """async () => {
              const tries = {
                html: () => (document.body.innerHTML = "<p>x</p>"),
                script: () => {
                  const made = document.createElement("script");
                  made.append("window.__hit = 1");
                  document.body.append(made);
                  if (!("__hit" in window)) throw new Error("blocked");
                },
                handler: () => {
                  const made = document.createElement("p");
                  made.setAttribute("onclick", "window.__hit = 1");
                  document.body.append(made);
                  made.click();
                  if (!("__hit" in window)) throw new Error("blocked");
                },
                fetch: () => fetch("http://evil.test/"),
              };
              const held = [];
              for (const [name, one] of Object.entries(tries)) {
                try { await one(); } catch { held.push(name); }
              }
              const link = document.createElement("a");
              link.href = "javascript:alert(1)";
              document.body.append(document.createElement("video"), link);
              return held;
            }"""
        )
        assert tried == ["html", "script", "handler", "fetch"]
        assert len(page.evaluate("window.violations")) >= 4
        assert len(page.evaluate(FOUND, TAGS)) == 3  # what the other tests look for would be found
    finally:
        made.close()
