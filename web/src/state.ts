/** What the user has chosen; the selection lives in the address, so that a view can be shared. */

export interface Selection {
  group: string | null;
  neuron: number | null;
}

export function readSelection(hash: string): Selection {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const neuron = values.get("neuron");
  return { group: values.get("group"), neuron: neuron === null ? null : Number(neuron) };
}

export function writeSelection(selection: Selection): string {
  const values = new URLSearchParams();
  if (selection.group) values.set("group", selection.group);
  if (selection.group && selection.neuron !== null) values.set("neuron", String(selection.neuron));
  return values.size ? `#${values}` : "#";
}
