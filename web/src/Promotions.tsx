// The promotion ledger: which version served when, who decided so, and on which figures.
import { Box, Table, Text } from "@chakra-ui/react";

import { type Addresses, type Card, type ModelLineage, type Promotion, useAnswer } from "./api";
import { Out, Problem, Reasons, To, Wide } from "./parts";
import { measure, moment, number, plain, runOf } from "./words";

type Verdict = {
  metric?: string;
  challenger?: number | null;
  champion?: number | null;
  dummy?: number | null;
  linear?: number | null;
  rows?: number;
  holdout_partition?: string;
};

const verdictOf = (promotion: Promotion): Verdict => JSON.parse(promotion.evidence) as Verdict;

const HEADINGS = ["Version", "Since", "Why", "Judged on", "Model", "Before it", "Linear", "Dummy", "Decided by"];

export const Promotions = ({ card }: { card: Card }) => {
  const addresses = useAnswer<Addresses>("addresses");
  if (card.promotions.length === 0) return <Text>No model has been promoted yet.</Text>;
  return (
    <Wide label="Promotions">
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
          {card.promotions.toReversed().map((one) => {
            const verdict = verdictOf(one);
            const run = runOf(one.run_id);
            return (
              <Table.Row key={one.number}>
                <Table.Cell>
                  {addresses.answer === null ? (
                    one.version
                  ) : (
                    <Out href={`${addresses.answer.mlflow}/#/models/${card.use_case}/versions/${one.version}`}>
                      {one.version}
                    </Out>
                  )}
                </Table.Cell>
                <Table.Cell>{moment(one.promoted_at)}</Table.Cell>
                <Table.Cell minW="30em" whiteSpace="normal">
                  <Reasons of={one.why} />
                </Table.Cell>
                <Table.Cell>
                  {verdict.holdout_partition ?? "–"}
                  {verdict.rows !== undefined && `, ${number(verdict.rows)} rows`}
                </Table.Cell>
                <Table.Cell>{measure(verdict.challenger ?? null)}</Table.Cell>
                <Table.Cell>{measure(verdict.champion ?? null)}</Table.Cell>
                <Table.Cell>{measure(verdict.linear ?? null)}</Table.Cell>
                <Table.Cell>{measure(verdict.dummy ?? null)}</Table.Cell>
                <Table.Cell>{run === null ? one.who : <To to={run}>{one.who}</To>}</Table.Cell>
              </Table.Row>
            );
          })}
        </Table.Body>
      </Table.Root>
    </Wide>
  );
};

/** From the version that serves back to the files that landed. */
export const Lineage = ({ useCase, version }: { useCase: string; version: string }) => {
  const { answer, failed } = useAnswer<ModelLineage>(`use-cases/${useCase}/models/${version}/lineage`);
  if (failed !== null) return <Problem>{failed.message}</Problem>;
  if (answer === null) return <Text color="fg.muted">Looking it up …</Text>;
  return (
    <Box fontSize="sm">
      <Text>
        Version {answer.version}, registered {moment(answer.registered_at)}. It learned from:
      </Text>
      <Box as="ul" listStyleType="disc" ms={5}>
        {answer.sources.map((step) => {
          const run = runOf(step.run_id);
          return (
            <li key={`${step.table}/${step.partition}`}>
              {plain(step.table.split(".").at(-1) ?? step.table)} {step.partition}: {number(step.rows)} rows
              {run !== null && (
                <>
                  , <To to={run}>made by this task</To>
                </>
              )}
              {step.files.length > 0 && `, from ${step.files.map((one) => one.path).join(", ")}`}
            </li>
          );
        })}
        {answer.gaps.map((gap) => (
          <li key={gap.table}>
            {gap.table}: {gap.because}
          </li>
        ))}
      </Box>
    </Box>
  );
};
