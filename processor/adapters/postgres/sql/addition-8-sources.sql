-- With spec.watermark.sources: the event time that enough sources have reached, and the state from which a worker continues.
-- Null without this setting.
ALTER TABLE progress ADD COLUMN agreed_time bigint, ADD COLUMN sources text;
