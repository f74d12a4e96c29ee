// What became of each partition; a row opens to show where it came from.
import { Box, Button, Table, Text } from "@chakra-ui/react";
import { Fragment, useState } from "react";

import { type Card, type Partition, type PartitionLineage, type Step, reportOf, useAnswer } from "./api";
import { Out, Problem, Reasons, State, To, Wide } from "./parts";
import { measure, moment, number, plain, runOf, share } from "./words";

const MadeBy = ({ step }: { step: Step }) => {
  const stage = step.table.split(".").at(-1) ?? step.table;
  const run = runOf(step.run_id);
  return (
    <li>
      {plain(stage)}: {number(step.rows)} rows, version {step.version}, {moment(step.at)}
      {run !== null && (
        <>
          , <To to={run}>the task that made it</To>
        </>
      )}
      {step.files.length > 0 && `, from ${step.files.map((one) => one.path).join(", ")}`}
    </li>
  );
};

const Evidence = ({ useCase, one }: { useCase: string; one: Partition }) => {
  const lineage = useAnswer<PartitionLineage>(`use-cases/${useCase}/partitions/${one.partition}/lineage`);
  if (lineage.failed !== null) return <Problem>{lineage.failed.message}</Problem>;
  if (lineage.answer === null) return <Text color="fg.muted">Looking it up …</Text>;
  const learned = lineage.answer.models.map((model) => `version ${model.version} (${model.part})`);
  return (
    <Box fontSize="sm" p={2}>
      {one.decision !== null && (
        <>
          Decision: <State of={one.decision} />, because:
          <Reasons of={one.reasons} />
        </>
      )}
      {one.drifted.length > 0 && <Text>Features that moved: {one.drifted.join(", ")}</Text>}
      {learned.length > 0 && <Text>Learned from, or judged on, by {learned.join(", ")}</Text>}
      <Box as="ul" listStyleType="disc" ms={5}>
        {lineage.answer.steps.map((step) => (
          <MadeBy key={step.table} step={step} />
        ))}
      </Box>
    </Box>
  );
};

const HEADINGS = ["Partition", "Rows", "Quarantined", "Labels", "Predictions", "Monitor", "Metric", "Model", "Decision"];

export const Partitions = ({ card, partitions }: { card: Card; partitions: Partition[] }) => {
  const [open, setOpen] = useState<string | null>(null);
  return (
    <Wide label="Partitions">
      <Table.Root size="sm">
        <Table.Header>
          <Table.Row>
            {HEADINGS.map((heading) => (
              <Table.ColumnHeader key={heading} scope="col">
                {heading === "Metric" ? card.metric : heading}
              </Table.ColumnHeader>
            ))}
          </Table.Row>
        </Table.Header>
        <Table.Body>
          {partitions.toReversed().map((one) => (
            <Fragment key={one.partition}>
              <Table.Row>
                <Table.ColumnHeader scope="row">
                  <Button
                    aria-expanded={open === one.partition}
                    onClick={() => setOpen(open === one.partition ? null : one.partition)}
                    size="xs"
                    variant="ghost"
                  >
                    {open === one.partition ? "▾" : "▸"} {one.partition}
                  </Button>
                </Table.ColumnHeader>
                <Table.Cell>{number(one.landed)}</Table.Cell>
                <Table.Cell>
                  <Out href={reportOf(card.use_case, one.partition, "validation")}>
                    {number(one.quarantined)} ({share(one.quarantined, one.landed)})
                  </Out>
                </Table.Cell>
                <Table.Cell>{number(one.labelled)}</Table.Cell>
                <Table.Cell>{number(one.predicted)}</Table.Cell>
                <Table.Cell>
                  {one.verdict === null ? (
                    <State of={null} />
                  ) : (
                    <Out href={reportOf(card.use_case, one.partition, "drift")}>
                      <State of={one.verdict} />
                    </Out>
                  )}
                </Table.Cell>
                <Table.Cell>{measure(one.performance)}</Table.Cell>
                <Table.Cell>{one.model_version ?? "–"}</Table.Cell>
                <Table.Cell>
                  <State of={one.decision} />
                </Table.Cell>
              </Table.Row>
              {open === one.partition && (
                <Table.Row>
                  <Table.Cell colSpan={HEADINGS.length}>
                    <Evidence one={one} useCase={card.use_case} />
                  </Table.Cell>
                </Table.Row>
              )}
            </Fragment>
          ))}
        </Table.Body>
      </Table.Root>
    </Wide>
  );
};
