// The list of sessions, and what a search found in them.

import { post } from "./api.js";
import { button, el } from "./dom.js";
import { line } from "./escape.js";
import { ask } from "./notices.js";

const DAY = 86400;

function group(at) {
  const today = new Date().setHours(0, 0, 0, 0) / 1000;
  if (at >= today) return "Today";
  if (at >= today - DAY) return "Yesterday";
  return at >= today - 7 * DAY ? "The last seven days" : "Earlier";
}

export class Sessions {
  // `acts` are the functions renamed(session, title), removed(session): the user said yes.
  constructor(root, acts) {
    this.root = root;
    this.acts = acts;
    this.current = null;
    this.list = [];
    root.addEventListener("keydown", (event) => this.move(event));
  }

  move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -1e9, End: 1e9 }[event.key];
    if (!step) return;
    const links = [...this.root.querySelectorAll("a")];
    const now = links.indexOf(document.activeElement);
    if (now < 0) return;
    event.preventDefault();
    links[Math.max(0, Math.min(links.length - 1, now + step))].focus();
  }

  set(list) {
    const shown = JSON.stringify([list, this.current]);
    if (shown === this.shown) return; // whoever is in the list stays where they are
    this.shown = shown;
    this.list = list;
    const kept = this.root.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const groups = new Map();
    for (const session of list) {
      const name = group(session.updated);
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(this.item(session));
    }
    const nodes = [...groups].flatMap(([name, items]) => [el("h2", {}, name), el("ul", {}, ...items)]);
    this.root.replaceChildren(...(nodes.length ? nodes : [el("p", { class: "muted none" }, "Nothing was said yet.")]));
    if (kept) this.root.querySelector(`a[href="${CSS.escape(kept)}"]`)?.focus();
  }

  item(session) {
    const name = line(session.title || session.preview, 120) || `Session ${session.id}`;
    const here = session.id === this.current;
    const state = session.asks ? "asks" : session.busy ? "works" : null;
    const link = el("a", { href: `#/${session.id}`, "aria-current": here ? "page" : null, title: name, dir: "auto" }, el("span", {}, name));
    if (state) link.append(el("i", { class: state, role: "img", "aria-label": state }));
    const rename = button("Rename", "edit", () => this.rename(session), { "aria-label": `Rename ${name}` });
    const remove = button("Delete", "remove", () => this.remove(session), { "aria-label": `Delete ${name}` });
    return el("li", {}, link, el("div", { class: "acts" }, rename, remove));
  }

  rename(session) {
    const name = el("input", { "aria-label": "Title", maxlength: "200" });
    name.value = session.title ?? session.preview;
    ask("Name this session", name, "Rename", "solid", () => this.acts.renamed(session, name.value));
    name.select();
  }

  remove(session) {
    const name = line(session.title || session.preview, 120);
    const words = `“${name}” goes from the disk, with all its branches. Nothing brings it back.`;
    ask("Delete this session?", el("p", { class: "muted" }, words), "Delete", "bad", () => this.acts.removed(session));
  }

  select(id) {
    this.current = id;
    this.set(this.list);
  }

  name(hit) {
    const known = this.list.find((session) => session.id === hit.session);
    return line(hit.title || known?.preview || "", 120) || `Session ${hit.session}`;
  }

  // `still`: the text is what is looked for, also when the answer comes.
  async search(text, still) {
    const { hits } = await post("search", { text });
    if (!still()) return;
    this.shown = null;
    const items = hits.map((hit) => {
      const [from, to] = hit.found;
      const points = [...hit.snippet];
      const part = (a, b) => points.slice(a, b).join("");
      const snippet = el("small", { dir: "auto" }, part(0, from), el("mark", {}, part(from, to)), part(to));
      return el("li", {}, el("a", { href: `#/${hit.session}`, class: "hit" }, el("span", {}, this.name(hit)), snippet));
    });
    this.root.replaceChildren(items.length ? el("ul", {}, ...items) : el("p", { class: "muted none" }, "Nothing found."));
  }
}
