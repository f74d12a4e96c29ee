// Small parts that several views use.
import { Badge, Box, Heading, Link as ChakraLink, Text } from "@chakra-ui/react";
import type { ReactNode } from "react";
import { Link as RouterLink } from "react-router-dom";

import { plain } from "./words";

const COLOURS: Record<string, string> = {
  stable: "green",
  success: "green",
  retrain: "blue",
  running: "blue",
  queued: "gray",
  drift: "orange",
  decay: "red",
  failed: "red",
  promoted: "green",
  rejected: "orange",
};

/** A word in a colour; the word alone says all, for people who cannot tell colours apart. */
export const State = ({ of }: { of: string | null }) =>
  of === null ? (
    <Text as="span" color="fg.muted">
      –
    </Text>
  ) : (
    <Badge colorPalette={COLOURS[of] ?? "gray"} variant="subtle">
      {plain(of)}
    </Badge>
  );

/** A link within Airflow's pages. */
export const To = ({ to, children }: { to: string; children: ReactNode }) => (
  <ChakraLink asChild colorPalette="blue" textDecoration="underline">
    <RouterLink to={to}>{children}</RouterLink>
  </ChakraLink>
);

/** A link to another application, in a tab of its own. */
export const Out = ({ href, children }: { href: string; children: ReactNode }) => (
  <ChakraLink colorPalette="blue" href={href} rel="noreferrer" target="_blank" textDecoration="underline">
    {children}
  </ChakraLink>
);

export const Part = ({ title, children }: { title: string; children: ReactNode }) => (
  <Box as="section" mt={6}>
    <Heading as="h2" mb={2} size="md">
      {title}
    </Heading>
    {children}
  </Box>
);

export const Problem = ({ children }: { children: ReactNode }) => (
  <Box
    bg="bg.error"
    borderInlineStartColor="border.error"
    borderInlineStartWidth={4}
    borderRadius="md"
    color="fg"
    my={2}
    p={3}
    role="alert"
    whiteSpace="pre-wrap"
  >
    {children}
  </Box>
);

/** Reasons as the lake keeps them, joined by semicolons, one below the other. */
export const Reasons = ({ of }: { of: string }) => (
  <Box as="ul" fontSize="sm" listStyleType="disc" ms={5}>
    {of
      .split("; ")
      .filter((reason) => reason !== "")
      .map((reason, place) => (
        <li key={place}>{reason}</li>
      ))}
  </Box>
);

/** What may be wider than the screen: it scrolls alone, also by keyboard. */
export const Wide = ({ label, children }: { label: string; children: ReactNode }) => (
  <Box aria-label={label} overflowX="auto" role="region" tabIndex={0}>
    {children}
  </Box>
);
