// Markdown on the page, while it comes: blocks that did not change stay as they are.

import { blocks } from "./blocks.js";
import { button, copy, el } from "./dom.js";
import { highlight } from "./highlight.js";
import { inline, plain } from "./inline.js";
import { inlineImage, target } from "./links.js";

export class Markdown {
  constructor(root) {
    this.root = root;
    this.root.classList.add("prose");
    this.shown = [];
  }

  // `over`: no more text comes. Returns the blocks that are complete since the last time.
  set(text, over = true) {
    const found = blocks(text);
    found.forEach((block, i) => {
      const last = i === found.length - 1;
      const before = this.shown[i];
      const open = last && !over && block.t === "code" && !block.closed;
      if (before?.source === block.source && before.open === open) return;
      if (open && before?.open && before.lang === block.lang) before.node.querySelector("code").textContent = block.text;
      else {
        const node = drawn(block, open);
        if (before) before.node.replaceWith(node);
        else this.root.append(node);
        this.shown[i] = { node };
      }
      Object.assign(this.shown[i], { source: block.source, open, lang: block.lang });
    });
    for (const gone of this.shown.splice(found.length)) gone.node.remove();
  }
}

function drawn(block, open = false) {
  if (block.t === "code") return code(block, open);
  if (block.t === "h") return el(`h${Math.min(6, block.level + 1)}`, {}, ...inside(block.text));
  if (block.t === "hr") return el("hr");
  if (block.t === "quote") return el("blockquote", {}, ...block.kids.map((kid) => drawn(kid)));
  if (block.t === "list") return list(block);
  if (block.t === "table") return table(block);
  return el("p", {}, ...inside(block.text));
}

function code(block, open) {
  const lang = /^[\w+#.-]{1,20}$/.test(block.lang) ? block.lang : "";
  const inner = el("code");
  if (open) inner.textContent = block.text;
  else highlight(inner, block.text, lang);
  const copier = button("Copy code", "copy", () => copy(inner.textContent, copier));
  return el(
    "figure",
    { class: "code" },
    el("figcaption", {}, el("span", {}, lang || "text"), copier),
    el("pre", { tabindex: "0", dir: "ltr", "aria-label": `code ${lang}` }, inner),
  );
}

function list(block) {
  const items = block.items.map((kids) => {
    const task = kids[0]?.t === "p" ? /^\[([ xX])\]\s+/.exec(kids[0].text) : null;
    if (task) kids[0] = { ...kids[0], text: kids[0].text.slice(task[0].length) };
    const tight = kids.length && kids[0].t === "p" && kids.slice(1).every((kid) => kid.t === "list");
    const [first, ...rest] = kids;
    const nodes = tight ? [...inside(first.text), ...rest.map((kid) => drawn(kid))] : kids.map((kid) => drawn(kid));
    if (!task) return el("li", {}, ...nodes);
    const box = el("input", { type: "checkbox", disabled: true, checked: task[1] !== " ", "aria-label": "task" });
    return el("li", { class: "task" }, box, ...nodes);
  });
  return block.ordered ? el("ol", { start: block.start === 1 ? null : block.start }, ...items) : el("ul", {}, ...items);
}

function table(block) {
  const row = (tag, cells) =>
    el("tr", {}, ...cells.map((cell, i) => el(tag, { class: block.sides[i] || null, scope: tag === "th" ? "col" : null }, ...inside(cell))));
  return el(
    "div",
    { class: "table", tabindex: "0", role: "region", "aria-label": "table" },
    el("table", {}, el("thead", {}, row("th", block.head)), el("tbody", {}, ...block.rows.map((cells) => row("td", cells)))),
  );
}

const inside = (text) => inline(text).flatMap(leaf);

function leaf(node) {
  if (node.t === "text") return [node.s];
  if (node.t === "br") return [el("br")];
  if (node.t === "code") return [el("code", { dir: "ltr" }, node.s)];
  if (node.t === "link") return link(node);
  if (node.t === "image") return image(node);
  return [el(node.t, {}, ...node.kids.flatMap(leaf))];
}

// A link, and where it leads unless its text says so; what may lead to no good is text.
function link(node) {
  const href = target(node.to);
  const kids = node.kids.flatMap(leaf);
  if (!href) return ["[", ...kids, `](${node.to})`];
  const said = plain(node.kids).trim();
  const same = [href, href.replace(/\/$/, ""), href.replace(/^mailto:/, "")].includes(said);
  const made = el("a", { href, target: "_blank", rel: "noopener noreferrer nofollow", title: href }, ...kids);
  if (same) return [made];
  const short = href.length > 60 ? href.slice(0, 48) + "…" + href.slice(-10) : href;
  return [made, el("span", { class: "target", dir: "ltr" }, ` (${short.replace(/^mailto:/, "")})`)];
}

// An image that the text itself holds is shown when the user says so; others are links.
function image(node) {
  const alt = plain(node.kids).trim();
  const data = inlineImage(node.to);
  if (!data) {
    const named = { to: node.to, kids: [{ t: "text", s: `image: ${alt || "without a name"}` }] };
    return target(node.to) ? link(named) : ["![", alt, `](${node.to.slice(0, 200)})`];
  }
  const made = el("button", { type: "button", class: "button" }, `Show the image${alt ? `: ${alt}` : ""} (${Math.ceil(data.length / 1366)} KB)`);
  made.addEventListener("click", () => made.replaceWith(el("img", { src: data, alt })));
  return [made];
}
