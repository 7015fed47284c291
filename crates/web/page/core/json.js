// Records as they stand: every key, also one that is there twice; numbers by their digits; and where in
// the text each value is. JSON.parse rounds numbers and keeps the last of two keys.

/**
 * @typedef {{kind: "object", entries: [string, Node][], start: number, end: number}} ObjectNode
 * @typedef {{kind: "array", items: Node[], start: number, end: number}} ArrayNode
 * @typedef {{kind: "string", text: string, start: number, end: number}} StringNode
 * @typedef {{kind: "number" | "word", text: string, start: number, end: number}} PlainNode
 * @typedef {ObjectNode | ArrayNode | StringNode | PlainNode} Node
 */

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
