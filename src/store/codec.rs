//! Keys and values as bytes. Every value ends in a CRC-32 over its key and all before it, so that a value in the wrong place shows.

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::event::order::Order;
use crate::journal::Position;
use crate::policy::Record;
use crate::smtp::address::RecipientKey;

/// The format of records, orders and meta. Raise it whenever the shape of [`Record`] or [`Job`] changes: the index is then built anew from the journal.
pub(super) const FORMAT: u8 = 3;

pub(super) const META_KEY: &[u8] = b"m";
const RECORD: u8 = b'r';
const HISTORY: u8 = b'h';
const ORDER: u8 = b'o';
const CRC_BYTES: usize = 4;

/// What is stored of one address.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// What its events fold to.
    pub record: Record,
    /// The last event folded into it.
    pub seq: u64,
}

/// The last event that the index knows, with enough to tell whether the journal at hand is the one it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its sequence.
    pub seq: u64,
    /// Where its line begins.
    pub position: Position,
    /// Its id.
    pub id: String,
}

/// What an order has yet to do: fold again the addresses that have an event which it moved. The walk goes through the journal in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The sequence of the order: the walk ends there.
    pub order: u64,
    /// Where the walk goes on.
    pub next: Position,
    /// What it did so far.
    pub tally: Tally,
}

/// What an order did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Events that it moved into the fold or out of it.
    pub events: u64,
    /// Addresses that have such events.
    pub addresses: u64,
    /// Addresses whose record is another one by it.
    pub changed: u64,
}

/// What must hold of all entries together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) applied: Option<Applied>,
    /// The number of records.
    pub(super) count: u64,
    /// The number of orders.
    pub(super) orders: u64,
    /// The sum of the checksums of records and orders, which shows one that went back to an older state.
    pub(super) sum: u64,
    /// What orders have yet to do, the first one first.
    pub(super) jobs: Vec<Job>,
}

impl Meta {
    pub(super) fn add(&mut self, value: &[u8]) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(crc_of(value));
    }

    pub(super) fn remove(&mut self, value: &[u8]) {
        self.count = self.count.saturating_sub(1);
        self.sum = self.sum.wrapping_sub(crc_of(value));
    }

    pub(super) fn add_order(&mut self, value: &[u8]) {
        self.orders += 1;
        self.sum = self.sum.wrapping_add(crc_of(value));
    }
}

/// `r`, domain, 0x00, local part: one domain's addresses lie together. No domain has a zero byte in it.
pub(super) fn record_key(key: &RecipientKey) -> Vec<u8> {
    address_key(RECORD, key)
}

/// What all record keys begin with, or those of one domain.
pub(super) fn record_prefix(domain: Option<&str>) -> Vec<u8> {
    let mut prefix = vec![RECORD];
    if let Some(domain) = domain {
        prefix.extend_from_slice(domain.as_bytes());
        prefix.push(0);
    }
    prefix
}

/// `h`, domain, 0x00, local part, 0x00, sequence with its highest byte first: one address's events lie together and in order.
pub(super) fn history_key(key: &RecipientKey, seq: u64) -> Vec<u8> {
    let mut raw = history_prefix(Some(key));
    raw.extend_from_slice(&seq.to_be_bytes());
    raw
}

/// What all history keys begin with, or those of one address.
pub(super) fn history_prefix(key: Option<&RecipientKey>) -> Vec<u8> {
    let Some(key) = key else { return vec![HISTORY] };
    let mut prefix = address_key(HISTORY, key);
    prefix.push(0);
    prefix
}

/// `o`, sequence with its highest byte first.
pub(super) fn order_key(seq: u64) -> Vec<u8> {
    let mut raw = order_prefix();
    raw.extend_from_slice(&seq.to_be_bytes());
    raw
}

/// What all keys of orders begin with.
pub(super) fn order_prefix() -> Vec<u8> {
    vec![ORDER]
}

/// Domain, 0x00, local part.
pub(super) fn order_of(key: &RecipientKey, raw: &mut Vec<u8>) {
    raw.extend_from_slice(key.domain().as_bytes());
    raw.push(0);
    raw.extend_from_slice(key.local().as_bytes());
}

fn address_key(kind: u8, key: &RecipientKey) -> Vec<u8> {
    let mut raw = Vec::with_capacity(key.as_str().len() + 10);
    raw.push(kind);
    order_of(key, &mut raw);
    raw
}

/// Writes `local@domain` of a record key into `text`.
pub(super) fn address_of(raw_key: &[u8], text: &mut String) -> Result<(), StoreError> {
    let address = raw_key.get(1..).and_then(|raw| std::str::from_utf8(raw).ok());
    let (domain, local) =
        address.and_then(|raw| raw.split_once('\0')).ok_or_else(|| damaged("a key", raw_key))?;
    text.clear();
    text.push_str(local);
    text.push('@');
    text.push_str(domain);
    Ok(())
}

/// The address of a record key.
pub(super) fn recipient_of(raw_key: &[u8]) -> Result<RecipientKey, StoreError> {
    use serde::de::IntoDeserializer;
    let mut text = String::new();
    address_of(raw_key, &mut text)?;
    let reader: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        text.as_str().into_deserializer();
    RecipientKey::deserialize(reader).map_err(|_| damaged("a key", raw_key))
}

/// Splits a history key into the record key of its address and the sequence.
pub(super) fn split_history_key(raw_key: &[u8]) -> Result<(Vec<u8>, u64), StoreError> {
    let (address, seq) =
        raw_key.split_last_chunk::<8>().ok_or_else(|| damaged("a key", raw_key))?;
    let (terminator, address) = address.split_last().ok_or_else(|| damaged("a key", raw_key))?;
    if *terminator != 0 {
        return Err(damaged("a key", raw_key));
    }
    let mut record_key = address.to_vec();
    if let Some(kind) = record_key.first_mut() {
        *kind = RECORD;
    }
    Ok((record_key, u64::from_be_bytes(*seq)))
}

pub(super) fn encode_record(raw_key: &[u8], stored: &Stored) -> Result<Vec<u8>, StoreError> {
    let mut value = vec![FORMAT];
    value.extend_from_slice(&stored.seq.to_le_bytes());
    let value = postcard::to_extend(&stored.record, value).map_err(unencodable)?;
    Ok(sealed(raw_key, value))
}

pub(super) fn decode_record(raw_key: &[u8], value: &[u8]) -> Result<Stored, StoreError> {
    let body = unsealed(raw_key, value)?;
    let (seq, record) =
        body.split_first_chunk::<8>().ok_or_else(|| damaged("the value of", raw_key))?;
    let record: Record =
        postcard::from_bytes(record).map_err(|_| damaged("the value of", raw_key))?;
    Ok(Stored { record, seq: u64::from_le_bytes(*seq) })
}

/// As the journal has it: an order is told by names, so that a new kind of them changes no format.
pub(super) fn encode_order(raw_key: &[u8], order: &Order) -> Result<Vec<u8>, StoreError> {
    let mut value = vec![FORMAT];
    serde_json::to_writer(&mut value, order).map_err(|fault| StoreError::Damaged {
        why: format!("an order cannot be encoded: {fault}"),
    })?;
    Ok(sealed(raw_key, value))
}

pub(super) fn decode_order(raw_key: &[u8], value: &[u8]) -> Result<(u64, Order), StoreError> {
    let seq = raw_key.get(1..).and_then(|raw| raw.try_into().ok()).map(u64::from_be_bytes);
    let seq = seq.ok_or_else(|| damaged("a key", raw_key))?;
    let order = serde_json::from_slice(unsealed(raw_key, value)?);
    Ok((seq, order.map_err(|_| damaged("the value of", raw_key))?))
}

pub(super) fn encode_meta(meta: &Meta) -> Result<Vec<u8>, StoreError> {
    let value = postcard::to_extend(meta, vec![FORMAT]).map_err(unencodable)?;
    Ok(sealed(META_KEY, value))
}

pub(super) fn decode_meta(value: &[u8]) -> Result<Meta, StoreError> {
    postcard::from_bytes(unsealed(META_KEY, value)?).map_err(|_| damaged("the value of", META_KEY))
}

/// Twelve bytes without checksum: what they point to says whose it is.
pub(super) fn encode_position(position: Position) -> [u8; 12] {
    let mut value = [0; 12];
    let (segment, offset) = value.split_at_mut(4);
    segment.copy_from_slice(&position.segment.to_be_bytes());
    offset.copy_from_slice(&position.offset.to_be_bytes());
    value
}

pub(super) fn decode_position(raw_key: &[u8], value: &[u8]) -> Result<Position, StoreError> {
    let wrong = || damaged("the value of", raw_key);
    let (segment, offset) = value.split_first_chunk::<4>().ok_or_else(wrong)?;
    let offset: [u8; 8] = offset.try_into().map_err(|_| wrong())?;
    Ok(Position { segment: u32::from_be_bytes(*segment), offset: u64::from_be_bytes(offset) })
}

fn sealed(raw_key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    let crc = checksum(raw_key, &value);
    value.extend_from_slice(&crc.to_le_bytes());
    value
}

/// Checks checksum and format; returns what is between.
fn unsealed<'a>(raw_key: &[u8], value: &'a [u8]) -> Result<&'a [u8], StoreError> {
    let (sealed, crc) = value
        .split_last_chunk::<CRC_BYTES>()
        .filter(|(sealed, crc)| u32::from_le_bytes(**crc) == checksum(raw_key, sealed))
        .ok_or_else(|| damaged("the checksum of", raw_key))?;
    let _ = crc;
    match sealed.split_first() {
        Some((&FORMAT, body)) => Ok(body),
        Some((&found, _)) => Err(StoreError::Format { found, expected: FORMAT }),
        None => Err(damaged("the value of", raw_key)),
    }
}

fn checksum(raw_key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(raw_key);
    hasher.update(value);
    hasher.finalize()
}

fn crc_of(value: &[u8]) -> u64 {
    value.last_chunk::<CRC_BYTES>().map_or(0, |crc| u64::from(u32::from_le_bytes(*crc)))
}

fn unencodable(fault: postcard::Error) -> StoreError {
    StoreError::Damaged { why: format!("a record cannot be encoded: {fault}") }
}

fn damaged(what: &str, raw_key: &[u8]) -> StoreError {
    StoreError::Damaged { why: format!("{what} {:?} is wrong", String::from_utf8_lossy(raw_key)) }
}
