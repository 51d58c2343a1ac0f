/** Links from a page to other pages of its sweep or of its folder. */

/** Texts and addresses of links that follow from the address of the page. */
export function linksFrom(protocol: string, path: string): [string, string][] {
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
    // the map opens with this class and links to its comparison with similar classes
    ...(served ? [["Compare with another class", `${map}#${circuit[1]}`] as [string, string]] : []),
  ];
}

/** Links that were stored in the page when it was written. */
const written = (): [string, string][] => JSON.parse(document.getElementById("page-links")?.textContent || "[]");

export function PageLinks() {
  const links = [...linksFrom(location.protocol, location.pathname), ...written()];
  if (!links.length) return null;
  return (
    <nav class="page-links" aria-label="Related pages">
      {links.map(([words, address]) => (
        <a key={address} href={address}>
          {words}
        </a>
      ))}
    </nav>
  );
}
