// The server's own routes. A key, where one is needed, stays in this tab and in no address.

import { el, onEnter } from "./dom.js";

const MARK = { "x-palaver-page": "1" };

export class Refused extends Error {
  constructor(status, error) {
    super(error?.message || `the server answered ${status}`);
    this.status = status;
    this.code = error?.code;
  }
}

let asking = null;

function askForKey() {
  asking ??= new Promise((resolve) => {
    const input = el("input", { type: "password", autocomplete: "off", "aria-label": "Key", spellcheck: "false" });
    const dialog = el("dialog", { class: "small", "aria-labelledby": "key-title" });
    const use = () => {
      if (!input.value.trim()) return;
      sessionStorage.setItem("key", input.value.trim());
      dialog.close();
      dialog.remove();
      asking = null;
      resolve();
    };
    const go = el("button", { type: "button", class: "button solid", on: { click: use } }, "Go on");
    onEnter(input, use);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.append(
      el("h2", { id: "key-title" }, "This server asks for a key"),
      el("p", { class: "muted" }, "It is kept until this tab is closed."),
      input,
      el("div", { class: "row end" }, go),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}

async function send(method, path, body, signal) {
  for (;;) {
    const key = sessionStorage.getItem("key");
    const headers = { ...MARK, ...(body ? { "content-type": "application/json" } : {}) };
    if (key) headers.authorization = `Bearer ${key}`;
    const answer = await fetch(`/page/api/${path}`, {
      method,
      headers,
      body: body && JSON.stringify(body),
      signal,
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "no-referrer",
    });
    if (answer.status !== 401) return answer;
    sessionStorage.removeItem("key");
    await askForKey();
  }
}

async function read(answer) {
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, body?.error);
  return body;
}

export const get = async (path) => read(await send("GET", path));
export const post = async (path, body = {}) => read(await send("POST", path, body));

// Yields the events of a stream until it ends or `signal` aborts it.
export async function* events(path, signal) {
  const answer = await send("GET", path, null, signal);
  if (!answer.ok) await read(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const pieces = (rest + value).split("\n\n");
    rest = pieces.pop();
    for (const piece of pieces) {
      const data = piece.startsWith("data: ") ? piece.slice(6) : "";
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}
