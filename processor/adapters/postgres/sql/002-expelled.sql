-- Members of the consumer group that were declared dead. A member that is still alive finds its id here and stops.
CREATE TABLE expelled (
  member text COLLATE "C" PRIMARY KEY,
  expelled_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
