// Text of records as a person may see it: characters that hide, reorder or drive something are shown
// by their code, as the command line does.

/**
 * Control and format characters, separators of lines, spaces that look like others or like nothing,
 * fillers, variation selectors, and halves of surrogate pairs.
 */
const UNSAFE =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\u{34f}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}-\u{180f}\u{3164}\u{ffa0}\u{fe00}-\u{fe0f}\u{e0100}-\u{e01ef}]|(?! )\p{Zs}/gu;

/** @type {Record<string, string>} */
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * The code of a character, as `\u{202e}`.
 * @param {string} character
 */
function code(character) {
  return SHORT[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/**
 * Text in parts: plain ones, and codes of characters that would not be seen as they are.
 * @param {string} text
 * @returns {{text: string, isCode: boolean}[]}
 */
export function parts(text) {
  const found = [];
  let from = 0;
  for (const match of text.matchAll(UNSAFE)) {
    if (match.index > from) found.push({ text: text.slice(from, match.index), isCode: false });
    found.push({ text: code(match[0]), isCode: true });
    from = match.index + match[0].length;
  }
  if (from < text.length) found.push({ text: text.slice(from), isCode: false });
  return found;
}

/**
 * Text with the codes in it, for titles and labels.
 * @param {string} text
 */
export function visible(text) {
  return text.replace(UNSAFE, code);
}

/**
 * The beginning of a text, by whole characters, and how many are left out.
 * @param {string} text
 * @param {number} max
 * @returns {[string, number]}
 */
export function shortened(text, max) {
  if (text.length <= max) return [text, 0];
  // Not between the halves of a pair.
  const isPair = /[\ud800-\udbff]/.test(text[max - 1]);
  const end = isPair ? max - 1 : max;
  return [text.slice(0, end), text.length - end];
}

/**
 * A number with its thousands apart; one with more digits than JavaScript keeps, as it stands.
 * @param {number | import("./json.js").Digits} value
 */
export function thousands(value) {
  if (typeof value !== "number") return value.text;
  // A fraction keeps all of its digits: it is not what was found without them.
  const [whole, fraction] = String(value).split(".");
  return fraction === undefined ? grouped(whole) : `${grouped(whole)}.${fraction}`;
}

/**
 * Digits in groups of three.
 * @param {string} digits
 */
function grouped(digits) {
  return digits.replace(/\B(?=(\d{3})+$)/g, ",");
}

/**
 * `1 event`, `2,900 events`.
 * @param {number} count
 * @param {string} noun
 * @param {string} [nouns] where it takes no `s`
 */
export function counted(count, noun, nouns = `${noun}s`) {
  return `${thousands(count)} ${count === 1 ? noun : nouns}`;
}

/**
 * The share of a number in another, as a person reads it.
 * @param {number} part
 * @param {number} whole
 */
export function share(part, whole) {
  if (whole === 0) return "";
  const percent = (100 * part) / whole;
  if (percent > 0 && percent < 0.1) return "<0.1 %";
  return `${percent >= 10 ? Math.round(percent) : percent.toFixed(1)} %`;
}
