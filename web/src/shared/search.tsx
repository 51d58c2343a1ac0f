/** The search field of a page: Escape clears it, Enter goes to the best match. */

interface SearchProps {
  query: string;
  /** what was found, in words; empty while nothing is typed */
  found: string;
  placeholder: string;
  onQuery: (query: string) => void;
  onEnter?: () => void;
}

export function SearchField({ query, found, placeholder, onQuery, onEnter }: SearchProps) {
  return (
    <label>
      <span>
        Find <small role="status">{found}</small>
      </span>
      <input
        type="search"
        value={query}
        placeholder={placeholder}
        aria-label="Find"
        onInput={(event) => onQuery(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") onEnter?.();
          if (event.key === "Escape" && query) {
            event.preventDefault(); // the first Escape clears the field, the next one may close a panel
            onQuery("");
          }
        }}
      />
    </label>
  );
}
