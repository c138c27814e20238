import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { DRAWN_KINDS, glyphOf } from "../src/glyphs.ts";

const RULES = new URL("../../../cities/hanoi/rules/", import.meta.url);

function kindsOfRules(): string[] {
  const files = readdirSync(RULES).filter((name) => name.endsWith(".yaml"));
  return files.map((name) => /^kind: *(\w+)/m.exec(readFileSync(new URL(name, RULES), "utf8"))?.[1] ?? name);
}

/** Where a path goes, without what is not to be seen: the order of its parts. */
const parts = (path: string) => path.split("Z").sort().join("Z");

test("every kind of Hanoi's rules has a sign of its own", () => {
  const kinds = [...new Set(kindsOfRules())];
  assert.ok(kinds.length >= 37);
  assert.deepEqual(kinds.filter((kind) => !DRAWN_KINDS.includes(kind)), []);
});

test("no two signs are the same, nor the general one", () => {
  const signs = [...DRAWN_KINDS, "something else"].map((kind) => parts(glyphOf(kind)));
  assert.equal(new Set(signs).size, DRAWN_KINDS.length + 1);
  assert.equal(glyphOf("something else"), glyphOf("another"));
});

test("signs stay in their box", () => {
  for (const kind of DRAWN_KINDS.filter((one) => one !== "fire")) {
    for (const [, x, y] of glyphOf(kind).matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)) {
      assert.ok(Math.min(Number(x), Number(y)) >= -1 && Math.max(Number(x), Number(y)) <= 25, `${kind}: ${x} ${y}`);
    }
  }
});
