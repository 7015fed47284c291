// Edits the text of a query: what a click adds means the value that was clicked, and nothing else.

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
      else if (!isSingle || !/[\p{L}\p{N}]/u.test(next)) return at + 1;
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
      return at > from + 1 && /^$|[\s()"|,\]]/.test(text[end] ?? "") ? end : undefined;
    }
  }
  return undefined;
}

/**
 * Walks a query's text by its parts: quoted texts, regular expressions, and single characters. The
 * visitor says false to end.
 * @param {string} text
 * @param {(part: string, at: number, depth: number) => boolean | void} visit
 */
function walk(text, visit) {
  let depth = 0;
  for (let at = 0; at < text.length; ) {
    const before = text[at - 1] ?? " ";
    const isStart = /[\s:=~(,[]/.test(before);
    let end = at + 1;
    if (text[at] === "\\") end = at + 2;
    else if ('"\u201c'.includes(text[at])) end = endOfQuoted(text, at);
    else if ("'\u2018".includes(text[at]) && isStart) end = endOfQuoted(text, at);
    else if (text[at] === "/" && isStart) end = endOfRegex(text, at) ?? end;
    else if ("([{".includes(text[at])) depth += 1;
    else if (")]}".includes(text[at])) depth -= 1;
    if (visit(text.slice(at, end), at, depth) === false) return;
    at = end;
  }
}

/** What a stage begins with; a query can begin with one in place of a filter. */
const STAGE =
  /^\s*(stats|count|top|rare|timeline|timechart|values|fields|display|table|select|project|sort|order|limit|head|take|dedup|summarize)(\s|$)/i;

/**
 * A query's filter, and its stages with their pipes.
 * @param {string} query
 * @returns {{filter: string, stages: string}}
 */
export function split(query) {
  let pipe = -1;
  walk(query, (part, at, depth) => {
    if (part !== "|" || depth > 0) return true;
    const isOr = query[at + 1] === "|" || query[at - 1] === "|";
    if (!isOr) pipe = at;
    return isOr;
  });
  const first = pipe < 0 ? query : query.slice(0, pipe);
  if (isStage(first)) return { filter: "", stages: `| ${query.trim()}` };
  return { filter: first.trim(), stages: pipe < 0 ? "" : query.slice(pipe).trim() };
}

/**
 * Whether a query without a filter begins with a stage, and not with a condition on a field of that name.
 * @param {string} text
 */
function isStage(text) {
  const behind = text.replace(STAGE, "");
  return behind !== text && !/^\s*([:=<>!~]|(in|like|is|between)\b)/i.test(behind);
}

/**
 * Whether a filter has an OR outside of parentheses.
 * @param {string} filter
 */
function isAlternative(filter) {
  let found = false;
  walk(filter, (part, at, depth) => {
    if (depth > 0) return true;
    const word = /^or(?=[\s(]|$)/i.test(filter.slice(at)) && /[\s)]/.test(filter[at - 1] ?? "x");
    found = word || (part === "|" && filter[at + 1] === "|");
    return !found;
  });
  return found;
}

/**
 * The query with one more condition, which is added behind its filter.
 * @param {string} query
 * @param {string} added
 */
export function narrowed(query, added) {
  const { filter, stages } = split(query);
  const isAll = filter === "" || filter === "*";
  const kept = isAlternative(filter) ? `(${filter})` : filter;
  const whole = isAll ? added : `${kept} ${added}`;
  return stages === "" ? whole : `${whole} ${stages}`;
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
