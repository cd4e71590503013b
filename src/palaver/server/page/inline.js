// Markdown inside a line: a tree of { t, ... } nodes. Never fails; what is no markup is text.

const PUNCTUATION = /[\p{P}\p{S}]/u;
const SPACE = /\s|^$/u;
const ESCAPED = /\\([!-/:-@[-`{-~])/y;
const TICKS = /`+/y;
const DELIMITERS = /\*+|_+|~~/y;
const ANGLE = /<((?:https?:\/\/|mailto:)[^\s<>]+)>/y;
const BARE = /https?:\/\/[^\s<>"'`\u200b-\u200f\u202a-\u202e\u2060-\u2069]+/y;
const PLAIN = /[^\\`*_~![\]<h\n]+/y;
const PLACE =
  /\(\s*(?:<([^<>\n]*)>|([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/y;

function match(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

class Scanner {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.frames = [{ ch: "", n: 0, kids: [] }];
    this.open = new Map(); // how many frames of a kind there are
    this.unclosed = new Set(); // lengths of runs of backticks that nothing closes
  }

  get kids() {
    return this.frames[this.frames.length - 1].kids;
  }

  say(text) {
    const last = this.kids[this.kids.length - 1];
    if (last?.t === "text") last.s += text;
    else if (text) this.kids.push({ t: "text", s: text });
  }

  push(frame) {
    this.frames.push(frame);
    this.open.set(frame.ch, (this.open.get(frame.ch) ?? 0) + 1);
  }

  pop() {
    const frame = this.frames.pop();
    this.open.set(frame.ch, this.open.get(frame.ch) - 1);
    return frame;
  }

  // What was opened and is no markup after all becomes text of what is around it.
  flatten(frame) {
    this.say(frame.mark ?? frame.ch.repeat(frame.n));
    for (const kid of frame.kids) kid.t === "text" ? this.say(kid.s) : this.kids.push(kid);
  }

  until(ch) {
    while (this.frames[this.frames.length - 1].ch !== ch) this.flatten(this.pop());
  }

  run() {
    while (this.at < this.text.length) this.step();
    while (this.frames.length > 1) this.flatten(this.pop());
    return this.frames[0].kids;
  }

  step() {
    const { text, at } = this;
    let found;
    if ((found = match(PLAIN, text, at))) this.say(found[0]);
    else if ((found = match(ESCAPED, text, at))) this.say(found[1]);
    else if ((found = match(TICKS, text, at))) return this.code(found[0]);
    else if ((found = match(DELIMITERS, text, at))) this.delimiters(found[0]);
    else if ((found = match(ANGLE, text, at))) this.kids.push(linked(found[1]));
    else if ((found = match(BARE, text, at))) return this.bare(found[0]);
    else if (text[at] === "\n") return this.newline();
    else if (text[at] === "[" || text.startsWith("![", at)) {
      const mark = text[at] === "[" ? "[" : "![";
      this.push({ ch: "[", mark, n: 1, kids: [], live: true });
      this.at += mark.length;
      return;
    } else if (text[at] === "]") return this.close();
    else {
      const char = text[at] === "\\" ? "\\" : String.fromCodePoint(text.codePointAt(at));
      this.say(char);
      this.at += char.length;
      return;
    }
    this.at += found[0].length;
  }

  newline() {
    const last = this.kids[this.kids.length - 1];
    if (last?.t === "text") last.s = last.s.replace(/(?: +|\\)$/, "");
    this.kids.push({ t: "br" });
    this.at += 1;
  }

  code(ticks) {
    const from = this.at + ticks.length;
    this.at = from;
    if (!this.unclosed.has(ticks.length)) {
      const runs = /`+/g;
      runs.lastIndex = from;
      for (let run = runs.exec(this.text); run; run = runs.exec(this.text)) {
        if (run[0].length !== ticks.length) continue;
        let inside = this.text.slice(from, run.index).replace(/\n/g, " ");
        if (/^ .*[^ ].* $/.test(inside)) inside = inside.slice(1, -1);
        this.kids.push({ t: "code", s: inside });
        this.at = run.index + run[0].length;
        return;
      }
      this.unclosed.add(ticks.length);
    }
    this.say(ticks);
  }

  bare(address) {
    const before = this.at ? this.text[this.at - 1] : "";
    let cut = address.replace(/[.,;:!?*_~\]]+$/, "");
    while (cut.endsWith(")") && cut.split(")").length > cut.split("(").length) cut = cut.slice(0, -1);
    if (/[\p{L}\p{N}]/u.test(before) || cut.length < 9) {
      this.say(this.text[this.at]);
      this.at += 1;
      return;
    }
    this.kids.push(linked(cut));
    this.at += cut.length;
  }

  delimiters(run) {
    const before = this.at ? this.text[this.at - 1] : "";
    const after = this.text[this.at + run.length] ?? "";
    const ch = run[0];
    const [spaceBefore, spaceAfter] = [SPACE.test(before), SPACE.test(after)];
    const [markBefore, markAfter] = [PUNCTUATION.test(before), PUNCTUATION.test(after)];
    const left = !spaceAfter && (!markAfter || spaceBefore || markBefore);
    const right = !spaceBefore && (!markBefore || spaceAfter || markAfter);
    const opens = left && (ch !== "_" || !right || markBefore);
    const closes = right && (ch !== "_" || !left || markAfter);
    let n = run.length;
    while (closes && n && this.open.get(ch)) {
      this.until(ch);
      const frame = this.pop();
      const used = ch === "~" ? 2 : Math.min(2, n, frame.n);
      const made = { t: ch === "~" ? "del" : used === 2 ? "strong" : "em", kids: frame.kids };
      n -= used;
      if (frame.n > used) this.push({ ...frame, n: frame.n - used, kids: [made] });
      else this.kids.push(made);
    }
    if (n && opens) this.push({ ch, n, kids: [] });
    else if (n) this.say(ch.repeat(n));
  }

  close() {
    this.at += 1;
    if (!this.open.get("[")) return this.say("]");
    this.until("[");
    const frame = this.pop();
    const place = frame.live ? match(PLACE, this.text, this.at) : null;
    if (!place) {
      this.flatten(frame);
      return this.say("]");
    }
    this.at += place[0].length;
    const to = (place[1] ?? place[2]).replace(/\\([!-/:-@[-`{-~])/g, "$1");
    if (frame.mark === "![") return this.kids.push({ t: "image", to, kids: frame.kids });
    for (const outer of this.frames) if (outer.mark === "[") outer.live = false;
    this.kids.push({ t: "link", to, kids: frame.kids });
  }
}

const linked = (to) => ({ t: "link", to, kids: [{ t: "text", s: to }] });

export const inline = (text) => new Scanner(text).run();

export function plain(nodes) {
  return nodes.map((n) => (n.t === "br" ? " " : n.s ?? plain(n.kids))).join("");
}
