// The page: what is open, what is said, what happens.

import { events, get, post } from "./api.js";
import { Consent } from "./consent.js";
import { at, button, el, icon, speak } from "./dom.js";
import { line } from "./escape.js";
import { atEnd, closeSide, openSide, scrolled, shortcut, toEnd } from "./frame.js";
import { Log } from "./log.js";
import { clearNotices, notice } from "./notices.js";
import { Sessions } from "./sessions.js";
import { openSettings, sampling, themeSwitch } from "./settings.js";

const AGAIN = 1000; // ms before a lost connection is tried again

const HINT = at("hint").textContent;
const state = { id: null, about: null, session: null, busy: false, sending: false, queued: false, editing: null, watching: null };
const input = at("input");
const root = at("log");

const log = new Log(root, {
  retry: () => act("retry"),
  carryOn: () => act("continue"),
  edit: (row, text) => edit(row, text),
  go: (row) => tried(post(`sessions/${state.id}/go`, { row, tip: log.tip })),
});
const consent = new Consent(
  (digest, what) => tried(post(`sessions/${state.id}/answer`, { digest, ...what })),
  () => stop(),
);
const sessions = new Sessions(at("sessions"), { renamed, removed });

async function tried(work) {
  try {
    return await work;
  } catch (error) {
    if (error.code === "moved") watch();
    notice(error.message || String(error), "bad");
    return null;
  }
}

// -- what is open -----------------------------------------------------------------------

function route() {
  const found = /^#\/(\d{1,15})$/.exec(location.hash);
  open(found ? Number(found[1]) : null);
}

function open(id) {
  keepDraft();
  state.watching?.abort();
  Object.assign(state, { id, session: null, busy: false, queued: false, editing: null });
  consent.close();
  clearNotices();
  log.clear();
  sessions.select(id);
  closeSide();
  input.value = sessionStorage.getItem(`draft ${id ?? "new"}`) ?? "";
  grow();
  if (id === null) log.welcome(state.about?.keeps !== false);
  else watch();
  if (id !== null && !sessions.list.some((one) => one.id === id)) list();
  show();
  if (matchMedia("(hover: hover)").matches) input.focus();
}

function keepDraft() {
  const key = `draft ${state.id ?? "new"}`;
  if (input.value && !state.editing) sessionStorage.setItem(key, input.value);
  else sessionStorage.removeItem(key);
}

function show() {
  const { session, about } = state;
  const title = session ? line(session.title || session.preview, 120) || `Session ${session.id}` : "New chat";
  at("title").textContent = title;
  document.title = session ? `${title} – palaver` : "palaver";
  const words = about ? [line(about.model, 80)] : [];
  if (about?.state === "loading") words.push("loading");
  else if (about?.context) words.push(`${log.used ? `${log.used} of ` : ""}${about.context} tokens of context`);
  at("model").textContent = words.join(" · ");
  const blocked = session?.blocked;
  const free = Boolean(session) && !state.busy && !blocked;
  undo.disabled = redo.disabled = !free;
  undo.hidden = redo.hidden = !session;
  input.disabled = Boolean(blocked);
  input.placeholder = blocked ? "Open for writing elsewhere" : "Say something";
  sendButton();
  log.settle(session?.step, free);
}

function sendButton() {
  const send = at("send");
  send.replaceChildren(icon(state.busy ? "stop" : "send"));
  send.setAttribute("aria-label", state.busy ? "Stop" : state.editing ? "Send the edited message" : "Send");
  send.title = state.busy ? "Stop (Esc)" : "Send (Enter)";
  const loading = state.id !== null && !state.session;
  send.disabled = !state.busy && (!input.value.trim() || state.sending || input.disabled || loading);
}

// -- what happens -----------------------------------------------------------------------

async function watch() {
  state.watching?.abort();
  if (state.id === null || document.hidden) return;
  const { id } = state;
  const watching = (state.watching = new AbortController());
  while (!watching.signal.aborted) {
    try {
      for await (const event of events(`sessions/${id}/events`, watching.signal)) {
        if (watching.signal.aborted) return;
        happened(event);
      }
      lost.quiet = 0;
    } catch (error) {
      if (watching.signal.aborted) return;
      if (error.status === 404) return gone();
      if (error.status === 403) return notice(error.message, "bad");
      lost(error);
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}

function lost(error) {
  lost.quiet = (lost.quiet || 0) + 1;
  if (lost.quiet !== 2 || at("notices").querySelector("[data-lost]")) return;
  notice(`The server can't be reached (${error.message}). What was said is kept; this page goes on by itself.`, "bad").dataset.lost = "yes";
}

function gone() {
  history.replaceState(null, "", "#/");
  route();
  notice("There is no such session; it may have been deleted.");
  list();
}

function happened(event) {
  const stuck = atEnd();
  if (event.type === "session") begun(event);
  else if (event.type === "row") rowed(event.row);
  else if (event.type === "instead") log.instead(event.row);
  else if (event.type === "question") asked(event.question);
  else if (event.type === "idle") ended(event.step);
  else if (event.type === "note") notice(event.text);
  else if (event.type === "error") notice([event.message, event.fix].filter(Boolean).join("\n"), "bad");
  else if (event.type === "gone") gone();
  else if (event.type === "ending") notice("The server ends. What was said is kept; this page goes on by itself.").dataset.lost = "yes";
  else if (event.type === "tool_started") log.card(event.call.id)?.running();
  else if (event.type === "tool_output") log.card(event.call_id)?.print(event.text);
  else if (event.type === "state" && event.state === "thinking") log.begin();
  else if (["prefill", "waiting", "text", "reasoning", "call_delta", "call"].includes(event.type)) {
    log.begin().add(event);
    paint();
  }
  if (stuck) toEnd();
}

function begun(event) {
  const lost = at("notices").querySelector("[data-lost]");
  if (lost) about();
  lost?.remove();
  const { rows, question, busy, ...session } = event;
  const first = !state.session;
  state.session = session;
  log.drop(); // what is under way is told again
  log.reset(rows);
  setBusy(busy);
  asked(question);
  show();
  if (session.blocked) blocked(session.blocked);
  else at("notices").querySelector("[data-blocked]")?.remove();
  if (first) toEnd();
}

function blocked(why) {
  const copy = el("button", { type: "button", class: "button", on: { click: fork } }, "Go on in a copy");
  notice(`${why} It can be read here.`, "", copy).dataset.blocked = "yes";
}

function rowed(row) {
  const mine = log.live;
  log.row(row);
  state.session.tip = log.tip;
  if (row.entry.type === "message" && row.entry.role === "assistant") (mine ?? log.newest?.view)?.tell();
}

function asked(question) {
  consent.show(question);
  if (question) speak(`May ${line(question.call.name, 60)} run? ${line(question.preview.title, 200)}`);
}

function ended(step) {
  log.drop();
  if (state.session) state.session.step = step;
  setBusy(false);
  show();
  list();
}

function setBusy(busy) {
  if (busy !== state.busy) list();
  state.busy = busy;
  sendButton();
  if (!busy && state.queued) {
    queue(false);
    send();
  }
}

// What is typed while an answer comes is sent once that is done.
function queue(on) {
  state.queued = on && Boolean(input.value.trim());
  at("hint").textContent = state.queued ? "Sent when the answer is done; Esc stops both" : HINT;
}

let painting = 0;
function paint() {
  painting ||= requestAnimationFrame(() => {
    painting = 0;
    const stuck = atEnd();
    log.live?.paint();
    if (stuck) toEnd();
  });
}

// -- what is said -----------------------------------------------------------------------

const turn = () => ({ tip: log.tip, sampling: sampling() });

async function send() {
  const text = input.value;
  const { id, editing } = state;
  if (!text.trim() || state.busy || state.sending || input.disabled) return;
  if (id !== null && !state.session) return;
  state.sending = true;
  clearNotices();
  sendButton();
  const path = id === null ? "sessions" : `sessions/${id}/${editing ? "edit" : "say"}`;
  const made = await tried(post(path, { text, row: editing ?? 0, ...turn() }));
  state.sending = false;
  if (made) {
    said(id);
    if (id === null) location.hash = `#/${made.id}`;
    list();
  }
  sendButton();
}

// What was said is on the server's disk: it leaves the box, unless that shows something else by now.
function said(id) {
  sessionStorage.removeItem(`draft ${id ?? "new"}`);
  if (state.id !== id) return;
  input.value = "";
  leaveEdit();
  grow();
  toEnd();
}

function edit(row, text) {
  if (state.busy || state.session?.blocked) return;
  state.editing = row.id;
  input.value = text;
  grow();
  input.focus();
  at("notices").querySelector("[data-edit]")?.remove();
  const made = notice("Editing: what followed stays in the session; redo goes back to it.");
  made.dataset.edit = "yes";
  made.lastChild.addEventListener("click", () => {
    input.value = "";
    leaveEdit();
    grow();
  });
}

function leaveEdit() {
  state.editing = null;
  at("notices").querySelector("[data-edit]")?.remove();
  sendButton();
}

const act = (what) => {
  clearNotices();
  return tried(post(`sessions/${state.id}/${what}`, turn()));
};
const stop = () => state.busy && tried(post(`sessions/${state.id}/stop`));

async function fork() {
  const made = await tried(post(`sessions/${state.id}/fork`));
  if (made) location.hash = `#/${made.id}`;
}

// -- sessions ---------------------------------------------------------------------------

let listing = null;
async function list() {
  if (at("search").value.trim()) return;
  listing ??= get("sessions").finally(() => (listing = null));
  const found = await listing.catch(() => null);
  if (found && !at("search").value.trim()) sessions.set(found.sessions);
}

let searching = 0;
function search() {
  clearTimeout(searching);
  searching = setTimeout(async () => {
    const text = at("search").value.trim();
    if (!text) return list();
    const still = () => at("search").value.trim() === text;
    await sessions.search(text, still).catch((error) => notice(error.message, "bad"));
  }, 200);
}

async function renamed(session, title) {
  await tried(post(`sessions/${session.id}/title`, { title }));
  if (state.session?.id === session.id) state.session.title = title.trim() || null;
  show();
  list();
}

async function removed(session) {
  if (!(await tried(post(`sessions/${session.id}/delete`)))) return;
  if (state.id === session.id) location.hash = "#/";
  list();
}

// -- keys, scrolling, the frame -----------------------------------------------------------

function grow() {
  input.style.height = "auto";
  input.style.height = `${input.scrollHeight}px`;
  sendButton();
}

function key(event) {
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    if (state.editing) {
      input.value = "";
      leaveEdit();
      grow();
    } else if (document.body.classList.contains("side-open")) closeSide();
    else {
      queue(false);
      stop();
    }
  } else shortcut(event, input, at("search"));
}

async function about() {
  try {
    state.about = await get("about");
  } catch (error) {
    if (error.status === 403) return notice(error.message, "bad");
  }
  show();
  if (state.about?.keeps === false && document.querySelector(".welcome")) log.welcome(false);
  if (state.about?.state !== "ready") setTimeout(about, AGAIN);
}

const undo = button("Take the last turn back", "undo", () => act("undo"));
const redo = button("Bring back what was taken back", "redo", () => act("redo"));

function start() {
  at("tools").append(undo, redo, themeSwitch(), button("Settings", "settings", () => openSettings(state.about)));
  at("menu").append(icon("menu"));
  at("latest").append(icon("down"));
  at("menu").addEventListener("click", () => openSide(true));
  at("veil").addEventListener("click", closeSide);
  at("latest").addEventListener("click", toEnd);
  at("new").addEventListener("click", () => state.id === null && closeSide());
  at("search").addEventListener("input", search);
  at("send").addEventListener("click", () => (state.busy ? stop() : send()));
  root.addEventListener("scroll", scrolled);
  new ResizeObserver(scrolled).observe(root);
  input.addEventListener("input", grow);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (state.busy) queue(true);
    else send();
  });
  document.addEventListener("keydown", key);
  addEventListener("hashchange", route);
  addEventListener("pagehide", keepDraft);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return state.busy || state.watching?.abort();
    if (!state.busy || state.watching?.signal.aborted) watch();
    list();
  });
  setInterval(() => document.hidden || list(), 15000);
  about();
  route();
  list();
}

start();
