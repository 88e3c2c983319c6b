/** Simulated sales, one format per profile. Pure: the same seed, start and index give the same bytes. */
import { createHash } from 'node:crypto'
import type { Load } from '#pipeline/schema.ts'
import type { Dice } from './random.ts'

export type Sale = { id: string; json: string }

export type Profile = {
  /** Names of fields that every sale of this profile has. Malformations change these. */
  fields: { id: string; time: string; amount: string; text: string }
  /** `time`: ms since the epoch. `key`: rank of the store, product or customer. */
  write(dice: Dice, id: string, time: number, key: number): string
}

/** Returns UUIDs (version 8, a custom format): the last digits are the index, the others a hash of seed and start. */
export function saleIds(seed: number, start: number): (index: number) => string {
  const h = createHash('sha256').update(`${seed}:${start}`).digest('hex')
  const prefix = `${h.slice(0, 8)}-${h.slice(8, 12)}-8${h.slice(12, 15)}-8${h.slice(15, 18)}-`
  return index => prefix + index.toString(16).padStart(12, '0')
}

/** 1290 → "12.90" */
export function decimalText(cents: number): string {
  const rest = cents % 100
  return `${(cents - rest) / 100}.${rest < 10 ? '0' : ''}${rest}`
}

const CATEGORIES = ['electronics', 'books', 'home', 'fashion', 'sports', 'toys', 'beauty', 'groceries']
const PAYMENT_METHODS = ['credit_card', 'debit_card', 'paypal', 'bank_transfer', 'gift_card']

const ecommerce: Profile = {
  fields: { id: 'transaction_id', time: 'timestamp', amount: 'amount', text: 'category' },
  write: (dice, id, time, key) =>
    `{"transaction_id":"${id}","timestamp":"${timeText(time)}","category":"${dice.pick(CATEGORIES)}",` +
    `"payment_method":"${dice.pick(PAYMENT_METHODS)}","store_id":"store-${key}",` +
    `"customer_id":"customer-${dice.int(0, 99_999)}","quantity":${dice.int(1, 5)},` +
    `"amount":${decimalText(dice.int(199, 49_999))},"currency":"USD"}`,
}

/** One sale in this many is an outlier that a detector should find. */
const OUTLIER_EVERY = 500
const OUTLIER_FACTOR = 30

const anomalies: Profile = {
  fields: { id: 'id_venda', time: 'timestamp', amount: 'valor', text: 'categoria' },
  write(dice, id, time, key) {
    const factor = dice.int(1, OUTLIER_EVERY) === 1 ? OUTLIER_FACTOR : 1
    return (
      `{"id_venda":"${id}","timestamp":"${timeText(time)}",` +
      `"categoria":"${dice.pick(['Eletrônicos', 'Roupas', 'Alimentos', 'Livros', 'Móveis'])}",` +
      `"produto":"produto-${key}","quantidade":${dice.int(1, 10)},"valor":${decimalText(dice.int(500, 20_000) * factor)}}`
    )
  },
}

const blackFriday: Profile = {
  fields: { id: 'id_pedido', time: 'timestamp', amount: 'valor', text: 'categoria' },
  write: (dice, id, time) =>
    `{"id_pedido":"${id}","categoria":"${dice.pick(['Eletronicos', 'Livros', 'Casa', 'Gamer'])}",` +
    `"valor":${decimalText(dice.int(1_000, 500_000))},"timestamp":"${timeText(time)}"}`,
}

const CITIES = [
  { location: 'São Paulo', latitude: '-23.550520', longitude: '-46.633308' },
  { location: 'Rio de Janeiro', latitude: '-22.906847', longitude: '-43.172896' },
  { location: 'Brasília', latitude: '-15.793889', longitude: '-47.882778' },
  { location: 'Salvador', latitude: '-12.977749', longitude: '-38.501630' },
  { location: 'Fortaleza', latitude: '-3.731862', longitude: '-38.526669' },
  { location: 'Manaus', latitude: '-3.119028', longitude: '-60.021731' },
  { location: 'Porto Alegre', latitude: '-30.034647', longitude: '-51.217658' },
]

const salesMap: Profile = {
  fields: { id: 'id', time: 'date', amount: 'value', text: 'product' },
  write(dice, id, time, key) {
    const { location, latitude, longitude } = dice.pick(CITIES)
    return (
      `{"id":"${id}","product":"product-${key}","value":${decimalText(dice.int(500, 90_000))},` +
      `"location":"${location}","latitude":${latitude},"longitude":${longitude},"date":"${timeText(time)}"}`
    )
  },
}

const productSales: Profile = {
  fields: { id: 'order_id', time: 'sale_datetime', amount: 'price', text: 'product_name' },
  write(dice, id, time, key) {
    const products: string[] = []
    let total = 0
    for (let left = dice.int(1, 4); left > 0; left--) {
      const [quantity, price] = [dice.int(1, 6), dice.int(99, 30_000)]
      const name = `product-${key + products.length}`
      products.push(`{"product_name":"${name}","quantity":${quantity},"price":${decimalText(price)}}`)
      total += quantity * price
    }
    // The times have no zone; the pipeline's spec declares it.
    return (
      `{"order_id":"${id}","client_document":"${String(dice.int(0, 999_999_999)).padStart(11, '0')}",` +
      `"products":[${products.join(',')}],"total_value":${decimalText(total)},` +
      `"sale_datetime":"${timeText(time).slice(0, -1)}"}`
    )
  },
}

export const PROFILES: Record<Load['profile'], Profile> = {
  ecommerce,
  anomalies,
  'black-friday': blackFriday,
  'sales-map': salesMap,
  'product-sales': productSales,
}

function timeText(time: number): string {
  return new Date(time).toISOString()
}
