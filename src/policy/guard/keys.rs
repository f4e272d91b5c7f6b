//! The windows of all keys, bounded in number: those not seen for longest go.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::window::Window;

/// Most keys watched at once. Half of them are those seen last; the other half, seen before those, goes when they are full.
pub(super) const KEYS_MAX: usize = 16_384;

/// Windows by the hash of their key.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    young: HashMap<u64, Window, RandomState>,
    old: HashMap<u64, Window, RandomState>,
}

impl Keys {
    /// The window of a key. One that is new begins empty, in the bucket `now`.
    pub(super) fn window(&mut self, key: u64, now: i32) -> &mut Window {
        if !self.young.contains_key(&key) {
            let mut window = self.old.remove(&key);
            if self.young.len() >= KEYS_MAX / 2 {
                std::mem::swap(&mut self.young, &mut self.old);
                self.young.clear();
            }
            let window = window.take().unwrap_or_else(|| {
                let mut window = Window::default();
                window.clear(now);
                window
            });
            self.young.insert(key, window);
        }
        self.young.entry(key).or_default()
    }

    /// All keys with their windows, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Window)> {
        self.young.iter().chain(&self.old).map(|(key, window)| (*key, window))
    }

    /// How many keys are watched.
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// The memory that windows take, in bytes: the tables, and what hangs from them.
    pub(super) fn bytes(&self) -> usize {
        let slots = self.young.capacity() + self.old.capacity();
        let tables = slots * (size_of::<(u64, Window)>() + 1);
        tables + self.iter().map(|(_, window)| window.heap_bytes()).sum::<usize>()
    }
}
