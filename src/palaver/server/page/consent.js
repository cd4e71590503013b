// The question whether a call may run: what it would do, whole and exact, and the answers.

import { el, onEnter } from "./dom.js";
import { exact, line } from "./escape.js";
import { diff } from "./highlight.js";

const DIFFS = ["write_file", "apply_patch"];
const SETTLE = 350; // ms in which no key or click answers: it may have been meant for something else

export class Consent {
  // `answer(digest, what)` tells the server; `stop()` ends the turn.
  constructor(answer, stop) {
    this.tell = answer;
    this.stop = stop;
    this.dialog = null;
    this.digest = null;
  }

  close() {
    this.dialog?.close();
    this.dialog?.remove();
    this.dialog = this.digest = null;
  }

  show(question) {
    if (!question) return this.close();
    if (question.digest === this.digest) return;
    this.close();
    this.digest = question.digest;
    const reason = el("input", { placeholder: "Why not? (told to the model)", "aria-label": "Reason for the model", maxlength: "2000" });
    const say = (allowed, by = "once") => () => this.say({ allowed, by, reason: allowed ? "" : reason.value });
    onEnter(reason, say(false));
    const deny = act("Don't run it", "", say(false));
    const lasting = question.always
      ? [act("Always", "", say(true, "always")), act("This session", "", say(true, "session"))]
      : [];
    this.dialog = el(
      "dialog",
      { class: "consent", role: "alertdialog", "aria-labelledby": "ask-title", "aria-describedby": "ask-why" },
      el("h2", { id: "ask-title", tabindex: "-1" }, question.interrupted ? "May it run again? " : "May it run? ", el("code", {}, line(question.call.name, 60))),
      el("p", { id: "ask-why", class: "muted" }, line(question.reason, 400)),
      ...told(question),
      reason,
      el("div", { class: "row end" }, deny, ...lasting, act("Run it once", "solid", say(true))),
    );
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.stop();
    });
    this.since = performance.now();
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.dialog.querySelector("h2").focus();
  }

  say(what) {
    if (performance.now() - this.since < SETTLE) return;
    const { digest } = this;
    this.close();
    this.tell(digest, what);
  }
}

const act = (label, kind, click) => el("button", { type: "button", class: `button ${kind}`, on: { click } }, label);

function told(question) {
  const { preview } = question;
  const text = el("code");
  const shown = exact(preview.text.replace(/\n$/, ""));
  if (DIFFS.includes(question.call.name)) diff(text, shown);
  else text.textContent = shown;
  const made = [
    el("p", { class: "what" }, line(preview.title || question.call.name, 400)),
    el("pre", { class: "exact", tabindex: "0", dir: "ltr", "aria-label": "what would run" }, text),
  ];
  if (preview.notes.length) made.push(el("div", { class: "warn" }, ...preview.notes.map((note) => el("p", {}, exact(note, false)))));
  if (question.printed) made.push(el("p", { class: "muted" }, "It had printed:"), el("pre", { class: "exact", tabindex: "0" }, exact(question.printed)));
  if (question.always) {
    const rule = question.always.trim().split("\n").slice(1).join(", ");
    made.push(el("p", { class: "muted small" }, "“Always” writes the rule: ", el("code", {}, exact(rule, false))));
  }
  return made;
}
