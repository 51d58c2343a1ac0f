/** What is explained, in a sentence; the threshold, the search and the theme. */

import { percent, plural } from "./format";
import { useTheme } from "./style";
import type { PageData } from "./types";

interface HeaderProps {
  data: PageData;
  share: number;
  carried: number;
  edgesShown: number;
  onShare: (share: number) => void;
  query: string;
  /** groups that match, if anything was typed */
  found: number | null;
  onQuery: (query: string) => void;
  onEnter: () => void;
}

export function Header(props: HeaderProps) {
  const { data } = props;
  return (
    <header>
      <div class="about">
        <h1>
          Why <em>{data.target}</em>?
        </h1>
        <p class="quiet">
          What drives {data.target} in {data.model}: groups of neurons found on {plural(data.images.length, "picture")} cut
          into {plural(data.crop_count, "crop")}, with τ = {data.tau} core neurons each, k = {data.k} crops a neuron
          and {data.steps === "auto" ? "as many integration steps as each needs" : `N = ${data.steps} integration steps`}.
        </p>
      </div>
      <div class="controls">
        <Threshold {...props} />
        <Search {...props} />
        <ThemeButton />
      </div>
    </header>
  );
}

function Threshold({ data, share, carried, edgesShown, onShare }: HeaderProps) {
  return (
    <label>
      <span>
        Edges that carry <b data-testid="carried">{percent(carried)}</b> of the weight
        <small data-testid="edge-count">
          {" "}
          {edgesShown} of {data.edges.length}
        </small>
      </span>
      <input
        type="range"
        min="0"
        max="100"
        value={Math.round(share * 100)}
        aria-label="Share of the weight shown"
        aria-valuetext={`${percent(carried)} of the weight, ${edgesShown} of ${data.edges.length} edges`}
        onInput={(event) => onShare(Number(event.currentTarget.value) / 100)}
      />
    </label>
  );
}

function Search({ query, found, onQuery, onEnter }: HeaderProps) {
  return (
    <label>
      <span>
        Find <small role="status">{found === null ? "" : plural(found, "group")}</small>
      </span>
      <input
        type="search"
        value={query}
        placeholder="group, label, neuron"
        aria-label="Find"
        onInput={(event) => onQuery(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") onEnter();
          if (event.key === "Escape") onQuery("");
        }}
      />
    </label>
  );
}

export function ThemeButton() {
  const now = useTheme();
  const other = now === "dark" ? "light" : "dark";
  return (
    <button
      class="theme"
      aria-label={`Switch to ${other}`}
      title={`Switch to ${other}`}
      onClick={() => (document.documentElement.dataset.theme = other)}
    >
      {now === "dark" ? "☀" : "☾"}
    </button>
  );
}
