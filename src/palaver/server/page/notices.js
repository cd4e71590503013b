// What there is to say beside the conversation, and small questions.

import { at, button, el, onEnter } from "./dom.js";
import { exact } from "./escape.js";

// Tells something; told twice, it stands there once.
export function notice(text, kind = "", ...acts) {
  const known = [...at("notices").children].find((one) => one.dataset.text === text);
  if (known) return known;
  const made = el("div", { "data-text": text, class: kind, role: kind === "bad" ? "alert" : null }, el("span", { class: "words" }, exact(text)), ...acts);
  made.append(button("Close", "close", () => made.remove()));
  at("notices").append(made);
  while (at("notices").childElementCount > 4) at("notices").firstChild.remove();
  return made;
}

export const clearNotices = () => at("notices").replaceChildren();

// Asks something small; `done` is called where the user says yes.
export function ask(title, content, label, kind, done) {
  const dialog = el("dialog", { class: "small", "aria-labelledby": "ask-box" });
  const finish = (yes) => () => {
    dialog.close();
    if (yes) done();
  };
  dialog.addEventListener("close", () => dialog.remove());
  const go = el("button", { type: "button", class: `button ${kind}`, on: { click: finish(true) } }, label);
  const leave = el("button", { type: "button", class: "button", on: { click: finish(false) } }, "Cancel");
  dialog.append(el("h2", { id: "ask-box" }, title), content, el("div", { class: "row end" }, leave, go));
  if (content.tagName === "INPUT") onEnter(content, finish(true));
  document.body.append(dialog);
  dialog.showModal();
}
