import { expect, it } from 'vitest'
import { withoutAddresses } from '#common/addresses.ts'

it.each([
  ['connect ECONNREFUSED 10.0.0.7:5432', 'connect ECONNREFUSED [address]'],
  ['connect ECONNREFUSED ::1:5432', 'connect ECONNREFUSED [address]'],
  ['connect ECONNREFUSED fd00:10::7:5432', 'connect ECONNREFUSED [address]'],
  ['connect ECONNREFUSED [fd00::7]:5432 - local', 'connect ECONNREFUSED [address] - local'],
  ['getaddrinfo ENOTFOUND postgres', 'getaddrinfo ENOTFOUND [address]'],
  ['getaddrinfo EAI_AGAIN pg.shop.svc', 'getaddrinfo EAI_AGAIN [address]'],
  ['Connection to kafka-kafka-bootstrap:9092 failed', 'Connection to [address] failed'],
  ['no response from https://search.example.com:9200/_bulk', 'no response from https://[address]/_bulk'],
  ['no pg_hba.conf entry for host "10.1.2.3", user "x"', 'no pg_hba.conf entry for host "[address]", user "x"'],
  ['cannot reach main-rw.data.svc.cluster.local', 'cannot reach [address]'],
])('removes the address of a server from %j', (text, expected) => expect(withoutAddresses(text)).toBe(expected))

it.each([
  'No record from offset 120 on can be read since 2026-01-31T12:30:45.000Z or earlier',
  'partition 3: the clock is 00:05:10 ahead',
  'spec.sinks.postgres.readers: role grafana does not exist; CREATE ROLE grafana',
  'the topic has message.timestamp.type CreateTime and message.timestamp.after.max.ms 9223372036854775807',
  'kafka-transactions.sh --bootstrap-server SERVER abort --topic sales --partition 0 --start-offset 7',
  'release 0.3.0 stored the generation 12',
])('keeps %j', text => expect(withoutAddresses(text)).toBe(text))
