import { compile, type JSONSchema } from "json-schema-to-typescript";
import { expect, it } from "vitest";
import manifest from "../package.json";
import schema from "../src/shared/schema.json";
import types from "../src/shared/types.ts?raw";

it("has the types that the Python types generate; if not: make web-types", async () => {
  const bannerComment = /--bannerComment "(.*)"$/.exec(manifest.scripts.types)![1];
  const copy = structuredClone(schema) as unknown as JSONSchema; // compile writes into it
  expect(types).toBe(await compile(copy, "schema", { additionalProperties: false, bannerComment }));
});
