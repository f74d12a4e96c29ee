// Numbers and times as people read them.

export const number = (value: number): string => value.toLocaleString("en");

export const measure = (value: number | null): string =>
  value === null ? "–" : String(Number(value.toPrecision(4)));

export const share = (part: number, whole: number): string => {
  if (whole === 0) return "–";
  const percent = (100 * part) / whole;
  return part > 0 && percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(1)} %`;
};

const STEPS: [number, string][] = [
  [86400, "day"],
  [3600, "hour"],
  [60, "minute"],
];

/** How long ago, in the largest unit that fits. */
export const ago = (iso: string | null, now: Date = new Date()): string => {
  if (iso === null) return "never";
  const seconds = Math.max(0, (now.getTime() - new Date(iso).getTime()) / 1000);
  for (const [size, name] of STEPS) {
    const count = Math.floor(seconds / size);
    if (count >= 1) return `${count} ${name}${count === 1 ? "" : "s"} ago`;
  }
  return "just now";
};

export const moment = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;

/** `too_few_rows` as `too few rows`. */
export const plain = (name: string): string => name.replaceAll("_", " ");

/** Where a run of Airflow is shown; `made_by` is `<dag>/<run>/<task>/<map index>`, as the lake notes it. */
export const runOf = (made_by: string): string | null => {
  const parts = made_by.split("/");
  if (parts.length < 3) return null;
  const [dag, task] = [parts[0] ?? "", parts.at(-2) ?? ""];
  const run = parts.slice(1, -2).join("/");
  return `/dags/${dag}/runs/${encodeURIComponent(run)}/tasks/${task}`;
};
