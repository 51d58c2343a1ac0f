/** The circuit as tables of groups, neurons and edges: sorted, filtered, saved as CSV or JSON. */

import { useMemo, useState } from "preact/hooks";
import { download } from "../shared/download";
import { plural } from "../shared/format";
import type { Explorer } from "./explorer";
import { type Column, KINDS, type Kind, type Row, rowsOf, sorted, toCsv } from "./rows";

const SHOWN = 200;

export function Tables({ explorer: { circuit, change } }: { explorer: Explorer }) {
  const [kind, choose] = useState<Kind>("groups");
  const [query, filter] = useState("");
  const [order, sort] = useState<{ by: string; down: boolean } | null>(null);
  const [whole, showWhole] = useState(false);
  const { columns, rows } = useMemo(() => rowsOf(circuit, kind), [circuit, kind]);
  const found = useMemo(() => {
    const words = query.trim().toLowerCase();
    const some = rows.filter((row) => !words || Object.values(row).join(" ").toLowerCase().includes(words));
    return order ? sorted(some, order.by, order.down) : some;
  }, [rows, query, order]);
  const turn = (by: string) => sort(order?.by === by ? { by, down: !order.down } : { by, down: true });
  const save = (content: string, ending: string, type: string) =>
    download(
      new Blob([content], { type }),
      `${circuit.data.target.replace(/[^\p{L}\p{N}]+/gu, "-")}-${kind}.${ending}`,
    );
  const open = (row: Row) => {
    const group = String(row.group ?? row.lower).split(" ")[0]!;
    change({ view: null, group, neuron: kind === "neurons" ? Number(row.neuron) : null, path: null });
  };
  return (
    <section class="tables" aria-label="Tables">
      <div class="tables-head">
        <div class="choices" role="group" aria-label="Table">
          {KINDS.map((each) => (
            <button
              key={each}
              aria-pressed={each === kind}
              onClick={() => {
                choose(each);
                sort(null);
              }}
            >
              {each}
            </button>
          ))}
        </div>
        <label>
          Filter <input type="search" value={query} onInput={(event) => filter(event.currentTarget.value)} />
        </label>
        <span class="quiet" role="status">
          {plural(found.length, "row")}
        </span>
        <button onClick={() => save(toCsv(columns, found), "csv", "text/csv")}>CSV</button>
        <button onClick={() => save(JSON.stringify(found, null, 1), "json", "application/json")}>JSON</button>
      </div>
      <div class="table-frame" role="region" aria-label={`Table of ${kind}`} tabIndex={0}>
        <table>
          <thead>
            <tr>
              {columns.map((column) => (
                <Heading key={column.key} column={column} order={order} onSort={turn} />
              ))}
            </tr>
          </thead>
          <tbody>
            {(whole ? found : found.slice(0, SHOWN)).map((row, i) => (
              <tr key={i}>
                {columns.map(({ key, write }, place) => (
                  <td key={key} class={write ? "number" : ""}>
                    {place === 0 ? (
                      <button class="link" onClick={() => open(row)}>
                        {String(row[key] ?? "")}
                      </button>
                    ) : row[key] == null ? (
                      ""
                    ) : (
                      (write?.(Number(row[key])) ?? String(row[key]))
                    )}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
        {found.length > SHOWN && !whole && (
          <button class="more" onClick={() => showWhole(true)}>
            Show all {found.length}
          </button>
        )}
      </div>
    </section>
  );
}

interface HeadingProps {
  column: Column;
  order: { by: string; down: boolean } | null;
  onSort: (by: string) => void;
}

function Heading({ column: { key, title, about, write }, order, onSort }: HeadingProps) {
  const active = order?.by === key;
  return (
    <th
      scope="col"
      class={write ? "number" : ""}
      aria-sort={active ? (order.down ? "descending" : "ascending") : "none"}
    >
      <button title={about} onClick={() => onSort(key)}>
        {title}
        <span aria-hidden="true">{active ? (order.down ? " ▾" : " ▴") : ""}</span>
      </button>
    </th>
  );
}
