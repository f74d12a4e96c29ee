// One use case: the wheel, its quality, its partitions, its models.
import { Box, Button, Heading, Text } from "@chakra-ui/react";
import { useState } from "react";

import { Actions } from "./Actions";
import { type Partition, type Seen, ask } from "./api";
import { Models } from "./Models";
import { Part, Problem, Reasons, To } from "./parts";
import { Partitions } from "./Partitions";
import { Lineage, Promotions } from "./Promotions";
import { Quality } from "./Quality";
import { Wheel } from "./Wheel";
import { moment, plain } from "./words";

const PAGE = 24;

export const UseCase = ({ seen }: { seen: Seen }) => {
  const [older, setOlder] = useState<Partition[]>([]);
  const [all, setAll] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const card = seen.card;
  const partitions = [...older, ...(card?.partitions ?? [])];

  const showOlder = async () => {
    const until = encodeURIComponent(partitions[0]?.partition ?? "");
    try {
      const more = await ask<Partition[]>(`use-cases/${seen.use_case}/partitions?last=${PAGE}&until=${until}`);
      setOlder([...more, ...older]);
      setAll(more.length < PAGE);
      setProblem(null);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };

  return (
    <Box mt={4}>
      <To to="?">All use cases</To>
      <Heading as="h1" mt={2} size="lg">
        {plain(seen.use_case)}
      </Heading>
      {card === null ? (
        <Problem>{seen.problem}</Problem>
      ) : (
        <>
          <Text color="fg.muted">
            {card.description} Owner: {card.owner}.
          </Text>
          <Text mt={2}>
            {card.champion === null
              ? "No model serves yet."
              : `Version ${card.champion.version} serves since ${moment(card.champion.promoted_at)}, because:`}
          </Text>
          {card.champion !== null && <Reasons of={card.champion.why} />}
        </>
      )}
      <Part title="The wheel">
        <Wheel phases={seen.phases} />
      </Part>
      {card !== null && (
        <>
          <Part title={`Quality: ${card.metric} on outcomes`}>
            <Quality card={{ ...card, partitions }} height={260} />
          </Part>
          <Part title="Partitions">
            <Partitions card={card} partitions={partitions} />
            {!all && partitions.length >= PAGE && (
              <Button mt={2} onClick={showOlder} size="sm" variant="outline">
                Older partitions
              </Button>
            )}
            {problem !== null && <Problem>{problem}</Problem>}
          </Part>
          <Part title="Models">
            <Models promotions={card.promotions.length} useCase={card.use_case} />
          </Part>
          <Part title="Promotions">
            <Promotions card={card} />
          </Part>
          {card.champion !== null && (
            <Part title="Where the model that serves came from">
              <Lineage useCase={card.use_case} version={card.champion.version} />
            </Part>
          )}
          <Part title="Start a run">
            <Actions card={card} key={card.promotions.length} />
          </Part>
        </>
      )}
    </Box>
  );
};
