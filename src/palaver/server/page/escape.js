// What can't be seen, or makes text look like something else, is spelled out.

const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const STACKED = /(\p{Mn}{4})(\p{Mn}+)/gu;

const spelled = (char) => {
  const point = char.codePointAt(0);
  return point < 256 ? "\\x" + point.toString(16).padStart(2, "0") : `\\u{${point.toString(16)}}`;
};

// For what is asked about: exact. Line ends and tabs stay, where `lines` says so.
export function exact(text, lines = true) {
  return text
    .replace(HIDDEN, (char) => (lines && (char === "\n" || char === "\t") ? char : spelled(char)))
    .replace(STACKED, (_all, some, rest) => some + [...rest].map(spelled).join(""));
}

// For names and titles: one line, no longer than can be looked at.
export function line(text, most = 200) {
  const short = text.length > most ? text.slice(0, most) + "…" : text;
  return exact(short.replace(/\s+/g, " ").trim(), false);
}
