/** Links from a page to those beside it: of a sweep, or in its folder. */

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
  const circuit = /\/circuits\/([^/]+)\.html$/.exec(path);
  if (!circuit) return [];
  const map = served ? "/" : "../index.html";
  return [
    ["All classes", map],
    // the map opens with this class, and leads to its comparison with every class that is like it
    ...(served ? [["Compare with another class", `${map}#${circuit[1]}`] as [string, string]] : []),
  ];
}

/** Those that the writer of the page found in its folder. */
const written = (): [string, string][] => JSON.parse(document.getElementById("doors")?.textContent || "[]");

export function Doors() {
  const doors = [...doorsOf(location.protocol, location.pathname), ...written()];
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
