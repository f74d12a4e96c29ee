// Start a training, a rebuild or a rollback, by Airflow's own REST API and as the person who asks.
import { Box, Button, Flex, Input, NativeSelect, Text } from "@chakra-ui/react";
import { type FormEvent, type ReactNode, useState } from "react";

import { type Card, startRun } from "./api";
import { Problem, To } from "./parts";

type Started = { dagId: string; runId: string };

/** A control within its label, so that the two belong together for everybody. */
const Labelled = ({ label, w, children }: { label: string; w: string; children: ReactNode }) => (
  <Box as="label" display="block" w={w}>
    <Text as="span" display="block" fontSize="sm" fontWeight="medium" mb={1}>
      {label}
    </Text>
    {children}
  </Box>
);

const Choice = ({ label, name, options, onChange, value }: {
  label: string;
  name: string;
  options: string[];
  onChange: (value: string) => void;
  value: string;
}) => (
  <Labelled label={label} w="14em">
    <NativeSelect.Root size="sm">
      <NativeSelect.Field name={name} onChange={(event) => onChange(event.currentTarget.value)} value={value}>
        {options.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </NativeSelect.Field>
      <NativeSelect.Indicator />
    </NativeSelect.Root>
  </Labelled>
);

const REBUILT = ["validate_clean", "label", "feature", "batch_predict", "drift_monitor"];

export const Actions = ({ card }: { card: Card }) => {
  const keys = card.partitions.map((one) => one.partition).toReversed();
  const former = [...new Set(card.promotions.map((one) => one.version))]
    .filter((one) => one !== card.champion?.version)
    .toReversed();
  const [what, setWhat] = useState("a training");
  const [key, setKey] = useState(keys[0] ?? "");
  const [phase, setPhase] = useState("feature");
  const [version, setVersion] = useState(former[0] ?? "");
  const [why, setWhy] = useState("");
  const [started, setStarted] = useState<Started | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const asked = (): { phase: string; partition: string | null; conf: object } => {
    if (what === "a rebuild") return { conf: { first: key, last: key, phase }, partition: null, phase: "rebuild" };
    if (what === "a rollback") {
      const promotion = card.promotions.find((one) => one.version === version);
      return { conf: { override: why, version }, partition: promotion?.as_of ?? key, phase: "deploy" };
    }
    return { conf: {}, partition: key, phase: "train_tune" };
  };

  const send = async (event: FormEvent) => {
    event.preventDefault();
    const { phase: dag, partition, conf } = asked();
    const dagId = `${card.use_case}__${dag}`;
    setBusy(true);
    setProblem(null);
    setStarted(null);
    try {
      setStarted({ dagId, runId: await startRun(dagId, partition, conf) });
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
    setBusy(false);
  };

  if (keys.length === 0) return <Text>There is nothing to start before rows have landed.</Text>;
  const whats = former.length > 0 ? ["a training", "a rebuild", "a rollback"] : ["a training", "a rebuild"];
  return (
    <Box as="form" onSubmit={send}>
      <Flex align="end" gap={3} wrap="wrap">
        <Choice label="Start" name="what" onChange={setWhat} options={whats} value={what} />
        {what === "a rollback" ? (
          <>
            <Choice label="To version" name="version" onChange={setVersion} options={former} value={version} />
            <Labelled label="Because" w="20em">
              <Input
                minLength={3}
                name="why"
                onChange={(event) => setWhy(event.currentTarget.value)}
                required
                size="sm"
                value={why}
              />
            </Labelled>
          </>
        ) : (
          <Choice
            label={what === "a training" ? "Of what was known up to" : "Of partition"}
            name="partition"
            onChange={setKey}
            options={keys}
            value={key}
          />
        )}
        {what === "a rebuild" && (
          <Choice label="From phase" name="phase" onChange={setPhase} options={REBUILT} value={phase} />
        )}
        <Button colorPalette="blue" loading={busy} size="sm" type="submit">
          Start
        </Button>
      </Flex>
      <Box aria-live="polite" mt={2}>
        {started !== null && (
          <Text>
            Started:{" "}
            <To to={`/dags/${started.dagId}/runs/${encodeURIComponent(started.runId)}`}>{started.runId}</To>
          </Text>
        )}
        {problem !== null && <Problem>{problem}</Problem>}
      </Box>
    </Box>
  );
};
