// Flywheel's page in Airflow. Airflow's page loads the built file and renders the component.
import { Box, Heading, Text } from "@chakra-ui/react";
import { useSearchParams } from "react-router-dom";

import { type Seen, useAnswer } from "./api";
import { Overview } from "./Overview";
import { Problem } from "./parts";
import { UseCase } from "./UseCase";

const EVERY_MS = 10_000;

const Flywheel = () => {
  const [query] = useSearchParams();
  const { answer, failed, at } = useAnswer<Seen[]>("use-cases", EVERY_MS);
  const name = query.get("use_case");
  const one = answer?.find((seen) => seen.use_case === name);
  return (
    <Box as="main" data-flywheel="" maxW="90em" mx="auto" p={4}>
      {name === null && (
        <Heading as="h1" size="lg">
          Flywheel
        </Heading>
      )}
      {failed !== null && (
        <Problem>
          {failed.message}
          {at !== null && ` What you see is from ${at.toLocaleTimeString()}.`}
        </Problem>
      )}
      {answer === null && failed === null && <Text mt={4}>Looking at the lake …</Text>}
      {answer !== null && name === null && <Overview all={answer} />}
      {answer !== null && name !== null && one === undefined && (
        <Problem>There is no use case {name} whose Dags you may read.</Problem>
      )}
      {one !== undefined && <UseCase key={one.use_case} seen={one} />}
    </Box>
  );
};

// Airflow imports the file as a module and then looks for the component under the name of the page.
Reflect.set(globalThis, "Flywheel", Flywheel);
