// A tool call: folded, its arguments, what it printed, its result.

import { el } from "./dom.js";
import { exact, line } from "./escape.js";

const TELLING = ["command", "code", "path", "pattern", "query", "patch"];

// The arguments as they are read: names and values where they are JSON, else the text itself.
export function argumentsOf(call) {
  try {
    const value = JSON.parse(call.arguments || "{}");
    if (value && typeof value === "object" && !Array.isArray(value)) return Object.entries(value);
  } catch {
    // It is shown as the model wrote it.
  }
  return [["", call.arguments]];
}

const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));

export class Card {
  constructor(name) {
    this.name = el("b", {}, line(name || "call", 60));
    this.about = el("span", { class: "about", dir: "ltr" });
    this.state = el("span", { class: "state" });
    this.given = el("div", { class: "given" });
    this.printed = el("pre", { class: "printed", tabindex: "0", dir: "auto", "aria-label": "output", hidden: true });
    const summary = el("summary", {}, this.name, this.about, this.state);
    this.node = el("details", { class: "card" }, summary, this.given, this.printed);
  }

  // More of a call that the model is writing.
  writing(name, written) {
    if (name) this.name.textContent = line(name, 60);
    this.about.textContent = line(written.slice(-200));
    this.mark("being written", "busy");
  }

  set(call) {
    this.name.textContent = line(call.name, 60);
    const given = argumentsOf(call);
    const telling = given.find(([name]) => TELLING.includes(name)) ?? given[0];
    this.about.textContent = telling ? line(text(telling[1])) : "";
    const rows = given.map(([name, value]) =>
      el("div", {}, name ? el("span", { class: "muted" }, line(name, 60)) : null, el("pre", { tabindex: "0", dir: "ltr" }, exact(text(value)))),
    );
    this.given.replaceChildren(...rows);
    if (call.error) this.mark(`can't be read: ${line(call.error)}`, "bad");
    else this.mark("not run yet", "");
  }

  mark(words, kind) {
    this.state.textContent = words;
    this.node.dataset.state = kind;
  }

  running() {
    this.mark("running", "busy");
  }

  said(approval) {
    this.declined = !approval.allowed;
  }

  print(more) {
    this.printed.hidden = false;
    const now = this.printed.textContent + exact(more);
    this.printed.textContent = now.length > 200000 ? now.slice(-200000) : now;
    this.printed.scrollTop = this.printed.scrollHeight;
  }

  result(part) {
    this.printed.hidden = !part.text;
    this.printed.textContent = exact(part.text);
    this.mark(this.declined ? "declined" : part.failed ? "failed" : "done", part.failed ? "bad" : "good");
  }
}
