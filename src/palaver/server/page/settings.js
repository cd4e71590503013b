// Sampling and the look of the page, kept in this browser.

import { button, el, icon } from "./dom.js";
import { line } from "./escape.js";

const FIELDS = [
  ["temperature", "Temperature", "0", "2", "0.05"],
  ["top_p", "Top p", "0", "1", "0.01"],
  ["top_k", "Top k", "0", "1000", "1"],
  ["min_p", "Min p", "0", "1", "0.01"],
  ["repeat_penalty", "Repeat penalty", "0", "10", "0.01"],
  ["max_tokens", "Most tokens", "1", "1000000", "1"],
  ["seed", "Seed", "0", "4294967294", "1"],
];

const USUAL = { seed: "another each time", max_tokens: "what the context holds" };

const DARK = matchMedia("(prefers-color-scheme: dark)");

function kept() {
  try {
    const value = JSON.parse(localStorage.getItem("sampling") || "{}");
    return Object.fromEntries(Object.entries(value).filter(([name, v]) => FIELDS.some(([f]) => f === name) && typeof v === "number"));
  } catch {
    return {};
  }
}

// What is sent with each turn: only what was set here.
export const sampling = kept;

export function openSettings(about) {
  const values = kept();
  const inputs = FIELDS.map(([name, label, min, max, step]) => {
    const usual = about?.sampling?.[name];
    const input = el("input", { type: "number", id: `set-${name}`, min, max, step: "any", "data-step": step, placeholder: usual == null ? USUAL[name] ?? "the model's own" : String(usual), inputmode: "decimal" });
    if (values[name] !== undefined) input.value = values[name];
    input.addEventListener("change", () => {
      const value = input.valueAsNumber;
      if (Number.isNaN(value)) delete values[name];
      else values[name] = Math.min(+max, Math.max(+min, step === "1" ? Math.round(value) : value));
      input.value = values[name] ?? "";
      localStorage.setItem("sampling", JSON.stringify(values));
    });
    return el("div", { class: "field" }, el("label", { for: `set-${name}` }, label), input);
  });
  const dialog = el("dialog", { class: "settings", "aria-labelledby": "set-title" });
  const close = () => dialog.close();
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  dialog.append(
    el("div", { class: "row" }, el("h2", { id: "set-title" }, "Settings"), button("Close", "close", close)),
    el("h3", {}, "Model"),
    ...facts(about),
    el("h3", {}, "Sampling"),
    el("p", { class: "muted small" }, "What is left empty is as the server was started."),
    el("div", { class: "fields" }, ...inputs),
    el("h3", {}, "Look"),
    themes(),
  );
  document.body.append(dialog);
  dialog.showModal();
}

function facts(about) {
  const rows = [
    ["Model", line(about?.model ?? "")],
    ["Context", about?.context ? `${about.context} tokens` : "not known yet"],
    ["Tools", about?.tools?.length ? about.tools.map((name) => line(name, 60)).join(", ") : "off"],
    ["Folder", about?.tools?.length ? line(about.root) : null],
  ];
  return [el("dl", {}, ...rows.filter(([, v]) => v != null).flatMap(([k, v]) => [el("dt", {}, k), el("dd", {}, v)]))];
}

function themes() {
  const now = document.documentElement.dataset.theme ?? "auto";
  const choose = (name) => () => {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    if (name === "auto") localStorage.removeItem("theme");
    else localStorage.setItem("theme", name);
    for (const one of box.children) one.setAttribute("aria-pressed", String(one.dataset.name === name));
  };
  const box = el(
    "div",
    { class: "segments", role: "group", "aria-label": "Theme" },
    ...[["auto", "As the system"], ["light", "Light"], ["dark", "Dark"]].map(([name, label]) =>
      el("button", { type: "button", "data-name": name, "aria-pressed": String(name === now), on: { click: choose(name) } }, label),
    ),
  );
  return box;
}

// The switch in the header: from what is seen to the other.
export function themeSwitch() {
  const seen = () => document.documentElement.dataset.theme ?? (DARK.matches ? "dark" : "light");
  const other = () => (seen() === "dark" ? "light" : "dark");
  const made = button("Light or dark", "dark", () => {
    localStorage.setItem("theme", other());
    document.documentElement.dataset.theme = other();
  });
  const show = () => made.firstChild.replaceWith(icon(other()));
  new MutationObserver(show).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  DARK.addEventListener("change", show);
  show();
  return made;
}
