/** The live page: the circuit with a dock beside it, for pictures, masks, edits and the audit. */

import { CircuitPage } from "../circuit/app";
import { useExplorer } from "../circuit/explorer";
import type { LiveCalls } from "../shared/client";
import { Pane } from "../shared/pane";
import type { PageData } from "../shared/types";
import { Dock } from "./dock";
import { useFound } from "./found";
import { LiveScores, useOthers } from "./scores";
import { useLive, useMaskKey } from "./state";
import { WhyView } from "./why";

interface LiveAppProps {
  data: PageData;
  calls: LiveCalls;
  /** what is stored has changed and must be loaded again */
  onChanged: () => void;
}

export function LiveApp({ data, calls, onChanged }: LiveAppProps) {
  const explorer = useExplorer(data);
  const { circuit, group, select } = explorer;
  const live = useLive(calls, explorer);
  useMaskKey(live, group?.id ?? null);
  const found = useFound(live, circuit, explorer.state.query);
  const others = useOthers(live);
  return (
    <CircuitPage
      explorer={explorer}
      found={found}
      marks={live.lit}
      why={<WhyView live={live} explorer={explorer} />}
      scores={group && <LiveScores live={live} others={others} group={group} target={data.target} />}
    >
      <Pane name="Pictures" side="left" width={340}>
        <Dock live={live} circuit={circuit} selected={group?.id ?? null} onSelect={select} onChanged={onChanged} />
      </Pane>
    </CircuitPage>
  );
}
