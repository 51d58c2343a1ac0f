import { render } from "preact";
import { App } from "./app";
import { StaticClient } from "./client";
import { DebugApp } from "./debug/app";
import "./style.css";
import "./debug/debug.css";

const root = document.getElementById("app")!;
new StaticClient().load().then(
  (data) => render("kind" in data ? <DebugApp data={data} /> : <App data={data} />, root),
  (error: Error) => render(<p class="failure">{error.message}</p>, root),
);
