import { render, type ComponentChildren } from "preact";
import { useErrorBoundary } from "preact/hooks";
import { App } from "./app";
import { AtlasApp } from "./atlas/app";
import { isServed, StaticClient, type AnyPage, type Client } from "./client";
import { ComparisonApp } from "./comparison/app";
import { DebugApp } from "./debug/app";
import { LiveClient } from "./live/client";
import "./style.css";
import "./debug/debug.css";
import "./live/live.css";
import "./comparison/comparison.css";
import "./atlas/atlas.css";

const root = document.getElementById("app")!;
const client: Client = isServed() ? new LiveClient() : new StaticClient();

const page = (data: AnyPage) => {
  if (!("kind" in data)) return <App data={data} live={client.live} onChanged={show} />;
  if (data.kind === "debug") return <DebugApp data={data} />;
  return data.kind === "comparison" ? <ComparisonApp data={data} /> : <AtlasApp data={data} />;
};
/** What cannot be drawn is told: the page is never left empty. */
function Told({ children }: { children: ComponentChildren }) {
  const [error] = useErrorBoundary() as [Error | undefined, () => void];
  if (!error) return <>{children}</>;
  return <p class="failure">This page cannot be drawn: {error.message}. Open its address without what follows the #.</p>;
}
let asked = 0;
const show = () => {
  const number = ++asked; // after two edits in a row the answers may come in another order
  return client.load().then(
    (data) => number === asked && render(<Told>{page(data)}</Told>, root),
    (error: Error) => number === asked && render(<p class="failure">{error.message}</p>, root),
  );
};
void show();
