// Markdown's blocks: lines in, a list of { t, source, ... } out. Never fails.

const FENCE = /^( {0,3})(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])(?:\s+|$)/;
const QUOTE = /^ {0,3}> ?/;
const DIVIDER = /^ {0,3}\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const DEEPEST = 10;

const blank = (line) => !line.trim();
const indent = (line) => line.length - line.trimStart().length;

export function blocks(text, depth = 0) {
  return readAll(text.replace(/\r\n?/g, "\n").split("\n"), depth);
}

function readAll(lines, depth) {
  const found = [];
  let i = 0;
  while (i < lines.length) {
    if (blank(lines[i])) {
      i += 1;
      continue;
    }
    const rest = () => [{ t: "p", text: lines.slice(i).join("\n") }, lines.length];
    const [block, next] = depth < DEEPEST ? one(lines, i, depth) : rest();
    found.push({ ...block, source: lines.slice(i, next).join("\n") });
    i = next;
  }
  return found;
}

function one(lines, i, depth) {
  const line = lines[i];
  const fence = FENCE.exec(line);
  if (fence) return code(lines, i, fence);
  const heading = HEADING.exec(line);
  if (heading) return [{ t: "h", level: heading[1].length, text: heading[2] ?? "" }, i + 1];
  if (RULE.test(line)) return [{ t: "hr" }, i + 1];
  if (QUOTE.test(line)) return quote(lines, i, depth);
  if (ITEM.test(line) && indent(line) < 4) return list(lines, i, depth);
  if (line.includes("|") && i + 1 < lines.length && DIVIDER.test(lines[i + 1]) && lines[i + 1].includes("-")) {
    const made = table(lines, i);
    if (made) return made;
  }
  return paragraph(lines, i);
}

function code(lines, i, [, before, mark, info]) {
  const end = new RegExp(`^ {0,3}${mark[0]}{${mark.length},}\\s*$`);
  let j = i + 1;
  const text = [];
  while (j < lines.length && !end.test(lines[j])) {
    text.push(lines[j].slice(Math.min(before.length, indent(lines[j]))));
    j += 1;
  }
  const closed = j < lines.length;
  return [{ t: "code", lang: info.trim().split(/\s/)[0], text: text.join("\n"), closed }, closed ? j + 1 : j];
}

function quote(lines, i, depth) {
  const inner = [];
  let j = i;
  while (j < lines.length && (QUOTE.test(lines[j]) || (!blank(lines[j]) && !starts(lines[j]) && j > i))) {
    inner.push(lines[j].replace(QUOTE, ""));
    j += 1;
  }
  return [{ t: "quote", kids: readAll(inner, depth + 1) }, j];
}

function list(lines, i, depth) {
  const first = ITEM.exec(lines[i]);
  const ordered = /\d/.test(first[2]);
  const same = (found) =>
    found && found[1].length - first[1].length < 2 && /\d/.test(found[2]) === ordered;
  const items = [];
  let j = i;
  while (j < lines.length) {
    const found = ITEM.exec(lines[j]);
    if (!same(found) || RULE.test(lines[j])) break;
    const width = Math.max(2, Math.min(found[0].length, found[1].length + found[2].length + 4));
    const inner = [lines[j].slice(found[0].length)];
    let loose = false;
    for (j += 1; j < lines.length; j += 1) {
      const next = lines[j];
      if (blank(next)) {
        const after = lines.slice(j + 1, j + 3).find((one) => !blank(one));
        if (after === undefined || indent(after) < Math.min(width, 2)) break;
        loose = true;
      } else if (indent(next) < 2 + first[1].length) {
        if (ITEM.test(next) || starts(next) || loose) break;
      } else if (same(ITEM.exec(next))) break;
      inner.push(next.slice(Math.min(indent(next), width)));
    }
    items.push(readAll(inner, depth + 1));
    while (j < lines.length && blank(lines[j]) && same(ITEM.exec(lines[j + 1] ?? ""))) j += 1;
  }
  return [{ t: "list", ordered, start: ordered ? parseInt(first[2], 10) : 1, items }, j];
}

function table(lines, i) {
  const head = cells(lines[i]);
  const sides = cells(lines[i + 1]).map((c) => (c.startsWith(":") && c.endsWith(":") ? "center" : c.endsWith(":") ? "right" : ""));
  if (sides.length !== head.length) return null;
  const rows = [];
  let j = i + 2;
  for (; j < lines.length && !blank(lines[j]) && lines[j].includes("|"); j += 1) {
    const row = cells(lines[j]).slice(0, head.length);
    rows.push([...row, ...Array(head.length - row.length).fill("")]);
  }
  return [{ t: "table", head, sides, rows }, j];
}

function cells(line) {
  const inner = line.trim().replace(/^\||(?<!\\)\|$/g, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.replace(/\\\|/g, "|").trim());
}

const starts = (line) =>
  FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);

function paragraph(lines, i) {
  let j = i + 1;
  while (j < lines.length && !blank(lines[j]) && !starts(lines[j])) j += 1;
  return [{ t: "p", text: lines.slice(i, j).map((line) => line.trimStart()).join("\n") }, j];
}
