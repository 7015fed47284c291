// Records as they stand: every key, also one that is there twice; numbers by their digits; and where in
// the text each value is. JSON.parse rounds numbers and keeps the last of two keys.

/**
 * @typedef {{kind: "object", entries: [string, Node][], start: number, end: number}} ObjectNode
 * @typedef {{kind: "array", items: Node[], start: number, end: number}} ArrayNode
 * @typedef {{kind: "string", text: string, start: number, end: number}} StringNode
 * @typedef {{kind: "number" | "word", text: string, start: number, end: number}} PlainNode
 * @typedef {ObjectNode | ArrayNode | StringNode | PlainNode} Node
 */

/** A number that JavaScript would round, by its digits. */
export class Digits {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }

  toString() {
    return this.text;
  }

  /** About how large it is. */
  valueOf() {
    return Number(this.text);
  }
}

/** Levels of a document, more than the daemon takes. */
const DEPTH_MAX = 400;

/**
 * Reads JSON; throws where it is none.
 * @param {string} text
 * @returns {Node}
 */
export function read(text) {
  const reader = new Reader(text);
  const node = reader.value(0);
  reader.skip();
  if (reader.at < text.length) throw reader.error();
  return node;
}

/** What a document has where a number in it may have more digits than JavaScript keeps. */
const MAYBE_LONG = /\d[\d.]{15}|\d[eE][+-]?\d/;

/**
 * A document as a value, as JSON.parse makes it; but a number that this would round is {@link Digits}.
 * @param {string} text
 * @returns {any}
 */
export function parse(text) {
  return MAYBE_LONG.test(text) ? valueOf(read(text)) : JSON.parse(text);
}

/** @param {Node} node @returns {any} */
function valueOf(node) {
  switch (node.kind) {
    case "object": return Object.fromEntries(node.entries.map(([key, value]) => [key, valueOf(value)]));
    case "array": return node.items.map(valueOf);
    case "string": return node.text;
    case "word": return JSON.parse(node.text);
    default: return isRounded(node.text) ? new Digits(node.text) : Number(node.text);
  }
}

/**
 * Whether JavaScript has another number in place of this one.
 * @param {string} text
 */
function isRounded(text) {
  const value = Number(text);
  return Math.abs(value) > Number.MAX_SAFE_INTEGER || decimal(text) !== decimal(String(value));
}

/**
 * A number's digits without zeros around them, and where their point is.
 * @param {string} text
 */
function decimal(text) {
  const [, sign, whole, part = "", power = "0"] = /^(-?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? ["", "", text];
  const digits = (whole + part).replace(/^0+/, "");
  const short = digits.replace(/0+$/, "");
  return short === "" ? "0" : `${sign}${short}e${Number(power) - part.length + digits.length - short.length}`;
}

/**
 * A value as text: a text itself, anything else as JSON, its numbers by their digits.
 * @param {any} value
 * @returns {string}
 */
export function written(value) {
  if (typeof value === "string") return value;
  return inJson(value);
}

/** @param {any} value @returns {string} */
function inJson(value) {
  if (value instanceof Digits) return value.text;
  if (Array.isArray(value)) return `[${value.map(inJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}:${inJson(inner)}`).join(",")}}`;
}

/**
 * The names by which a person tells values apart that stand beside each other: where there are numbers or
 * truth values among them, a text that looks like one is in quotes, and so is one that looks like "none".
 * @param {any[]} values
 * @returns {(value: any) => string}
 */
export function labels(values) {
  const isMixed = values.some((value) => value !== null && typeof value !== "string");
  const hasNone = values.includes(null);
  return (value) => {
    if (value === null) return NONE;
    if (typeof value !== "string") return written(value);
    const isLike = (isMixed && /^(-?\d[\d.eE+-]*|true|false|[[{].*)$/s.test(value)) || (hasNone && value === NONE);
    return isLike ? JSON.stringify(value) : value;
  };
}

/** What is not there. */
export const NONE = "(none)";

/**
 * The member of an object, the last one where there are several; undefined where there is none.
 * @param {Node | undefined} node
 * @param {string} key
 * @returns {Node | undefined}
 */
export function member(node, key) {
  if (node?.kind !== "object") return undefined;
  return node.entries.findLast(([name]) => name === key)?.[1];
}

/**
 * The text of a value: a string's own, anything else as it stands in the document.
 * @param {Node} node
 * @param {string} document
 */
export function textOf(node, document) {
  return node.kind === "object" || node.kind === "array"
    ? document.slice(node.start, node.end)
    : node.text;
}

class Reader {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  error() {
    return new SyntaxError(`no JSON at character ${this.at}`);
  }

  skip() {
    while (" \t\n\r".includes(this.text[this.at] ?? "x")) this.at += 1;
  }

  /** @param {string} symbol */
  eat(symbol) {
    this.skip();
    const isNext = this.text[this.at] === symbol;
    if (isNext) this.at += 1;
    return isNext;
  }

  /**
   * @param {number} depth
   * @returns {Node}
   */
  value(depth) {
    this.skip();
    if (depth > DEPTH_MAX) throw this.error();
    const first = this.text[this.at];
    if (first === "{") return this.object(depth);
    if (first === "[") return this.array(depth);
    const start = this.at;
    if (first === '"') return { kind: "string", text: this.string(), start, end: this.at };
    const plain = /-?\d[\d.eE+-]*|true|false|null/y;
    plain.lastIndex = start;
    const text = plain.exec(this.text)?.[0];
    if (!text) throw this.error();
    this.at += text.length;
    const kind = /[tfn]/.test(text[0]) ? "word" : "number";
    return { kind, text, start, end: this.at };
  }

  /** The text of a string. */
  string() {
    const start = this.at;
    let end = start + 1;
    for (;;) {
      const quote = this.text.indexOf('"', end);
      if (quote < 0) throw this.error();
      let backslashes = 0;
      while (this.text[quote - 1 - backslashes] === "\\") backslashes += 1;
      end = quote + 1;
      if (backslashes % 2 === 0) break;
    }
    this.at = end;
    return /** @type {string} */ (JSON.parse(this.text.slice(start, end)));
  }

  /**
   * @param {number} depth
   * @returns {ObjectNode}
   */
  object(depth) {
    const start = this.at;
    /** @type {[string, Node][]} */
    const entries = [];
    this.at += 1;
    if (this.eat("}")) return { kind: "object", entries, start, end: this.at };
    do {
      this.skip();
      if (this.text[this.at] !== '"') throw this.error();
      const key = this.string();
      if (!this.eat(":")) throw this.error();
      entries.push([key, this.value(depth + 1)]);
    } while (this.eat(","));
    if (!this.eat("}")) throw this.error();
    return { kind: "object", entries, start, end: this.at };
  }

  /**
   * @param {number} depth
   * @returns {ArrayNode}
   */
  array(depth) {
    const start = this.at;
    /** @type {Node[]} */
    const items = [];
    this.at += 1;
    if (this.eat("]")) return { kind: "array", items, start, end: this.at };
    do items.push(this.value(depth + 1));
    while (this.eat(","));
    if (!this.eat("]")) throw this.error();
    return { kind: "array", items, start, end: this.at };
  }
}
