// A little colour in code, for most languages at once: comments, texts, numbers, keywords.

const WORDS = new Set(
  ("and as assert async await begin bool break case catch char class const continue def default del do double elif " +
    "else elsif end enum except export extends extern false finally float fn for foreach from func function if impl " +
    "implements import in instanceof int interface is lambda let long loop match mod module mut namespace new nil not " +
    "null None or package pass private protected pub public raise record return select self SELECT FROM WHERE INSERT " +
    "UPDATE DELETE JOIN ORDER GROUP BY LIMIT CREATE TABLE short sizeof static string struct super switch template then " +
    "this throw trait true True False try type typedef typeof union unless unsafe unsigned use using val var virtual " +
    "void when where while with yield fi done esac echo local").split(" "),
);
const HASHES = /^(py|python|sh|bash|zsh|shell|console|rb|ruby|yaml|yml|toml|perl|r|make|makefile|dockerfile|nix|elixir)$/i;
const LONGEST = 60000;

const SLASHES = /^(js|javascript|ts|typescript|jsx|tsx|c|h|cpp|c\+\+|cs|java|kotlin|go|rust|rs|swift|php|css|scss|scala|dart|json5?|zig)$/i;
const DASHES = /^(sql|lua|haskell|hs|elm|ada|vhdl)$/i;
const TEXT =
  /("""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|`(?:\\.|[^`\\])*`?)/;
const REST = /(\b\d[\w.]*)|([A-Za-z_]\w*)/;

// What is looked for in a language: only what is a comment there is read as one, so that no text
// is read twice.
function tokens(lang) {
  const comments = [];
  if (SLASHES.test(lang)) comments.push(String.raw`\/\*[\s\S]*?(?:\*\/|$)|\/\/[^\n]*`);
  if (DASHES.test(lang)) comments.push(String.raw`--[^\n]*`);
  if (HASHES.test(lang)) comments.push(String.raw`#[^\n]*`);
  return new RegExp(`(${comments.join("|") || "(?!)"})|${TEXT.source}|${REST.source}`, "g");
}

function part(kind, text) {
  const made = document.createElement("span");
  made.className = kind;
  made.textContent = text;
  return made;
}

// Fills `into` with the code; its text is the code's text, whatever is coloured.
export function highlight(into, text, lang) {
  if (!lang || text.length > LONGEST || lang === "text" || lang === "txt") {
    into.textContent = text;
    return;
  }
  if (/^(diff|patch)$/.test(lang)) return diff(into, text);
  const made = document.createDocumentFragment();
  let at = 0;
  for (const found of text.matchAll(tokens(lang))) {
    const [all, comment, string, number, word] = found;
    const kind = comment ? "c" : string ? "s" : number ? "n" : WORDS.has(word) ? "k" : null;
    if (!kind) continue;
    made.append(text.slice(at, found.index), part(kind, all));
    at = found.index + all.length;
  }
  made.append(text.slice(at));
  into.replaceChildren(made);
}

export function diff(into, text) {
  const made = document.createDocumentFragment();
  for (const line of text.split(/(?<=\n)/)) {
    const kind = /^(\+\+\+ |--- |rename )/.test(line)
      ? "head"
      : { "+": "plus", "-": "minus", "@": "hunk" }[line[0]];
    made.append(kind ? part(kind, line) : line);
  }
  into.replaceChildren(made);
}
