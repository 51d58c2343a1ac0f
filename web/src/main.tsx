/** Starts the page that the data are for. */

import { type ComponentChildren, render } from "preact";
import { useErrorBoundary } from "preact/hooks";
import { AtlasApp } from "./atlas/app";
import { App } from "./circuit/app";
import { ComparisonApp } from "./comparison/app";
import { DebugApp } from "./debug/app";
import { LiveApp } from "./live/app";
import { LiveClient } from "./live/client";
import { type AnyPage, type Client, isServed, StaticClient } from "./shared/client";
import { dataRead } from "./shared/pictures";
import "./shared/style.css";
import "./circuit/circuit.css";
import "./circuit/views.css";
import "./debug/debug.css";
import "./live/live.css";
import "./live/why.css";
import "./comparison/comparison.css";
import "./atlas/atlas.css";
import "./shared/print.css";

function page(data: AnyPage, client: Client) {
  switch (data.kind) {
    case "debug":
      return <DebugApp data={data} />;
    case "comparison":
      return <ComparisonApp data={data} />;
    case "atlas":
      return <AtlasApp data={data} />;
    default:
      return client.live ? (
        <LiveApp data={data} calls={client.live} onChanged={() => show(client)} />
      ) : (
        <App data={data} />
      );
  }
}

/** Says why a page cannot be drawn, instead of leaving it empty. */
function Guarded({ children }: { children: ComponentChildren }) {
  const [error] = useErrorBoundary() as [Error | undefined, () => void];
  if (!error) return <>{children}</>;
  return (
    <p class="failure">This page cannot be drawn: {error.message}. Open its address without the part after the #.</p>
  );
}

/** Draws in the place of what index.html shows until the data have come. */
function draw(what: ComponentChildren): void {
  document.getElementById("reading")?.remove();
  render(what, document.getElementById("app")!);
}

let requests = 0;

/** Loads and draws the page; of two loads in a row only the later one is drawn. */
function show(client: Client): Promise<void> {
  const number = ++requests;
  return client.load().then(
    (data) => {
      if (number === requests) draw(<Guarded>{page(data, client)}</Guarded>);
    },
    (error: Error) => {
      const failure = (
        <p class="failure" role="alert">
          {error.message} <button onClick={() => void show(client)}>Try again</button>
        </p>
      );
      if (number === requests) draw(failure);
    },
  );
}

// the script stands before the data, and runs before the browser has read all of a large page
void dataRead().then(() => show(isServed() ? new LiveClient() : new StaticClient()));
