// What the server says: the dataclasses of include/overview and plugins/pages.
import { useEffect, useState } from "react";

export type Partition = {
  partition: string;
  landed: number;
  quarantined: number;
  clean: number;
  labelled: number;
  features: number;
  predicted: number;
  verdict: string | null;
  model_version: string | null;
  drifted: string[];
  performance: number | null;
  worst_allowed: number | null;
  outcomes: number | null;
  decision: "retrain" | "wait" | null;
  reasons: string;
};

export type Promotion = {
  number: number;
  version: string;
  evaluated_version: string;
  previous: string | null;
  as_of: string;
  known_up_to: string;
  who: string;
  why: string;
  evidence: string;
  run_id: string;
  promoted_at: string;
};

export type Card = {
  use_case: string;
  task: string;
  description: string;
  owner: string;
  metric: string;
  champion: Promotion | null;
  promotions: Promotion[];
  partitions: Partition[];
  landed_at: string | null;
  labels_at: string | null;
};

export type Phase = {
  phase: string;
  dag_id: string;
  state: "queued" | "running" | "success" | "failed" | null;
  run_id: string | null;
  partition: string | null;
  since: string | null;
  active: number;
  questions: number;
};

export type Seen = {
  use_case: string;
  line: string;
  card: Card | null;
  problem: string | null;
  phases: Phase[];
};

export type Step = {
  table: string;
  partition: string;
  version: number;
  at: string;
  rows: number;
  run_id: string;
  files: { path: string; sha256: string }[];
  facts: Record<string, unknown>;
};

export type PartitionLineage = {
  steps: Step[];
  models: { version: string; part: string; as_of: string; as_it_is: boolean }[];
  scored_by: string[];
};

export type ModelLineage = {
  version: string;
  registered_at: string;
  tags: Record<string, string>;
  sources: Step[];
  gaps: { table: string; because: string }[];
};

export type Judged = {
  version: string;
  as_of: string;
  promoted: boolean;
  algorithm: string | null;
  mlflow_run: string | null;
  metric: string | null;
  value: number | null;
  champion: number | null;
  linear: number | null;
  dummy: number | null;
  effect: number | null;
  effect_low: number | null;
  confidence: number | null;
  rows: number | null;
  holdout_partition: string | null;
  reasons: string;
  run_id: string;
  decided_at: string;
};

export type Addresses = { mlflow: string };

const API = "flywheel/api";

export class Failed extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

async function answerOf(response: Response): Promise<unknown> {
  if (response.ok) return response.json();
  const text = await response.text();
  let said = text;
  try {
    const detail = (JSON.parse(text) as { detail?: unknown }).detail;
    said = typeof detail === "string" ? detail : JSON.stringify(detail);
  } catch {
    // Not JSON: a proxy between us and the server answered. Its text is all there is.
  }
  throw new Failed(response.status, said || response.statusText);
}

export async function ask<T>(path: string): Promise<T> {
  const url = new URL(`${API}/${path}`, document.baseURI);
  return (await answerOf(await fetch(url, { credentials: "same-origin" }))) as T;
}

/** Start a run by Airflow's own REST API, as the person who is logged in. */
export async function startRun(dagId: string, partition: string | null, conf: object): Promise<string> {
  const response = await fetch(new URL(`api/v2/dags/${dagId}/dagRuns`, document.baseURI), {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ logical_date: null, partition_key: partition, conf }),
  });
  return ((await answerOf(response)) as { dag_run_id: string }).dag_run_id;
}

/** The address of a report on a partition, for a link. */
export const reportOf = (useCase: string, partition: string, report: "validation" | "drift"): string =>
  new URL(`${API}/use-cases/${useCase}/partitions/${partition}/${report}`, document.baseURI).href;

export type Asked<T> = { answer: T | null; failed: Failed | null; at: Date | null };

/** Ask again every `everyMs`; an answer stays while a later question fails. */
export function useAnswer<T>(path: string, everyMs: number | null = null): Asked<T> {
  const [asked, setAsked] = useState<Asked<T> & { path: string }>({
    answer: null,
    failed: null,
    at: null,
    path,
  });
  useEffect(() => {
    let over = false;
    const look = async () => {
      try {
        const answer = await ask<T>(path);
        if (!over) setAsked({ answer, failed: null, at: new Date(), path });
      } catch (error) {
        const failed = error instanceof Failed ? error : new Failed(0, "Airflow does not answer.");
        if (!over) setAsked((before) => ({ ...before, failed, path }));
      }
    };
    void look();
    // A page in the background asks nothing.
    const timer = everyMs === null ? undefined : setInterval(() => document.hidden || void look(), everyMs);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [path, everyMs]);
  // The answer to another question than the present one is none.
  return asked.path === path ? asked : { answer: null, failed: null, at: null };
}
