//! Going through the index: all records, one domain's, or the events of an address.

use super::{Store, StoreError, Stored, codec, contain};
use crate::event::order::Order;
use crate::journal::Position;
use crate::smtp::address::RecipientKey;

impl Store {
    /// The records, by domain and then by local part; of one domain (its key form, sub-domains not included) or of all. Streams: memory
    /// does not grow with their number. Holds the index open meanwhile.
    pub fn scan(
        &self,
        domain: Option<&str>,
    ) -> impl Iterator<Item = Result<(RecipientKey, Stored), StoreError>> + Send + use<> {
        entries(self.db.scan_prefix(codec::record_prefix(domain))).map(|entry| {
            let (key, value) = entry?;
            Ok((codec::recipient_of(&key)?, codec::decode_record(&key, &value)?))
        })
    }

    /// Where the events of an address stand, in order.
    ///
    /// # Errors
    /// When sled fails or an entry is malformed.
    pub fn history(&self, address: &RecipientKey) -> Result<Vec<(u64, Position)>, StoreError> {
        let prefix = codec::history_prefix(Some(address));
        let length = prefix.len() + 8;
        let mut found = Vec::new();
        for entry in entries(self.db.scan_prefix(&prefix)) {
            let (key, value) = entry?;
            // A local part with a zero byte would begin alike and be longer.
            if key.len() == length {
                let (_, seq) = codec::split_history_key(&key)?;
                found.push((seq, codec::decode_position(&key, &value)?));
            }
        }
        Ok(found)
    }

    /// Where those events of an address stand that are later than `seq`, in order.
    ///
    /// # Errors
    /// As [`Store::history`].
    pub fn history_behind(
        &self,
        address: &RecipientKey,
        seq: u64,
    ) -> Result<Vec<(u64, Position)>, StoreError> {
        let (from, to) = (codec::history_key(address, seq), codec::history_key(address, u64::MAX));
        let mut found = Vec::new();
        for entry in entries(self.db.range(from.as_slice()..=to.as_slice())) {
            let (key, value) = entry?;
            let (_, number) = codec::split_history_key(&key)?;
            if key.len() == from.len() && number > seq {
                found.push((number, codec::decode_position(&key, &value)?));
            }
        }
        Ok(found)
    }

    /// All orders, by sequence.
    ///
    /// # Errors
    /// When sled fails, or an entry does not match its checksum.
    pub fn orders(&self) -> Result<Vec<(u64, Order)>, StoreError> {
        let mut found = Vec::new();
        for entry in entries(self.db.scan_prefix(codec::order_prefix())) {
            let (key, value) = entry?;
            found.push(codec::decode_order(&key, &value)?);
        }
        Ok(found)
    }

    /// Where one event of an address stands.
    ///
    /// # Errors
    /// As [`Store::history`].
    pub fn position(
        &self,
        address: &RecipientKey,
        seq: u64,
    ) -> Result<Option<Position>, StoreError> {
        let key = codec::history_key(address, seq);
        let value = contain(|| Ok(self.db.get(&key)?))?;
        value.map(|value| codec::decode_position(&key, &value)).transpose()
    }

    /// All events of all addresses: address by address, in order within one. Streams.
    pub fn histories(
        &self,
    ) -> impl Iterator<Item = Result<(RecipientKey, u64, Position), StoreError>> + Send + use<>
    {
        entries(self.db.scan_prefix(codec::history_prefix(None))).map(|entry| {
            let (key, value) = entry?;
            let (record_key, seq) = codec::split_history_key(&key)?;
            Ok((codec::recipient_of(&record_key)?, seq, codec::decode_position(&key, &value)?))
        })
    }
}

type Pair = (sled::IVec, sled::IVec);

/// sled's iterator, contained: it ends after the first error.
fn entries(mut iter: sled::Iter) -> impl Iterator<Item = Result<Pair, StoreError>> + Send {
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let next = contain(|| Ok(iter.next().transpose()?)).transpose();
        over = !matches!(next, Some(Ok(_)));
        next
    })
}
