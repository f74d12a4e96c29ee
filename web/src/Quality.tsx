// The metric on outcomes, partition by partition, and where another model began to serve.
import { Box, Text } from "@chakra-ui/react";
import {
  CartesianGrid,
  Line,
  LineChart,
  ReferenceLine,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from "recharts";

import type { Card } from "./api";
import { measure } from "./words";

const LINE = "var(--chakra-colors-blue-500)";
const WORST = "var(--chakra-colors-red-500)";
const MUTED = "var(--chakra-colors-fg-muted)";

export const Quality = ({ card, height }: { card: Card; height: number }) => {
  const measured = card.partitions.filter((one) => one.performance !== null);
  if (measured.length === 0)
    return (
      <Text color="fg.muted" fontSize="sm">
        No outcomes have been compared with predictions yet.
      </Text>
    );
  const told = measured
    .map((one) => `${one.partition}: ${measure(one.performance)}`)
    .join("; ");
  const changes = measured.filter(
    (one, place) => place > 0 && one.model_version !== measured[place - 1]?.model_version,
  );
  return (
    <Box aria-label={`${card.metric} by partition. ${told}`} h={`${height}px`} role="img">
      <ResponsiveContainer height="100%" width="100%">
        <LineChart data={measured} margin={{ bottom: 0, left: 0, right: 12, top: 12 }}>
          <CartesianGrid stroke={MUTED} strokeOpacity={0.2} vertical={false} />
          <XAxis dataKey="partition" fontSize={11} minTickGap={24} stroke={MUTED} />
          <YAxis
            domain={["auto", "auto"]}
            fontSize={11}
            stroke={MUTED}
            tickFormatter={measure}
            width={56}
          />
          <Tooltip
            contentStyle={{ background: "var(--chakra-colors-bg)", color: "var(--chakra-colors-fg)" }}
            formatter={(value) => measure(Number(value))}
          />
          {changes.map((one) => (
            <ReferenceLine
              key={one.partition}
              label={{ fill: MUTED, fontSize: 11, position: "insideTopLeft", value: `v${one.model_version}` }}
              stroke={MUTED}
              strokeDasharray="3 3"
              x={one.partition}
            />
          ))}
          <Line
            dataKey="worst_allowed"
            dot={measured.length === 1}
            isAnimationActive={false}
            name="worst allowed"
            stroke={WORST}
            strokeDasharray="4 4"
          />
          <Line
            dataKey="performance"
            dot={{ r: 2 }}
            isAnimationActive={false}
            name={card.metric}
            stroke={LINE}
            strokeWidth={2}
          />
        </LineChart>
      </ResponsiveContainer>
    </Box>
  );
};
