import { compile, type JSONSchema } from "json-schema-to-typescript";
import { expect, it } from "vitest";
import manifest from "../package.json";
import comparisonSchema from "../src/comparison/schema.json";
import comparisonTypes from "../src/comparison/types.ts?raw";
import debugSchema from "../src/debug/schema.json";
import debugTypes from "../src/debug/types.ts?raw";
import liveSchema from "../src/live/schema.json";
import liveTypes from "../src/live/types.ts?raw";
import schema from "../src/schema.json";
import types from "../src/types.ts?raw";

it.each([
  ["a circuit's page", schema, types],
  ["a debug page", debugSchema, debugTypes],
  ["the page of two circuits", comparisonSchema, comparisonTypes],
  ["what a server is asked", liveSchema, liveTypes],
])("has the types that the Python types generate for %s; if not: make web-types", async (_, from, made) => {
  const bannerComment = /--bannerComment "(.*)"$/.exec(manifest.scripts.types)![1];
  const copy = structuredClone(from) as unknown as JSONSchema; // compile writes into it
  expect(made).toBe(await compile(copy, "schema", { additionalProperties: false, bannerComment }));
});
