/** The debug page: explanations of pictures, masks, the mistakes of a class, and an audit. */

import { useState } from "preact/hooks";
import { plural } from "../shared/format";
import { same } from "../shared/labels";
import { PageLinks } from "../shared/page_links";
import { ThemeButton } from "../shared/theme";
import type { DebugPageData, PictureReport } from "../shared/types";
import { AuditTable } from "./audit";
import { MistakesView } from "./mistakes";
import { PictureView } from "./picture";
import { WhatIfView } from "./what_if";

export function DebugApp({ data }: { data: DebugPageData }) {
  const [shown, show] = useState(0);
  const [called, choose] = useState<string | null>(null);
  const { report, audit, pictures } = data;
  const picture = pictures[shown];
  const open = (name: string) => {
    const found = pictures.findIndex(({ report }) => report.name === name);
    if (found < 0) return;
    show(found);
    document.getElementById("why")?.scrollIntoView();
  };
  const pick = (name: string | null) => {
    choose(name);
    const first = pictures.findIndex(({ report }) => name != null && isMissed(report, name));
    if (first >= 0) show(first);
  };
  return (
    <div class="debug">
      <header>
        <div class="about">
          {audit ? (
            <h1>
              Is a shortcut behind <em>{data.target}</em>?
            </h1>
          ) : (
            <h1>
              Debugging <em>{data.target}</em>
            </h1>
          )}
          <PageLinks />
          <p class="quiet">
            {data.model}, {audit ? plural(audit.pictures, "picture") : plural(pictures.length, "picture")}
          </p>
        </div>
        <ThemeButton />
      </header>
      <main class="plain">
        {(report?.notes ?? audit?.notes ?? []).map((note) => (
          <p class="note" key={note}>
            {note}
          </p>
        ))}
        {audit && <AuditTable data={data} audit={audit} />}
        {report?.mistakes && (
          <MistakesView data={data} mistakes={report.mistakes} called={called} onCalled={pick} onOpen={open} />
        )}
        {picture && (
          <section id="why">
            {pictures.length > 1 && (
              <nav class="film" aria-label="Pictures">
                {pictures.map(({ picture: source, report }, i) =>
                  called == null || isMissed(report, called) ? (
                    <button key={report.name} aria-pressed={i === shown} onClick={() => show(i)} title={report.name}>
                      <img src={source} alt="" />
                      <span class={isMissed(report, report.top[0]!.name) ? "against" : ""}>{report.top[0]!.name}</span>
                    </button>
                  ) : null,
                )}
              </nav>
            )}
            <PictureView key={picture.report.name} data={data} shown={picture} />
          </section>
        )}
        {report?.what_if && <WhatIfView data={data} whatIf={report.what_if} onOpen={open} />}
      </main>
    </div>
  );
}

/** Whether a picture is classified as `name` and labelled otherwise. */
const isMissed = ({ label, top }: PictureReport, name: string): boolean =>
  label != null && top[0]!.name === name && !same(label, name);
