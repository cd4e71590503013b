// Elements, made without any HTML: text is only ever text.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  menu: "M4 7h16M4 12h16M4 17h10",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  copy: "M9 9h10v10H9zM5 15V5h10",
  done: "M5 12l5 5 9-10",
  retry: "M19 12a7 7 0 1 1-2-5l2 2M19 4v5h-5",
  edit: "M5 19l1-4L16 5l3 3L9 18z",
  undo: "M9 7L5 11l4 4M5 11h9a5 5 0 0 1 0 10h-2",
  redo: "M15 7l4 4-4 4M19 11h-9a5 5 0 0 0 0 10h2",
  down: "M12 5v14M6 13l6 6 6-6",
  light: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1 1M18 18l1 1M5 19l1-1M18 6l1-1",
  dark: "M20 14A8 8 0 1 1 10 4a7 7 0 0 0 10 10z",
  settings: "M4 8h9M17 8h3M15 6v4M4 16h3M11 16h9M9 14v4",
  remove: "M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12",
  fork: "M7 5v6a4 4 0 0 0 4 4h6M14 11l4 4-4 4",
  on: "M8 5l8 7-8 7z",
  back: "M14 7l-5 5 5 5",
  go: "M10 7l5 5-5 5",
  close: "M6 6l12 12M18 6L6 18",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

// `given`: attributes; "on" holds handlers. Names are ours, values may be anybody's.
export function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) made.addEventListener(event, handler);
    } else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

export function button(label, name, click, given = {}) {
  const made = el("button", { type: "button", class: "icon", title: label, "aria-label": label, ...given }, icon(name));
  made.addEventListener("click", click);
  return made;
}

// Does something on Enter in a line of text; the key does nothing else, wherever the focus goes.
export function onEnter(input, act) {
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    act();
  });
}

export const at = (id) => document.getElementById(id);

// Says something to those who listen instead of looking.
export function speak(text) {
  at("speech").append(el("p", {}, text));
  while (at("speech").childElementCount > 20) at("speech").firstChild.remove();
}

export async function copy(text, from) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { class: "unseen", readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    from.focus();
  }
  speak("copied");
  const before = from.firstChild;
  if (from.dataset.done) return;
  from.dataset.done = "yes";
  before.replaceWith(icon("done"));
  setTimeout(() => {
    from.firstChild.replaceWith(before);
    delete from.dataset.done;
  }, 1200);
}
