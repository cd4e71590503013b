// The conversation on the page: rows of the log, and the answer under way.

import { Answer } from "./answer.js";
import { Card } from "./card.js";
import { button, copy, el } from "./dom.js";
import { exact } from "./escape.js";

const NOTICES = { note: "Note", info: "", exec: "Your command printed", cleared: "" };

export class Log {
  // `acts` are the functions retry(), carryOn(), edit(row, text), go(row).
  constructor(root, acts) {
    this.root = root;
    this.acts = acts;
    this.clear();
  }

  clear() {
    this.root.replaceChildren();
    this.rows = [];
    this.live = null;
    this.cards = new Map();
    this.newest = null; // the newest answer
    this.printed = false; // whether a command printed something since the newest user message
  }

  get tip() {
    return this.rows.length ? this.rows[this.rows.length - 1].id : null;
  }

  // How many tokens the newest answer ended at, 0 where nobody knows.
  get used() {
    const spent = this.rows.filter((row) => row.generation).pop()?.generation.timings;
    return spent ? (spent.reused ?? 0) + (spent.prefilled ?? 0) + (spent.decoded ?? 0) : 0;
  }

  // `keeps`: what is said outlives the server.
  welcome(keeps) {
    const words = keeps
      ? "What is said here is kept on your own disk, and goes on in the terminal with palaver --resume."
      : "What is said here ends with the server: it was started with --no-save.";
    const head = el("h2", {}, "What do you want to talk about?");
    this.root.replaceChildren(el("div", { class: "welcome" }, head, el("p", {}, words)));
  }

  // Shows a session anew; what stands there already stays, so that nothing jumps.
  reset(rows) {
    const other = this.rows.findIndex((row, i) => rows[i]?.id !== row.id);
    if (!this.rows.length || other !== -1) this.clear();
    for (const row of rows.slice(this.rows.length)) this.row(row);
    this.variants(rows);
  }

  // Offers to go to what was said in the place of a message: edited, or answered again.
  variants(rows) {
    for (const nav of this.root.querySelectorAll("nav")) nav.remove();
    for (const { id, variants } of rows) {
      if (!variants?.length) continue;
      const now = variants.indexOf(id);
      const step = (label, name, by) => button(label, name, () => this.acts.go(variants[now + by]), { disabled: !variants[now + by] });
      const words = el("span", {}, `${now + 1}/${variants.length}`);
      const nav = el("nav", { "aria-label": "Other versions" }, step("The version before", "back", -1), words, step("The next version", "go", 1));
      this.root.querySelector(`article[data-row="${Number(id)}"] > footer`)?.prepend(nav);
    }
  }

  row(row) {
    if (this.rows.some((known) => known.id === row.id)) return;
    this.root.querySelector(".welcome")?.remove();
    this.rows.push(row);
    const { entry } = row;
    if (entry.type === "message") this.message(row, entry);
    else if (entry.type === "notice") this.notice(entry);
    else if (entry.type === "compaction") this.aside(`From here on the model sees ${entry.dropped} messages fewer.`);
    else if (entry.type === "approval") this.card(entry.call_id)?.said(entry);
    else if (entry.type === "started") this.card(entry.call_id)?.running();
    else if (entry.type === "printed") this.card(entry.call_id)?.print(entry.text);
  }

  message(row, entry) {
    if (entry.role === "system") this.system(entry);
    else if (entry.role === "user") this.user(row, entry);
    else if (entry.role === "assistant") this.answer(row);
    else for (const part of entry.parts) if (part.type === "result") this.result(part);
  }

  put(node) {
    if (this.live) this.live.node.before(node);
    else this.root.append(node);
    return node;
  }

  aside(words) {
    this.put(el("p", { class: "aside" }, words));
  }

  system(entry) {
    const words = entry.parts.map((part) => part.text).join("");
    const told = el("pre", { class: "prose", dir: "auto" }, words || "(none)");
    this.put(el("details", { class: "system" }, el("summary", {}, "System prompt"), told));
  }

  user(row, entry) {
    const said = entry.parts[entry.parts.length - 1]?.text ?? "";
    const before = entry.parts.slice(0, -1).map((part) => part.text ?? "").join("");
    const copier = button("Copy the message", "copy", () => copy(said, copier));
    const edit = button("Edit the message", "edit", () => this.acts.edit(row, said));
    const node = el(
      "article",
      { class: "said", "aria-label": "you said", "data-row": row.id },
      before && !this.printed ? el("details", { class: "system" }, el("summary", {}, NOTICES.exec), el("pre", {}, exact(before))) : null,
      el("div", { class: "bubble", dir: "auto" }, said),
      el("footer", {}, el("div", { class: "acts" }, copier, edit)),
    );
    this.newest = null;
    this.printed = false;
    this.put(node);
  }

  begin() {
    if (this.live) return this.live;
    this.root.querySelector(".welcome")?.remove();
    this.live = new Answer();
    this.root.append(this.live.node);
    return this.live;
  }

  // Goes on with an answer that was cut off: what comes is said after it, in its place.
  instead(id) {
    if (this.newest?.row.id !== id) return;
    this.rows = this.rows.filter((row) => row.id !== id);
    this.live = this.newest.view;
    this.newest = null;
  }

  // Takes away an answer under way of which nothing was stored.
  drop() {
    this.live?.node.remove();
    this.live = null;
  }

  answer(row) {
    const made = this.live ?? new Answer();
    if (!this.live) this.root.append(made.node);
    this.live = null;
    this.cards = made.finish(row);
    this.newest = { row, view: made };
    made.offer([]);
    made.node.dataset.row = row.id;
  }

  notice(entry) {
    if (entry.kind === "cleared") return this.aside("Begun anew here.");
    const head = NOTICES[entry.kind];
    if (entry.kind !== "exec") return this.aside(`${head ? head + ": " : ""}${entry.text}`);
    this.printed = true;
    this.put(el("details", { class: "system" }, el("summary", {}, head), el("pre", {}, exact(entry.text))));
  }

  // The card of a call that has no result yet: two calls of one answer may have one id.
  card(id) {
    const cards = this.cards.get(id) ?? [];
    return cards.find((card) => !card.done) ?? cards[cards.length - 1];
  }

  result(part) {
    let card = this.card(part.call_id);
    if (!card) {
      card = new Card(part.name);
      this.put(card.node);
    }
    card.result(part);
    card.done = true;
  }

  // Offers what can be done with the end of the log, as it stands (`step`).
  settle(step, free) {
    const acts = [];
    const { retry, carryOn } = this.acts;
    if (free && this.newest && step !== "unanswered") {
      if (step === "cut off" || step === "stopped" || step === "open") acts.push(["Go on with the answer", "on", carryOn]);
      acts.push(["Ask for another answer", "retry", retry]);
    }
    for (const node of this.root.querySelectorAll(".answer.last")) node.classList.remove("last");
    this.newest?.view.node.classList.add("last");
    this.newest?.view.offer(acts);
    this.root.querySelector(".unanswered")?.remove();
    if (free && step === "unanswered") {
      const go = el("button", { type: "button", class: "button", on: { click: carryOn } }, "Answer now");
      this.root.append(el("p", { class: "unanswered" }, "This was not answered. ", go));
    }
  }
}
