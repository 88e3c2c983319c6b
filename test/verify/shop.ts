/**
 * A small shop whose log and tables are written by hand: no engine is involved, so that a fault of the verifier cannot
 * hide behind an equal fault of the engine. The expected rows below are calculated by hand.
 */
import type { ProducerRecord } from 'kafkajs'
import type { Client } from 'pg'
import { expect, vi } from 'vitest'
import { createTopic } from '#test/support/services.ts'
import { Kafka, logLevel } from '#verify/kafkajs.ts'
import { openTopic } from '#verify/log.ts'

export const SPEC = `
metadata: { name: corner-shop }
spec:
  source: { topic: TOPIC }
  event:
    id: id
    time: { path: at, format: epoch }
    fields:
      - { name: category }
      - { name: amount, type: decimal }
  window: { size: 60s }
  watermark: { outOfOrderness: 0s }
  deduplication: {}
  raw: { table: sales }
  aggregations:
    - name: summary
      groupBy: [category]
      measures:
        - { name: revenue, op: sum, of: amount }
        - { name: orders, op: count }
        - { name: mean, op: average, of: amount }
  sinks:
    postgres: {}
    elasticsearch:
      projections:
        - { aggregation: summary, index: TOPIC, fields: { window_start: "@timestamp" } }
`

const NOW = 1_000_000
export const KEY = Buffer.from('k')

export function sale(id: string, seconds: number, category: string, amount: string): Buffer {
  return Buffer.from(JSON.stringify({ id, at: seconds * 1000, category, amount }))
}

/** Partition 0, offsets 0 to 5. */
const PLAIN = [
  sale('a', 0, 'books', '10.00'),
  sale('b', 30, 'books', '5.50'),
  sale('a', 0, 'books', '10.00'), // duplicate
  sale('c', 130, 'toys', '1.00'),
  sale('d', 10, 'books', '99.00'), // late: the watermark is 130
  Buffer.from('no JSON'), // dead
]
const ABORTED = sale('x', 130, 'toys', '1000.00')
const COMMITTED = sale('e', 125, 'toys', '2.25')
const OTHER = sale('f', 5, 'books', '-3.00')

/** Every record of the log with its partition and offset. */
export const LOG: [partition: number, offset: number, value: Buffer][] = [
  ...PLAIN.map((value, offset): [number, number, Buffer] => [0, offset, value]),
  [0, 8, COMMITTED],
  [1, 0, OTHER],
]

/** Fills a new topic: plain records, then an aborted transaction in both partitions, then a committed one in the first. */
export async function fillTopic(bootstrap: string, topic: string): Promise<void> {
  const kafka = new Kafka({ brokers: bootstrap.split(','), logLevel: logLevel.NOTHING })
  const plain = kafka.producer({ idempotent: true })
  const transactional = kafka.producer({ transactionalId: topic, maxInFlightRequests: 1, idempotent: true })
  await createTopic(bootstrap, topic, 2)
  await Promise.all([plain.connect(), transactional.connect()])
  await plain.send(records(topic, 0, PLAIN))
  await plain.send(records(topic, 1, [OTHER]))
  const aborted = await transactional.transaction()
  await aborted.send(records(topic, 0, [ABORTED]))
  await aborted.send(records(topic, 1, [ABORTED]))
  await aborted.abort()
  const committed = await transactional.transaction()
  await committed.send(records(topic, 0, [COMMITTED]))
  await committed.commit()
  await Promise.all([plain.disconnect(), transactional.disconnect()])
  await settled(bootstrap, topic, [10, 3])
}

/** Waits until the log ends at `ends`: the broker confirms a transaction's end before its markers are in the log. */
export async function settled(bootstrap: string, topic: string, ends: number[]): Promise<void> {
  const endsNow = async () => (await openTopic(bootstrap, topic)).ranges.map(({ end }) => end)
  await vi.waitFor(async () => expect(await endsNow()).toEqual(ends), { timeout: 30_000, interval: 100 })
}

/** Appends records that are not in the tables. */
export async function append(bootstrap: string, topic: string, values: Buffer[]): Promise<void> {
  const producer = new Kafka({ brokers: bootstrap.split(','), logLevel: logLevel.NOTHING }).producer()
  await producer.connect()
  await producer.send(records(topic, 1, values))
  await producer.disconnect()
}

function records(topic: string, partition: number, values: Buffer[]): ProducerRecord {
  return { topic, messages: values.map(value => ({ partition, key: KEY, value, timestamp: String(NOW) })) }
}

/** Creates the schema of docs/tables.md, with the correct rows of a drained pipeline. */
export async function fillTables(client: Client, topic: string, spec: unknown): Promise<void> {
  await client.query(`
    drop schema if exists corner_shop cascade;
    create schema corner_shop;
    set search_path = corner_shop;
    create table summary (
      window_start timestamptz, window_end timestamptz, category text collate "C", revenue numeric, orders bigint,
      mean_sum numeric, mean_count bigint, mean numeric, version bigint, final boolean, reopened integer, partial boolean default false, primary key (window_start, category));
    create table sales (partition integer, record_offset bigint, line integer, event_time timestamptz, category text,
      amount numeric, primary key (partition, record_offset, line));
    create table late_events (partition integer, record_offset bigint, aggregation text, event_time timestamptz,
      missed timestamptz[], entirely boolean, payload bytea);
    create table dead_letters (topic_id text, partition integer, record_offset bigint, reason text, field text,
      record_key bytea, payload bytea, redriven_at timestamptz, counted_lines integer);
    create table pipeline (owner text, owner_id text, topic text, topic_id text, watermark bigint, generation integer);
    create table progress (partition integer, topic_id text, first_offset bigint, next_offset bigint,
      max_event_time bigint, agreed_time bigint, records bigint, skipped bigint, dead bigint, duplicate bigint, accepted bigint, counted_lines integer);
    create table progress_aggregations (partition integer, aggregation text, late bigint, on_time bigint,
      partly_late bigint, missed_windows bigint, added bigint, missed bigint);
    create table specs (generation integer, document jsonb, identity text);
    create table spec_history (partition integer, from_offset bigint, generation integer, recorded_generation integer);
    create table aggregations (name text, identity text, generation integer, inherited text);
    create table outbox (seq bigint);
    create table projection_errors (id text);

    insert into summary values
      (to_timestamp(0), to_timestamp(60), 'books', 12.50, 3, 12.50, 3, 4.17, 1001, true, 0),
      (to_timestamp(120), to_timestamp(180), 'toys', 3.25, 2, 3.25, 2, 1.62, 1002, false, 0);
    insert into sales values
      (0, 0, 0, to_timestamp(0), 'books', 10.00), (0, 1, 0, to_timestamp(30), 'books', 5.50),
      (0, 3, 0, to_timestamp(130), 'toys', 1.00), (0, 8, 0, to_timestamp(125), 'toys', 2.25),
      (1, 0, 0, to_timestamp(5), 'books', -3.00);
    insert into progress values (0, 'T', 0, 10, 130000, null, 7, 3, 1, 1, 5),
      (1, 'T', 0, 3, 5000, null, 1, 2, 0, 0, 1);
    insert into progress_aggregations values (0, 'summary', 1, 4, 0, 1, 4, 1), (1, 'summary', 0, 1, 0, 0, 1, 0);
    insert into spec_history values (0, 0, 1), (1, 0, 1);
    insert into aggregations values ('summary', 'i', 1, null);`)
  const insert = (text: string, values: unknown[]) => client.query(text, values)
  await insert(`insert into pipeline values ('default/corner-shop', '42', $1, 'T', 60000, 1)`, [topic])
  await insert('insert into specs values (1, $1, $2)', [JSON.stringify(spec), 'i'])
  await insert(`insert into late_events values (0, 4, 'summary', to_timestamp(10), array[to_timestamp(0)], true, $1)`, [
    PLAIN[4],
  ])
  await insert(`insert into dead_letters values ('T', 0, 5, 'not_json', null, $1, $2, null)`, [KEY, PLAIN[5]])
}
