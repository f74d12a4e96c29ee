// Every model that the gate judged, promoted or not, beside what it was compared with.
import { Box, Table, Text } from "@chakra-ui/react";

import { type Addresses, type Judged, useAnswer } from "./api";
import { Out, Problem, Reasons, State, To, Wide } from "./parts";
import { measure, moment, number, runOf } from "./words";

const HEADINGS = ["Version", "Verdict", "Algorithm", "Metric", "Better by", "Champion", "Linear", "Dummy", "Judged on", "Why"];

/** What it is better by, and the bound that holds at the gate's confidence. */
const gain = (one: Judged): string => {
  if (one.effect === null) return "–";
  const bound = one.effect_low === null ? "" : `, surely by ${measure(one.effect_low)}`;
  const sure = one.effect_low === null || one.confidence === null ? "" : ` (${measure(100 * one.confidence)} %)`;
  return `${measure(one.effect)}${bound}${sure}`;
};

export const Models = ({ useCase, promotions }: { useCase: string; promotions: number }) => {
  // Asked again when a promotion has been added.
  const { answer, failed } = useAnswer<Judged[]>(`use-cases/${useCase}/verdicts?after=${promotions}`);
  const addresses = useAnswer<Addresses>("addresses");
  if (failed !== null) return <Problem>{failed.message}</Problem>;
  if (answer === null) return <Text color="fg.muted">Looking them up …</Text>;
  if (answer.length === 0) return <Text>No verdict on a model is recorded yet.</Text>;
  return (
    <Wide label="Models that were judged">
      <Table.Root size="sm">
        <Table.Header>
          <Table.Row>
            {HEADINGS.map((heading) => (
              <Table.ColumnHeader key={heading} scope="col">
                {heading}
              </Table.ColumnHeader>
            ))}
          </Table.Row>
        </Table.Header>
        <Table.Body>
          {answer.map((one) => {
            const run = runOf(one.run_id);
            return (
              <Table.Row key={`${one.run_id}/${one.version}`}>
                <Table.ColumnHeader scope="row">
                  {addresses.answer === null || one.mlflow_run === null ? (
                    one.version
                  ) : (
                    <Out href={`${addresses.answer.mlflow}/#/runs/${one.mlflow_run}`}>{one.version}</Out>
                  )}
                </Table.ColumnHeader>
                <Table.Cell>
                  <State of={one.promoted ? "promoted" : "rejected"} />
                  <Box fontSize="xs">
                    {run === null ? moment(one.decided_at) : <To to={run}>{moment(one.decided_at)}</To>}
                  </Box>
                </Table.Cell>
                <Table.Cell>{one.algorithm ?? "–"}</Table.Cell>
                <Table.Cell>{measure(one.value)}</Table.Cell>
                <Table.Cell>{gain(one)}</Table.Cell>
                <Table.Cell>{measure(one.champion)}</Table.Cell>
                <Table.Cell>{measure(one.linear)}</Table.Cell>
                <Table.Cell>{measure(one.dummy)}</Table.Cell>
                <Table.Cell>
                  {one.holdout_partition ?? "–"}
                  {one.rows !== null && `, ${number(one.rows)} rows`}
                </Table.Cell>
                <Table.Cell minW="24em" whiteSpace="normal">
                  <Reasons of={one.reasons} />
                </Table.Cell>
              </Table.Row>
            );
          })}
        </Table.Body>
      </Table.Root>
    </Wide>
  );
};
