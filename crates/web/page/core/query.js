// Edits the text of a query: what a click adds means the value that was clicked, and nothing else.

import { kindOf } from "./stages.js";

/** The fields at the top of a CloudTrail record; a bare name of another kind could be a short name. */
const RECORD_FIELDS = new Set(
  `additionalEventData addendum apiVersion awsRegion edgeDeviceDetails errorCode errorMessage
  eventCategory eventContext eventID eventName eventSource eventTime eventType eventVersion
  insightDetails managementEvent readOnly recipientAccountId requestID requestParameters resources
  responseElements serviceEventDetails sessionCredentialFromConsole sharedEventID sourceIPAddress
  tlsDetails userAgent userIdentity vpcEndpointAccountId vpcEndpointId`.split(/\s+/),
);

/** A query's text has at most so many bytes; one filter takes a part of them. */
export const VALUE_BYTES_MAX = 40_000;

/**
 * A text in quotes: the language knows `\"` and `\\`, and takes everything else as it is.
 * @param {string} text
 */
export function quote(text) {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/**
 * A path of a record as a query has it: in quotes where a bare name could be read in another way.
 * @param {string} path
 */
export function fieldOf(path) {
  const isPlain = /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(path) && !path.endsWith(".");
  const isOfRecord = RECORD_FIELDS.has(path.split(".", 1)[0]);
  return isPlain && isOfRecord ? path : quote(path);
}

/**
 * The condition that finds exactly this value of a field; null asks for events without one.
 * `field` is as a query has it.
 * @param {string} field
 * @param {string | null} value
 */
export function condition(field, value) {
  return value === null ? `NOT ${field}:*` : `${field} = ${quote(value)}`;
}

/**
 * The value of a parameter as a bare word, which has no meaning but itself.
 * @param {string} text
 */
export function bare(text) {
  if (text === "") return '""';
  if (/^(and|or|not|to|null|nil)$/i.test(text)) return `\\${text}`;
  const escaped = text.replace(/[^\p{L}\p{N}_.:/@-]/gu, (character) => `\\${character}`);
  return /^[\p{L}\p{N}_\\]/u.test(escaped) ? escaped : `\\${escaped}`;
}

/**
 * The text of which this is the quoted form; undefined where it is none.
 * @param {string} text
 */
export function unquoted(text) {
  return /^"((?:[^"\\]|\\.)*)"$/s.exec(text)?.[1].replace(/\\(["\\])/g, "$1");
}

/**
 * Whether a text is a field's name as a query has it: bare, or in quotes. What comes out of an address may
 * be anything.
 * @param {string} text
 */
export function isField(text) {
  return /^[\p{L}_@][\p{L}\p{M}\p{N}_@.#$/-]*$/u.test(text) || (unquoted(text) ?? "") !== "";
}

/**
 * Where a quoted text ends that begins at `from`; the end of the query where it never does.
 * @param {string} text
 * @param {number} from
 */
function endOfQuoted(text, from) {
  const opened = text[from];
  const close = opened === "\u201c" ? "\u201d" : opened === "\u2018" ? "\u2019" : opened;
  const isSingle = close === "'" || close === "\u2019";
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === close) {
      const next = text[at + 1] ?? " ";
      if (close === "'" && next === "'") at += 1;
      else if (!isSingle || !/[\p{Alphabetic}\p{N}]/u.test(next)) return at + 1;
    }
  }
  return text.length;
}

/**
 * Where a regular expression ends that begins at `from`; undefined where the slash is text.
 * @param {string} text
 * @param {number} from
 */
function endOfRegex(text, from) {
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === "/") {
      const end = text[at + 1] === "i" ? at + 2 : at + 1;
      return at > from + 1 && /^($|[\s()"|,\]]|&&)/.test(text.slice(end, end + 2)) ? end : undefined;
    }
  }
  return undefined;
}

/**
 * Walks a query's text by its parts: quoted texts, regular expressions, and single characters. A quote or a
 * slash within a bare word is text; only `"` ends one. The visitor says false to end.
 * @param {string} text
 * @param {(part: string, at: number, depth: number) => boolean | void} visit
 */
function walk(text, visit) {
  let [parentheses, brackets] = [0, 0];
  // Whether something may begin here that is no bare word, and whether the word so far has its operator.
  let [isStart, hasOperator] = [true, false];
  for (let at = 0; at < text.length; ) {
    const first = text[at];
    const isOpening = isStart;
    let end = at + 1;
    if (first === "\\") {
      end = at + 2;
      isStart = false;
    } else if (first === '"' || (isOpening && "'\u201c\u2018`".includes(first))) {
      end = endOfQuoted(text, at);
      // A name in quotes has its operator behind it.
      [isStart, hasOperator] = [true, false];
    } else if (first === "/" && isOpening && endOfRegex(text, at) !== undefined) {
      end = endOfRegex(text, at) ?? end;
      isStart = true;
    } else if (/[\s()|]/.test(first) || (first === "&" && text[at + 1] === "&")) {
      if (first === "(") parentheses += 1;
      if (first === ")") parentheses -= 1;
      if (first === "&") end = at + 2;
      [isStart, hasOperator] = [true, false];
    } else if ("[{".includes(first) && isOpening) {
      brackets += 1;
      [isStart, hasOperator] = [true, false];
    } else if ("]}".includes(first) && brackets > 0) {
      brackets -= 1;
      [isStart, hasOperator] = [true, false];
    } else if (first === ",") {
      [isStart, hasOperator] = [true, false];
    } else if (":=~<>".includes(first)) {
      isStart = !hasOperator || isOpening;
      hasOperator = true;
    } else {
      // Signs before a condition, and the first half of `!=`.
      isStart = "!+-".includes(first) && isOpening;
    }
    if (visit(text.slice(at, end), at, parentheses + brackets) === false) return;
    at = end;
  }
}

/** Behind a stage's name, these make a condition on a field of that name of it. */
const OPERATOR = /^(\s*([:=<>!~]|&&|\|\||\))|\s+(and|or|not|in|like|is|between)(?![^\s()"|])|\()/i;

/**
 * A query's filter, and its stages with their pipes.
 * @param {string} query
 * @returns {{filter: string, stages: string}}
 */
export function split(query) {
  const [first, ...stages] = pieces(query);
  if (isStage(first)) return { filter: "", stages: `| ${query.trim()}` };
  return { filter: first.trim(), stages: stages.length === 0 ? "" : query.slice(first.length).trim() };
}

/**
 * The filter and each stage, as they stand between the pipes.
 * @param {string} query
 */
function pieces(query) {
  /** @type {string[]} */
  const found = [];
  let from = 0;
  walk(query, (part, at, depth) => {
    if (part !== "|" || depth > 0 || query[at + 1] === "|" || query[at - 1] === "|") return;
    found.push(query.slice(from, at));
    from = at + 1;
  });
  return [...found, query.slice(from)];
}

/**
 * Whether a query without a filter begins with a stage, and not with a condition on a field of that name.
 * @param {string} text
 */
function isStage(text) {
  const [name] = /^[^\s()"|]*/.exec(text.trimStart()) ?? [""];
  const kind = kindOf(name);
  const behind = text.trimStart().slice(name.length);
  if (kind === undefined) return false;
  if (/^count$/i.test(name) && behind.startsWith("(")) return true;
  if (kind === "filter" && /^\s*not(?![^\s()"|])/i.test(behind)) return !/^having$/i.test(name);
  return !OPERATOR.test(behind);
}

/**
 * The stages of a query: what each is called, what it is, and what stands behind its name.
 * @param {string} query
 * @returns {{name: string, kind: import("./stages.js").Kind | undefined, text: string}[]}
 */
export function stagesOf(query) {
  const { stages } = split(query);
  return pieces(stages).slice(1).map((piece) => {
    const [, name, text] = /^\s*([A-Za-z]*)(.*)$/s.exec(piece) ?? ["", "", piece];
    return { name: name.toLowerCase(), kind: kindOf(name), text: text.trim() };
  });
}

/**
 * Everything that takes events out by a condition, as one filter: the query's own, and its stages `filter`
 * before a table is made. `isCut` says whether other stages leave events out.
 * @param {string} query
 * @returns {{filter: string, isCut: boolean}}
 */
export function baseOf(query) {
  const stages = stagesOf(query);
  const table = stages.findIndex(({ kind }) => kind === "rows");
  const ofEvents = table < 0 ? stages : stages.slice(0, table);
  const filters = ofEvents.filter(({ kind }) => kind === "filter").map(({ text }) => text);
  const filter = filters.reduce((whole, text) => narrowed(whole, grouped(text)), split(query).filter);
  // Short forms of tables leave out what has no value for their fields.
  const isCut = ofEvents.some(({ kind }) => kind === "cut") || ["top", "rare", "values"].includes(stages[table]?.name);
  // A word that is a stage's name would be that stage at the beginning.
  const isWord = isStage(filter);
  return { filter: isWord ? `(${filter})` : filter, isCut };
}

/** One condition that binds by itself whatever stands beside it: a word or a quoted text, with a field or without. */
const TERM =
  /^(?:not\s+|[-!])?(?:(?:[A-Za-z_][\w.]*|"(?:[^"\\]|\\.)*")\s*(?::|!=|>=|<=|=|>|<)\s*)?(?:"(?:[^"\\]|\\.)*"|[\w*?.:@/][\w*?.:@/-]*)(?=\s|$)/i;

/** Words that join what is around them in another way than AND does. */
const JOINING = /^(or|not|in|is|like|between|to)$/i;

/**
 * Whether a filter is plainly a row of conditions that all must be met, so that one more can stand beside
 * them. Where that is in doubt it is not.
 * @param {string} filter
 */
function isRow(filter) {
  let rest = filter;
  while (rest !== "") {
    const length = rest[0] === "(" ? endOfGroup(rest) : (TERM.exec(rest)?.[0].length ?? 0);
    const term = rest.slice(0, length);
    const last = term.split(/\s/).at(-1) ?? "";
    if (length === 0 || JOINING.test(last) || /[:=<>-]$/.test(term)) return false;
    const behind = rest.slice(length);
    if (behind !== "" && !/^\s/.test(behind)) return false;
    rest = behind.trimStart();
  }
  return true;
}

/**
 * Where the parenthesis is closed with which a text begins; 0 where it never is.
 * @param {string} text
 */
function endOfGroup(text) {
  let end = 0;
  walk(text, (part, at, depth) => {
    if (depth > 0) return true;
    end = part === ")" ? at + 1 : 0;
    return false;
  });
  return end;
}

/**
 * A filter as one condition: in parentheses, unless it plainly needs none. One whose own parentheses do
 * not match stays the error that it is.
 * @param {string} filter
 */
function grouped(filter) {
  if (isRow(filter)) return filter;
  let [lowest, open] = [0, 0];
  walk(filter, (_part, _at, depth) => {
    lowest = Math.min(lowest, depth);
    open = depth;
  });
  return lowest < 0 || open !== 0 ? filter : `(${filter})`;
}

/**
 * The query with one more condition, which is added behind its filter.
 * @param {string} query
 * @param {string} added
 */
export function narrowed(query, added) {
  const { filter, stages } = split(query);
  const isAll = filter === "" || filter === "*";
  const whole = isAll ? added : `${grouped(filter)} ${added}`;
  return stages === "" ? whole : `${whole} ${stages}`;
}

/**
 * The field whose values a column of a query's table has, as a query has it; undefined where the column is
 * something else: a function, a span of time, a name of the query's own.
 * @param {string} query
 * @param {string} column
 */
export function fieldOfColumn(query, column) {
  const stages = stagesOf(query);
  const maker = stages.find(({ kind }) => kind === "rows") ?? stages.findLast(({ kind }) => kind === "events");
  if (!maker) return undefined;
  const named = namesOf(maker).map((name) => name.trim());
  const found = named.filter((name) => name === column || (unquoted(name) ?? "") === column);
  return found.length === 1 && isField(found[0]) ? found[0] : undefined;
}

/**
 * The keys that a stage names, as they stand in it; those with a name of their own are not among them.
 * @param {{name: string, kind: string | undefined, text: string}} stage
 */
function namesOf({ name, kind, text }) {
  /** @type {string[][]} */
  const parts = [[]];
  let from = 0;
  let isWordStart = true;
  const add = (/** @type {number} */ to) => {
    parts[parts.length - 1].push(text.slice(from, to));
  };
  walk(text, (part, at, depth) => {
    const by = depth === 0 && isWordStart ? /^by(?=[\s"])/i.exec(text.slice(at)) : null;
    if (by) {
      add(at);
      parts.push([]);
      from = at + 2;
    } else if (part === "," && depth === 0) {
      add(at);
      from = at + 1;
    }
    isWordStart = /\s$/.test(part);
  });
  add(text.length);
  const listsNames = kind === "events" || ["top", "rare", "values"].includes(name);
  const [listed, ...keyed] = parts;
  const first = listed.map((item) => item.replace(/^\s*(limit\s*=\s*)?\d+\s+/i, "").replace(/\s+limit\s*=\s*\d+\s*$/i, ""));
  return [...(listsNames ? first : []), ...keyed.flat()];
}

/**
 * The query with another condition in place of one; undefined unless that stands in it once, by itself and
 * in no quotes.
 * @param {string} query
 * @param {string} before
 * @param {string} after
 */
export function replaced(query, before, after) {
  /** @type {number[]} */
  const found = [];
  walk(query, (_part, at) => {
    const [left, right] = [query[at - 1] ?? " ", query[at + before.length] ?? " "];
    if (query.startsWith(before, at) && /[\s(!+-]/.test(left) && /[\s)|]/.test(right)) found.push(at);
  });
  return found.length === 1 ? query.slice(0, found[0]) + after + query.slice(found[0] + before.length) : undefined;
}

/**
 * The query with a condition that leaves a value out.
 * @param {string} query
 * @param {string} field
 * @param {string | null} value
 */
export function without(query, field, value) {
  return narrowed(query, value === null ? `${field}:*` : `NOT ${condition(field, value)}`);
}

/**
 * The place in a text of a byte of its UTF-8.
 * @param {string} text
 * @param {number} byte
 */
export function indexOfByte(text, byte) {
  let bytes = 0;
  let index = 0;
  for (const character of text) {
    if (bytes >= byte) break;
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    index += character.length;
  }
  return index;
}

/**
 * The part of a query that an error is about: from its byte to the end of the word there.
 * @param {string} query
 * @param {number} byte
 * @returns {[number, number]}
 */
export function errorSpan(query, byte) {
  const from = Math.min(indexOfByte(query, byte), Math.max(query.length - 1, 0));
  const word = /^[^\s:=<>()|]+/.exec(query.slice(from));
  return [from, from + (word ? word[0].length : 1)];
}

/**
 * The names of the parameters of a saved search, in their order.
 * @param {string} query
 */
export function parametersOf(query) {
  /** @type {string[]} */
  const names = [];
  walk(query, (part, at) => {
    const name = part === "$" ? /^\$([A-Za-z_]\w*)/.exec(query.slice(at))?.[1] : undefined;
    if (name && /[\s:=<>~(,[]/.test(query[at - 1] ?? " ") && !names.includes(name)) names.push(name);
  });
  return names;
}

/**
 * The query of a saved search with the values of its parameters in their places.
 * @param {string} query
 * @param {Record<string, string>} values
 */
export function filled(query, values) {
  let text = "";
  let copied = 0;
  walk(query, (part, at) => {
    const name = part === "$" ? /^\$([A-Za-z_]\w*)/.exec(query.slice(at))?.[1] : undefined;
    if (name && Object.hasOwn(values, name) && /[\s:=<>~(,[]/.test(query[at - 1] ?? " ")) {
      text += query.slice(copied, at) + bare(values[name]);
      copied = at + 1 + name.length;
    }
  });
  return text + query.slice(copied);
}
