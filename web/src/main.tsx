import { render } from "preact";
import { App } from "./app";
import { isServed, StaticClient, type Client } from "./client";
import { DebugApp } from "./debug/app";
import { LiveClient } from "./live/client";
import "./style.css";
import "./debug/debug.css";
import "./live/live.css";

const root = document.getElementById("app")!;
const client: Client = isServed() ? new LiveClient() : new StaticClient();

const show = () =>
  client.load().then(
    (data) =>
      render("kind" in data ? <DebugApp data={data} /> : <App data={data} live={client.live} onChanged={show} />, root),
    (error: Error) => render(<p class="failure">{error.message}</p>, root),
  );
void show();
