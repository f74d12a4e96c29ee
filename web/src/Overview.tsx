// All use cases, a card each.
import { Box, Card as Frame, Flex, Heading, Input, SimpleGrid, Text } from "@chakra-ui/react";
import { useState } from "react";

import type { Card, Phase, Seen } from "./api";
import { Problem, Reasons, State, To } from "./parts";
import { Quality } from "./Quality";
import { inOrder } from "./Wheel";
import { ago, moment, number, plain, share } from "./words";

const Fact = ({ name, children }: { name: string; children: React.ReactNode }) => (
  <Flex gap={2}>
    <Text as="dt" color="fg.muted" flex="0 0 7.5em">
      {name}
    </Text>
    <Box as="dd" flex="1" minW={0}>
      {children}
    </Box>
  </Flex>
);

const Facts = ({ card }: { card: Card }) => {
  const newest = card.partitions.at(-1);
  const monitored = card.partitions.findLast((one) => one.verdict !== null);
  const decided = card.partitions.findLast((one) => one.decision !== null);
  return (
    <Box as="dl" fontSize="sm">
      <Fact name="Serves">
        {card.champion === null ? (
          "no model yet"
        ) : (
          <>
            version {card.champion.version}, since {moment(card.champion.promoted_at)}
          </>
        )}
      </Fact>
      <Fact name="Newest rows">
        {newest === undefined ? "none landed yet" : `${newest.partition}, landed ${ago(card.landed_at)}`}
      </Fact>
      {newest !== undefined && (
        <Fact name="Quarantined">
          {number(newest.quarantined)} of {number(newest.landed)} ({share(newest.quarantined, newest.landed)})
        </Fact>
      )}
      {monitored !== undefined && (
        <Fact name="Monitor">
          <State of={monitored.verdict} /> in {monitored.partition}
          {monitored.drifted.length > 0 && `; moved: ${monitored.drifted.join(", ")}`}
        </Fact>
      )}
      {decided !== undefined && (
        <Fact name="Last decision">
          <State of={decided.decision} /> after {decided.partition}
          <Reasons of={decided.reasons} />
        </Fact>
      )}
    </Box>
  );
};

const Attention = ({ phases }: { phases: Phase[] }) => {
  const noted = inOrder(phases).filter((one) => one.state === "failed" || one.active > 0 || one.questions > 0);
  return (
    <Flex gap={3} mt={2} wrap="wrap">
      {noted.map((one) => (
        <Box fontSize="sm" key={one.dag_id}>
          <To to={`/dags/${one.dag_id}`}>{plain(one.phase)}</To>{" "}
          {one.state === "failed" && <State of="failed" />}
          {one.active > 0 && <State of="running" />}
          {one.questions > 0 && ` ${one.questions} waiting for an answer`}
        </Box>
      ))}
      {noted.length === 0 && (
        <Text color="fg.muted" fontSize="sm">
          Nothing runs, nothing failed.
        </Text>
      )}
    </Flex>
  );
};

/** With more cards than these, which fill a screen, a filter helps. */
const MANY = 6;

const NONE = "There is no use case whose Dags you may read. `make new` makes one from a file of yours.";

export const Overview = ({ all }: { all: Seen[] }) => {
  const [wanted, setWanted] = useState("");
  if (all.length === 0) return <Text mt={4}>{NONE}</Text>;
  const shown = all.filter((seen) => plain(seen.use_case).includes(plain(wanted.trim().toLowerCase())));
  return (
    <>
      {all.length > MANY && (
        <Box as="label" display="block" maxW="20em" mt={3}>
          <Text as="span" fontSize="sm" fontWeight="medium">
            Find a use case
          </Text>
          <Input onChange={(event) => setWanted(event.currentTarget.value)} size="sm" type="search" value={wanted} />
          <Text aria-live="polite" as="span" color="fg.muted" fontSize="sm">
            {shown.length} of {all.length}
          </Text>
        </Box>
      )}
      <Cards shown={shown} />
    </>
  );
};

const Cards = ({ shown }: { shown: Seen[] }) => (
  <SimpleGrid gap={4} minChildWidth={{ base: "100%", md: "26em" }} mt={4}>
    {shown.map((seen) => (
      <Frame.Root as="article" key={seen.use_case} size="sm">
        <Frame.Body>
          <Heading as="h2" size="md">
            <To to={`?use_case=${seen.use_case}`}>{plain(seen.use_case)}</To>
          </Heading>
          {seen.card === null ? (
            <Problem>{seen.problem}</Problem>
          ) : (
            <>
              <Text color="fg.muted" fontSize="sm" mb={2}>
                {seen.card.description} {seen.card.task}, judged by {seen.card.metric}.
              </Text>
              <Quality card={seen.card} height={140} />
              <Facts card={seen.card} />
            </>
          )}
          <Attention phases={seen.phases} />
        </Frame.Body>
      </Frame.Root>
    ))}
  </SimpleGrid>
  );
