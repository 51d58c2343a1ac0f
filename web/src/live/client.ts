/** The client of a page that is served by `neurflow explore`. */

import type { AnyPage, Client, LiveCalls } from "../shared/client";
import type {
  AuditState,
  Edits,
  Effects,
  EffectsRequest,
  Findings,
  LabelReply,
  LivePicture,
  MaskRequest,
  Messages,
  NeuronMaps,
  Problem,
  Sample,
  Status,
  WhatIf,
} from "../shared/types";

export class LiveClient implements Client, LiveCalls {
  readonly live: LiveCalls = this;

  load(): Promise<AnyPage> {
    return ask("api/circuit");
  }
  status(): Promise<Status> {
    return ask("api/status");
  }
  samples(): Promise<Sample[]> {
    return ask("api/samples");
  }
  sample(number: number): Promise<LivePicture> {
    return ask(`api/samples/${number}`, { method: "POST" });
  }
  upload(file: File): Promise<LivePicture> {
    const name = encodeURIComponent(file.name.slice(0, 200) || "picture");
    return ask(`api/pictures?name=${name}`, { method: "POST", body: file });
  }
  picture(number: number): Promise<LivePicture> {
    return ask(`api/pictures/${number}`);
  }
  mask(request: MaskRequest, signal: AbortSignal): Promise<WhatIf> {
    return ask("api/mask", { method: "POST", ...json(request), signal });
  }
  effects(request: EffectsRequest, signal: AbortSignal): Promise<Effects> {
    return ask("api/effects", { method: "POST", ...json(request), signal });
  }
  neurons(picture: number, layer: string): Promise<NeuronMaps> {
    return ask(`api/pictures/${picture}/neurons?layer=${encodeURIComponent(layer)}`);
  }
  find(words: string, signal: AbortSignal): Promise<Findings> {
    return ask(`api/find?words=${encodeURIComponent(words)}`, { signal });
  }
  audit(start: boolean): Promise<AuditState> {
    return ask("api/audit", { method: start ? "POST" : "GET" });
  }
  label(id: string, label: string | null): Promise<LabelReply> {
    const path = id.split("/").map(encodeURIComponent).join("/");
    return ask(`api/groups/${path}/label`, { method: "PUT", ...json({ label }) });
  }
  edits(): Promise<Edits> {
    return ask("api/edits");
  }
  edit(request: Messages["edit"]): Promise<Edits> {
    return ask("api/edits", { method: "POST", ...json(request) });
  }
}

/** The server has no such picture, or no longer. */
class PictureGone extends Error {}

/** Returns the calls that send the pictures again, and ask again, where the server does not have them. */
export function resending(calls: LiveCalls, restore: () => Promise<void>): LiveCalls {
  let sending: Promise<void> | null = null;
  const again =
    <A extends unknown[], T>(ask: (...args: A) => Promise<T>) =>
    (...args: A): Promise<T> =>
      ask.apply(calls, args).catch(async (problem: Error) => {
        if (!(problem instanceof PictureGone)) throw problem;
        sending ??= restore().finally(() => {
          sending = null;
        });
        await sending;
        return ask.apply(calls, args);
      });
  const { mask, effects, neurons } = calls;
  return Object.assign(Object.create(calls), { mask: again(mask), effects: again(effects), neurons: again(neurons) });
}

const json = (body: unknown): RequestInit => ({
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});

/** Returns the answer, or throws an error with a message for people. */
async function ask<T>(path: string, request?: RequestInit): Promise<T> {
  const answer = await fetch(path, request).catch((error: Error) => {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is neurflow explore still running?");
  });
  if (answer.ok) return (await answer.json()) as T;
  const problem = (await answer.json().catch(() => null)) as Problem | null;
  const Kind = answer.status === 410 ? PictureGone : Error;
  throw new Kind(problem?.error ?? `The server answered ${answer.status}.`);
}
