// An answer: reasoning, text and calls, while they come and when they are there.

import { Card } from "./card.js";
import { button, copy, el, speak } from "./dom.js";
import { line } from "./escape.js";
import { Markdown } from "./markdown.js";

const STOPS = {
  length: "cut off at the limit of tokens",
  cancelled: "stopped",
  error: "cut off by a failure",
};

class Said {
  constructor() {
    this.kind = "text";
    this.node = el("div", { dir: "auto" });
    this.view = new Markdown(this.node);
    this.text = "";
  }

  paint(over) {
    this.view.set(this.text, over);
  }
}

class Thought {
  constructor() {
    this.kind = "reasoning";
    this.label = el("summary", {}, "Thinking");
    const inner = el("div", { class: "muted", dir: "auto" });
    this.node = el("details", { class: "thought" }, this.label, inner);
    this.view = new Markdown(inner);
    this.text = "";
  }

  paint(over) {
    const words = this.text.split(/\s+/).filter(Boolean).length;
    this.label.textContent = over ? `Thought, ${words} words` : "Thinking…";
    this.view.set(this.text, over);
  }
}

class Called {
  constructor() {
    this.kind = "call";
    this.card = new Card("");
    this.node = this.card.node;
  }
}

const MADE = { text: Said, reasoning: Thought, call: Called };

export class Answer {
  constructor() {
    this.parts = [];
    this.calls = new Map(); // live ones, by their place in the reply
    this.body = el("div", { class: "body" });
    this.wait = el("p", { class: "wait" }, el("i"), el("span", {}, "reading"));
    this.meta = el("p", { class: "meta" });
    this.acts = el("div", { class: "acts" });
    this.node = el(
      "article",
      { class: "answer", "aria-label": "answer" },
      this.body,
      this.wait,
      el("footer", {}, this.meta, this.acts),
    );
  }

  part(kind, fresh = false) {
    const last = this.parts[this.parts.length - 1];
    if (last?.kind === kind && !fresh && kind !== "call") return last;
    last?.paint?.(true);
    const made = new MADE[kind]();
    this.parts.push(made);
    this.body.append(made.node);
    return made;
  }

  // Takes an event of the answer under way; it is seen with the next `paint`.
  add(event) {
    if (event.type === "prefill") this.reading(event);
    else if (event.type === "waiting") this.waiting(line(event.why) + (event.seconds ? `; again in ${event.seconds} s` : ""));
    else if (event.type === "text" || event.type === "reasoning") {
      this.part(event.type, event.new).text += event.text;
    } else if (event.type === "call_delta" || event.type === "call") this.call(event);
    if (this.parts.length) this.wait.hidden = true;
  }

  reading({ done, total, reused }) {
    const left = total - reused;
    this.waiting(left > 64 ? `reading ${done - reused} of ${left} tokens` : "reading");
  }

  waiting(words) {
    this.wait.lastChild.textContent = words;
  }

  call(event) {
    if (!this.calls.has(event.index)) this.calls.set(event.index, { part: this.part("call"), name: "", text: "" });
    const live = this.calls.get(event.index);
    if (event.type === "call") return live.part.card.set(event.call);
    live.name = event.name || live.name;
    live.text += event.arguments || "";
    live.part.card.writing(live.name, live.text);
  }

  paint() {
    this.parts[this.parts.length - 1]?.paint?.(false);
  }

  // Shows the message as it was stored; returns the cards of its calls by id.
  finish(row) {
    const { parts, stop } = row.entry;
    const cards = new Map();
    if (parts.length !== this.parts.length || parts.some((part, i) => part.type !== this.parts[i].kind)) {
      this.parts = [];
      this.body.replaceChildren();
      for (const part of parts) if (MADE[part.type]) this.part(part.type, true);
    }
    parts.forEach((part, i) => {
      const view = this.parts[i];
      if (part.type === "call") {
        view.card.set(part);
        if (!cards.has(part.id)) cards.set(part.id, []);
        cards.get(part.id).push(view.card);
      } else if (view) {
        view.text = part.text;
        view.paint(true);
      }
    });
    this.wait.hidden = true;
    this.text = parts.filter((part) => part.type === "text").map((part) => part.text).join("");
    this.meta.replaceChildren(...told(row, stop));
    return cards;
  }

  tell() {
    speak(this.text || "the answer has no text");
  }

  // `acts`: what can be done with the answer, each a label, an icon's name and a function.
  offer(acts) {
    const copier = button("Copy the answer", "copy", () => copy(this.text, copier));
    this.acts.replaceChildren(...(this.text ? [copier] : []), ...acts.map((act) => button(...act)));
  }
}

const number = (value, digits = 0) => value.toLocaleString("en", { maximumFractionDigits: digits, useGrouping: false });

// What an answer cost: tokens a second, and how much of the prompt was not read again.
function told(row, stop) {
  const words = [];
  const made = row.generation;
  if (made) {
    const t = made.timings;
    const guess = t.guessed ? "about " : "";
    words.push(line(made.model, 60));
    if (t.decoded) words.push(`${guess}${number(t.decoded)} tokens`);
    if (t.decoded > 1 && t.decode_seconds) words.push(`${guess}${number(t.decoded / t.decode_seconds, 1)} tokens/s`);
    if (t.ttft) words.push(`first after ${number(t.ttft * 1000)} ms`);
    words.push(`${number(t.reused ?? 0)} reused, ${number(t.prefilled ?? 0)} read`);
  }
  if (STOPS[stop]) words.unshift(STOPS[stop]);
  return words.map((word, i) => el("span", { class: i === 0 && STOPS[stop] ? "stop" : null }, word));
}
