/** The inputs of a pair of groups: the weight of each in A and in B, and the change. */

import { useState } from "preact/hooks";
import { weightsAs } from "../shared/format";
import { Bar } from "../shared/listing";
import type { ComparisonPageData, GroupPair, LayerComparison } from "../shared/types";
import { inputsOf, type SideName, sizeOf } from "./find";
import { GroupLink } from "./group";

const AT_FIRST = 3;

interface InputsProps {
  data: ComparisonPageData;
  layer: LayerComparison;
  pair: GroupPair;
  onGo: (side: SideName, id: string) => void;
}

export function Inputs({ data, layer, pair, onGo }: InputsProps) {
  const [all, showAll] = useState(false);
  const inputs = inputsOf(data, layer, pair);
  if (!inputs.length) return null;
  const { shares } = data;
  const weight = (value: number | null) =>
    value === null ? (
      <span class="quiet">no edge</span>
    ) : (
      <Bar weight={value} largest={shares ? 1 : sizeOf(inputs[0]!)} shares={shares} />
    );
  return (
    <div class="inputs">
      <table>
        <thead>
          <tr>
            <th>driven by</th>
            <th>in A</th>
            <th>in B</th>
            <th>change</th>
          </tr>
        </thead>
        <tbody>
          {inputs.slice(0, all ? inputs.length : AT_FIRST).map(({ a, b, weightA, weightB }) => (
            <tr key={`${a} ${b}`}>
              <td>
                {a !== null && <GroupLink data={data} side="a" id={a} onGo={onGo} />}
                {b !== null && <GroupLink data={data} side="b" id={b} onGo={onGo} />}
              </td>
              <td>{a === null ? <Absent /> : weight(weightA)}</td>
              <td>{b === null ? <Absent /> : weight(weightB)}</td>
              <td class="number">
                {a !== null && b !== null ? weightsAs(shares)((weightB ?? 0) - (weightA ?? 0)) : ""}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {inputs.length > AT_FIRST && (
        <button class="more" aria-expanded={all} onClick={() => showAll(!all)}>
          {all ? "Fewer inputs" : `All ${inputs.length} inputs`}
        </button>
      )}
    </div>
  );
}

/** The circuit has no such group. */
const Absent = () => <span class="quiet">absent</span>;
