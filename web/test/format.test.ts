import { expect, test } from "vitest";
import { digits, fileName, fixed } from "../src/shared/format";

test("a number that rounds to zero has no sign", () => {
  expect(fixed(-0.004, 2)).toBe("0.00");
  expect(fixed(-0.006, 2)).toBe("−0.01");
  expect(digits(-1e-7, 1)).toBe("−1e-7");
});

test("a picture is named by the last part of its path", () => {
  expect(fileName("photos/dogs/3.jpg")).toBe("3.jpg");
  expect(fileName("3.jpg")).toBe("3.jpg");
});
