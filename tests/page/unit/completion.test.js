import assert from "node:assert/strict";
import { test } from "node:test";

import { nameOf, typedIn } from "../../../crates/web/page/view/completion.js";

test("a field is offered by a name that a query takes", () => {
  for (const [field, expected] of [
    [{ path: "userIdentity.userName", short: "user" }, "user"],
    [{ path: "requestParameters.a b" }, '"requestParameters.a b"'],
    [{ path: "requestParameters.a b", query: '"requestParameters.a b"' }, '"requestParameters.a b"'],
    [{ path: "x.aws:SourceVpc", short: "aws:SourceVpc", query: '"x.aws:SourceVpc"' }, '"x.aws:SourceVpc"'],
    [{ path: "user", query: '"user"' }, '"user"'],
    [{ path: 'a | limit 1' }, '"a | limit 1"'],
    [{ path: 'a"b\\' }, '"a\\"b\\\\"'],
  ]) {
    assert.equal(nameOf(field), expected);
  }
});

test("what is typed is a stage, a field, or a value of a field, in quotes too", () => {
  assert.deepEqual(typedIn("a | to"), { kind: "stage", word: "to", field: "" });
  assert.deepEqual(typedIn("a eventN"), { kind: "field", word: "eventN", field: "" });
  assert.deepEqual(typedIn("eventName:Cr"), { kind: "value", word: "Cr", field: "eventName" });
  assert.deepEqual(typedIn('x "a b":v'), { kind: "value", word: "v", field: '"a b"' });
  assert.equal(typedIn('"words in quotes" '), null);
});
