/** Returns what the address names behind its `#`, or nothing where that cannot be decoded. */
export function readName(hash: string): string {
  try {
    return decodeURIComponent(hash.replace(/^#/, ""));
  } catch {
    return "";
  }
}
