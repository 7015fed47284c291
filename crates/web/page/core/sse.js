// Server-sent events out of pieces of text, wherever these are cut. Pure.

/** Characters of one event at most: more than the largest record has, and what is told of it. */
const EVENT_MAX = 64 << 20;

/**
 * @typedef {object} Sent
 * @property {string} kind `message` where the stream names none
 * @property {string | null} data null where there is none, and only the id counts
 * @property {string} id the last that was told
 */

/** Reads one stream. */
export class Stream {
  #pieces = /** @type {string[]} */ ([]);
  #waiting = 0;
  #data = /** @type {string[]} */ ([]);
  #length = 0;
  #kind = "";
  #id = "";

  /**
   * The events that a piece of text completes; throws where one is too large.
   * @param {string} text
   * @returns {Sent[]}
   */
  push(text) {
    /** @type {Sent[]} */
    const found = [];
    // A long line is joined once.
    if (!/[\r\n]/.test(text) && !this.#pieces.at(-1)?.endsWith("\r")) {
      this.#keep(text);
      return found;
    }
    const lines = (this.#pieces.join("") + text).split(/\r\n|\n|\r(?!$)/);
    this.#pieces = [];
    this.#waiting = 0;
    this.#keep(lines.pop() ?? "");
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0 || this.#id !== "") found.push(this.#ended());
      } else this.#take(line);
    }
    return found;
  }

  /** @param {string} text */
  #keep(text) {
    if (text !== "") this.#pieces.push(text);
    this.#waiting += text.length;
    if (this.#length + this.#waiting > EVENT_MAX) throw new RangeError("an event is too large for the page");
  }

  /** @param {string} line */
  #take(line) {
    const at = line.indexOf(":");
    const name = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(line[at + 1] === " " ? at + 2 : at + 1);
    if (name === "data") {
      this.#data.push(value);
      this.#length += value.length;
    } else if (name === "event") this.#kind = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
  }

  /** @returns {Sent} */
  #ended() {
    const sent = { kind: this.#kind || "message", data: this.#data.length > 0 ? this.#data.join("\n") : null, id: this.#id };
    this.#data = [];
    this.#length = 0;
    this.#kind = "";
    return sent;
  }
}
