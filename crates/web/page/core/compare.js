// What two records differ in: by paths as queries have them, through lists. Pure.

/** @typedef {import("./json.js").Node} Node */

/** @typedef {{kind: Node["kind"], text: string}} Leaf a value; an empty object or list is one, too */

/**
 * @typedef {object} Difference
 * @property {string} path
 * @property {Leaf[]} left values that only the first record has
 * @property {Leaf[]} right values that only the second one has
 * @property {number} both how many both have
 */

/**
 * The values of a record by their paths.
 * @param {Node} record
 * @returns {Map<string, Leaf[]>}
 */
export function leavesOf(record) {
  /** @type {Map<string, Leaf[]>} */
  const found = new Map();
  const add = (/** @type {string} */ path, /** @type {Leaf} */ leaf) => {
    const leaves = found.get(path);
    if (leaves) leaves.push(leaf);
    else found.set(path, [leaf]);
  };
  const visit = (/** @type {Node} */ node, /** @type {string} */ path) => {
    if (node.kind === "object") {
      if (node.entries.length === 0 && path !== "") add(path, { kind: "object", text: "{}" });
      for (const [key, value] of node.entries) visit(value, path === "" ? key : `${path}.${key}`);
    } else if (node.kind === "array") {
      if (node.items.length === 0) add(path, { kind: "array", text: "[]" });
      for (const item of node.items) visit(item, path);
    } else {
      add(path, { kind: node.kind, text: node.text });
    }
  };
  visit(record, "");
  return found;
}

/**
 * The paths at which two records differ, in the order of the first, and those at which they have the same.
 * The order in a list is no difference.
 * @param {Node} first
 * @param {Node} second
 * @returns {{differences: Difference[], equal: {path: string, leaves: Leaf[]}[]}}
 */
export function compared(first, second) {
  const [ofFirst, ofSecond] = [leavesOf(first), leavesOf(second)];
  /** @type {Difference[]} */
  const differences = [];
  /** @type {{path: string, leaves: Leaf[]}[]} */
  const equal = [];
  for (const path of new Set([...ofFirst.keys(), ...ofSecond.keys()])) {
    const leaves = ofFirst.get(path) ?? [];
    const others = ofSecond.get(path) ?? [];
    const [left, right] = [less(leaves, others), less(others, leaves)];
    if (left.length === 0 && right.length === 0) equal.push({ path, leaves });
    else differences.push({ path, left, right, both: leaves.length - left.length });
  }
  return { differences, equal };
}

/**
 * The values of a list that another does not have, each as often as it has it more.
 * @param {Leaf[]} leaves
 * @param {Leaf[]} others
 */
function less(leaves, others) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  const keyOf = (/** @type {Leaf} */ { kind, text }) => `${kind} ${text}`;
  for (const leaf of others) counts.set(keyOf(leaf), (counts.get(keyOf(leaf)) ?? 0) + 1);
  return leaves.filter((leaf) => {
    const count = counts.get(keyOf(leaf)) ?? 0;
    counts.set(keyOf(leaf), count - 1);
    return count <= 0;
  });
}

/** A value as it is told from others: a text that could be taken for a number or the like is in quotes. @param {Leaf} leaf */
export function told({ kind, text }) {
  return kind === "string" && (text === "" || /^(-?\d[\d.eE+-]*|true|false|null|\{\}|\[\])$/.test(text)) ? `"${text}"` : text;
}
