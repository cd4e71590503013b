// What can't be seen, or makes text look like something else, is spelled out. What people write
// stays: emoji of several parts, the joiners of Arabic and Indic scripts.

const JOINING = "[\\p{scx=Arab}\\p{scx=Deva}\\p{scx=Beng}\\p{scx=Guru}\\p{scx=Gujr}\\p{scx=Taml}\\p{scx=Telu}\\p{scx=Knda}\\p{scx=Mlym}\\p{scx=Sinh}]";
const KEPT = `\\p{RGI_Emoji}|(?<=${JOINING})[\\u200c\\u200d](?=${JOINING})`;
const HIDDEN = "[\\p{Cc}\\p{Cf}\\p{Co}\\p{Cn}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}]";
const ODD = new RegExp(`(${KEPT})|${HIDDEN}`, "gv");
const STACKED = /(\p{Mn}{4})(\p{Mn}+)/gu;

const spelled = (char) => {
  const point = char.codePointAt(0);
  return point < 256 ? "\\x" + point.toString(16).padStart(2, "0") : `\\u{${point.toString(16)}}`;
};

// For what is asked about: exact. Line ends and tabs stay, where `lines` says so.
export function exact(text, lines = true) {
  return text
    .replace(ODD, (char, kept) => kept ?? (lines && (char === "\n" || char === "\t") ? char : spelled(char)))
    .replace(STACKED, (_all, some, rest) => some + [...rest].map(spelled).join(""));
}

// For names and titles: one line, no longer than can be looked at.
export function line(text, most = 200) {
  const short = text.length > most ? text.slice(0, most).replace(/[\ud800-\udbff]$/, "") + "…" : text;
  return exact(short.replace(/\s+/g, " ").trim(), false);
}
