/** The header: what the circuit explains, how many edges are shown, search, theme. */

import { counted, percent, plural } from "../shared/format";
import { PageLinks } from "../shared/page_links";
import { ThemeButton } from "../shared/theme";
import type { PageData } from "../shared/types";
import type { Result } from "./find";
import { Finder } from "./finder";
import { Notes } from "./legend";
import { targetOf } from "./names";

interface HeaderProps {
  data: PageData;
  /** whether the circuit itself is shown, with its edges */
  drawn: boolean;
  share: number;
  carried: number;
  edgesShown: number;
  onShare: (share: number) => void;
  query: string;
  /** what matches the query; null without a query */
  results: Result[] | null;
  onQuery: (query: string) => void;
  onResult: (result: Result) => void;
}

export function Header(props: HeaderProps) {
  const { data } = props;
  return (
    <header>
      <div class="about">
        <div class="about-line">
          <h1>
            Why <em>{targetOf(data)}</em>?
          </h1>
          <PageLinks />
        </div>
        {props.drawn && (
          <div class="about-line">
            <p class="quiet">
              Groups of neurons in {data.model}, from {plural(data.crop_count, "crop")} of{" "}
              {plural(data.images.length, "picture")}
            </p>
            <Notes data={data} />
          </div>
        )}
      </div>
      <div class="controls">
        {props.drawn && <Threshold {...props} />}
        <Finder query={props.query} results={props.results} onQuery={props.onQuery} onResult={props.onResult} />
        <ThemeButton />
      </div>
    </header>
  );
}

function Threshold({ data, share, carried, edgesShown, onShare }: HeaderProps) {
  return (
    <label>
      <span>
        Show the strongest edges (<b data-testid="carried">{percent(carried)}</b> of weight)
        <small data-testid="edge-count">
          {" "}
          {counted(edgesShown)} of {counted(data.edges.length)}
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
