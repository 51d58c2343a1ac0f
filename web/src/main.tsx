import { render } from "preact";
import { App } from "./app";
import { StaticClient } from "./client";
import "./style.css";

const root = document.getElementById("app")!;
new StaticClient().load().then(
  (data) => render(<App data={data} />, root),
  (error: Error) => render(<p class="failure">{error.message}</p>, root),
);
