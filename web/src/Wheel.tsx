// The Dags of a use case in the order of the wheel, each with what it does now.
import { Box, Flex, Text } from "@chakra-ui/react";

import type { Phase } from "./api";
import { State, To } from "./parts";
import { ago, plain } from "./words";

const ORDER = [
  "ingest_label",
  "validate_clean",
  "feature",
  "label",
  "annotate",
  "batch_predict",
  "drift_monitor",
  "retrain_trigger",
  "train_tune",
  "deploy",
];

const place = (phase: string) => {
  const found = ORDER.indexOf(phase);
  return found < 0 ? ORDER.length : found;
};

export const inOrder = (phases: Phase[]): Phase[] =>
  phases
    .filter((one) => ORDER.includes(one.phase) || one.state === "failed" || one.active > 0)
    .toSorted((a, b) => place(a.phase) - place(b.phase));

export const Wheel = ({ phases }: { phases: Phase[] }) => (
  <Flex aria-label="Phases" as="ol" gap={2} listStyleType="none" role="list" wrap="wrap">
    {inOrder(phases).map((one) => (
      <Box as="li" borderRadius="md" borderWidth={1} key={one.dag_id} minW="9.5em" p={2}>
        <To to={`/dags/${one.dag_id}`}>{plain(one.phase)}</To>
        <Box>
          <State of={one.state} />{" "}
          {one.partition !== null && (
            <Text as="span" fontSize="sm">
              {one.partition}
            </Text>
          )}
        </Box>
        <Text color="fg.muted" fontSize="xs">
          {one.state === null ? "never ran" : ago(one.since)}
          {one.active > 1 && `, ${one.active} runs at once`}
        </Text>
        {one.questions > 0 && (
          <Text fontSize="sm">
            <To to={`/dags/${one.dag_id}/required_actions`}>
              {one.questions} {one.questions === 1 ? "question waits" : "questions wait"}
            </To>
          </Text>
        )}
      </Box>
    ))}
  </Flex>
);
