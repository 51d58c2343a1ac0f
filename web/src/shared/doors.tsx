/** Links from a page to those beside it: the map of a sweep, its circuits, its comparisons. */

/** Words and addresses, from the address of the page itself. */
export function doorsOf(protocol: string, path: string): [string, string][] {
  const served = /^https?:$/.test(protocol);
  const compared = /\/compare\/([^/]+)\/([^/]+)\.html$/.exec(path);
  if (served && compared) {
    const [, a, b] = compared;
    return [
      ["All classes", "/"],
      [`Circuit of ${decodeURIComponent(a!)}`, `/circuits/${a}.html`],
      [`Circuit of ${decodeURIComponent(b!)}`, `/circuits/${b}.html`],
    ];
  }
  return /\/circuits\/[^/]+\.html$/.test(path) ? [["All classes", served ? "/" : "../index.html"]] : [];
}

export function Doors() {
  const doors = doorsOf(location.protocol, location.pathname);
  if (!doors.length) return null;
  return (
    <nav class="doors" aria-label="Pages beside this one">
      {doors.map(([words, address]) => (
        <a key={address} href={address}>
          {words}
        </a>
      ))}
    </nav>
  );
}
