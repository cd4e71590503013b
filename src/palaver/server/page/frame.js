// The page's frame: the scrolled conversation, the list at the side of a phone, keys that lead there.

import { at } from "./dom.js";

const NEAR = 90; // px from the end within which the page goes along with what comes
const root = at("log");

export const atEnd = () => root.scrollHeight - root.scrollTop - root.clientHeight < NEAR;
export const toEnd = () => (root.scrollTop = root.scrollHeight);

export function scrolled() {
  at("latest").hidden = atEnd();
  document.body.classList.toggle("scrolled", root.scrollTop > 4);
}

export function openSide(yes) {
  document.body.classList.toggle("side-open", yes);
  at("menu").setAttribute("aria-expanded", String(yes));
  at("veil").hidden = !yes;
  if (yes) at("search").focus();
}
export const closeSide = () => openSide(false);

const typing = (node) => node.closest?.("input, textarea, [contenteditable]");

// Goes to the message with `/`, to the search with Ctrl-K.
export function shortcut(event, message, search) {
  const modified = event.ctrlKey || event.metaKey;
  if (event.key === "/" && !typing(event.target) && !modified) {
    event.preventDefault();
    message.focus();
  } else if (event.key.toLowerCase() === "k" && modified) {
    event.preventDefault();
    openSide(matchMedia("(max-width: 760px)").matches);
    search.focus();
  }
}
