/** One sentence, made from the figures: what the picture is called, rather than what, and why. */

import type { Circuit } from "../circuit/circuit";
import { CropStrip } from "../circuit/crop";
import { headingOf } from "../circuit/names";
import { answer as said, signed } from "../shared/format";
import type { GroupEffect, GroupReading } from "../shared/types";
import { reasonsOf, type Why } from "./effects";

interface SentenceProps {
  why: Why | null;
  readings: GroupReading[];
  circuit: Circuit;
  onRival: (rival: string | null) => void;
}

export function Sentence({ why, readings, circuit, onRival }: SentenceProps) {
  if (!why)
    return (
      <p class="why-sentence" role="status">
        Masking each group on this picture …
      </p>
    );
  const { answer, rival, classes } = why;
  return (
    <p class="why-sentence">
      Called <em>{answer.name}</em> ({said(answer, hundredths)}) rather than{" "}
      <span class="kept">
        <select
          aria-label="Rival class"
          value={rival ? String(rival.index) : "none"}
          onChange={(event) => onRival(event.currentTarget.value)}
        >
          {classes
            .filter(({ index }) => index !== answer.index)
            .map((each) => (
              <option key={each.index} value={String(each.index)}>
                {each.name} ({said(each, hundredths)})
              </option>
            ))}
          <option value="none">anything else</option>
        </select>
        :
      </span>{" "}
      <Because why={why} readings={readings} circuit={circuit} />
    </p>
  );
}

const hundredths = (share: number): string => share.toFixed(2);

function Because({ why, readings, circuit }: Omit<SentenceProps, "onRival"> & { why: Why }) {
  const { speakFor, speakAgainst, missing } = reasonsOf(why, readings, circuit.data.target);
  const name = (id: string) => {
    const group = circuit.groups.get(id);
    return group ? (
      <span class="named">
        <CropStrip data={circuit.data} crops={group.crops} count={1} />
        {whole(group, circuit)}
      </span>
    ) : (
      id
    );
  };
  const listed = (effects: GroupEffect[]) =>
    effects.map(({ id, effect }, i) => (
      <span key={id}>
        {i > 0 && ", "}
        <span class="kept">
          {name(id)} <b class={effect < 0 ? "against" : "for"}>{signed(effect)}</b>
        </span>
      </span>
    ));
  const running = why.compared < why.effects.length;
  if (!speakFor.length && !speakAgainst.length && running) return <>comparing the groups with random neurons …</>;
  return (
    <>
      {speakFor.length ? listed(speakFor) : "no group has a larger effect for it than random neurons"}
      {speakAgainst.length > 0 && <>; against it {listed(speakAgainst)}</>}
      {missing.length > 0 && (
        <>
          ;{" "}
          {missing.map(({ id }, i) => (
            <span key={id}>
              {i > 0 && " and "}
              {name(id)}
            </span>
          ))}
          , usual for {circuit.data.target}, {missing.length > 1 ? "are" : "is"} missing
        </>
      )}
      .
    </>
  );
}

/** A group without a label is called by its layer too. */
const whole = (group: { id: string; label: string | null; layer: number }, circuit: Circuit): string =>
  group.label ? headingOf(group, circuit.data) : `group ${group.id}`;
