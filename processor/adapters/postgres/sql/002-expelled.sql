-- Members of the consumer group that were declared dead. One that lives after all learns here why it was removed.
CREATE TABLE expelled (
  member text COLLATE "C" PRIMARY KEY,
  expelled_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
