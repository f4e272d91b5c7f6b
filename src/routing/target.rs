//! The addresses to which a stranger's domain may not send us. Whoever owns a domain chooses where its mail hosts point: at this
//! machine, at hosts that trust its address, at the metadata service of a cloud. The gate would speak to them in its own name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Networks that are not connected to for the sake of an MX record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    refused: Vec<IpNet>,
}

impl Targets {
    /// Refuses these networks, and no others.
    pub const fn new(refused: Vec<IpNet>) -> Self {
        Self { refused }
    }

    /// The first network on the list that the address is in; `None` if it may be connected to. An IPv6 address that leads to an
    /// IPv4 address is judged as either.
    pub fn refuses(&self, address: IpAddr) -> Option<&IpNet> {
        let listed = |address: IpAddr| self.refused.iter().find(|net| net.contains(&address));
        let inner = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => embedded(address),
        };
        listed(address).or_else(|| inner.and_then(|address| listed(address.into())))
    }

    /// The networks, in order.
    pub fn networks(&self) -> &[IpNet] {
        &self.refused
    }
}

/// All that is not of the public Internet (IANA's special-purpose registries, RFC 6890), by network.
impl Default for Targets {
    fn default() -> Self {
        let v4 = V4.iter().map(|([a, b, c, d], length)| {
            IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(*a, *b, *c, *d), *length))
        });
        let v6 = V6.iter().map(|(bits, length)| {
            IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(*bits), *length))
        });
        Self::new(v4.chain(v6).collect())
    }
}

const V4: &[([u8; 4], u8)] = &[
    ([0, 0, 0, 0], 8),       // this network; Linux takes 0.0.0.0 for itself
    ([10, 0, 0, 0], 8),      // private, RFC 1918
    ([100, 64, 0, 0], 10),   // shared by a carrier's customers, RFC 6598
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local; metadata services of clouds
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments, RFC 6890
    ([192, 0, 2, 0], 24),    // documentation, RFC 5737
    ([192, 88, 99, 0], 24),  // 6to4 relays, RFC 7526
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // benchmarks, RFC 2544
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved; broadcast
];

const V6: &[(u128, u8)] = &[
    (0, 128),                     // unspecified; Linux takes it for itself
    (1, 128),                     // loopback
    (0x0064_ff9b_0001 << 80, 48), // NAT64 of a network's own, RFC 8215
    (0x0100 << 112, 64),          // discard, RFC 6666
    (0x2001 << 112, 23),          // protocol assignments, RFC 2928; Teredo, ORCHID
    (0x2001_0db8 << 96, 32),      // documentation, RFC 3849
    (0x3fff << 112, 20),          // documentation, RFC 9637
    (0x5f00 << 112, 16),          // segment routing, RFC 9602
    (0xfc00 << 112, 7),           // unique local, RFC 4193
    (0xfe80 << 112, 10),          // link-local
    (0xfec0 << 112, 10),          // site-local, RFC 3879
    (0xff00 << 112, 8),           // multicast
];

/// The IPv4 address that packets for this one end up at, or would where such a translation is set up.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = |bits: u128| Ipv4Addr::from_bits((bits & 0xffff_ffff) as u32);
    let bits = address.to_bits();
    match address.segments() {
        // ::a.b.c.d, long deprecated (RFC 4291 §2.5.5.1); ::ffff:a.b.c.d, mapped; ::ffff:0:a.b.c.d, translated (RFC 2765).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Some(last(bits)),
        // NAT64 (RFC 6052 §2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(last(bits)),
        // 6to4 (RFC 3056 §2).
        [0x2002, ..] => Some(last(bits >> 80)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_public_internet_is_connected_to() {
        let targets = Targets::default();
        let check = |address: &str, network: Option<&str>| {
            let refused = targets.refuses(address.parse().expect("an address"));
            assert_eq!(refused.map(ToString::to_string).as_deref(), network, "{address}");
        };
        let cases = [
            ("0.0.0.0", "0.0.0.0/8"),
            ("0.255.255.255", "0.0.0.0/8"),
            ("10.1.2.3", "10.0.0.0/8"),
            ("100.64.0.1", "100.64.0.0/10"),
            ("100.127.255.255", "100.64.0.0/10"),
            ("127.0.0.1", "127.0.0.0/8"),
            ("127.255.255.255", "127.0.0.0/8"),
            ("169.254.169.254", "169.254.0.0/16"),
            ("172.16.0.1", "172.16.0.0/12"),
            ("172.31.255.255", "172.16.0.0/12"),
            ("192.0.0.1", "192.0.0.0/24"),
            ("192.0.2.1", "192.0.2.0/24"),
            ("192.88.99.1", "192.88.99.0/24"),
            ("192.168.1.1", "192.168.0.0/16"),
            ("198.19.0.1", "198.18.0.0/15"),
            ("198.51.100.1", "198.51.100.0/24"),
            ("203.0.113.1", "203.0.113.0/24"),
            ("224.0.0.1", "224.0.0.0/4"),
            ("255.255.255.255", "240.0.0.0/4"),
            ("::", "::/128"),
            ("::1", "::1/128"),
            ("64:ff9b:1::1", "64:ff9b:1::/48"),
            ("100::1", "100::/64"),
            ("2001::1", "2001::/23"),
            ("2001:20::1", "2001::/23"),
            ("2001:db8::1", "2001:db8::/32"),
            ("3fff:fff::1", "3fff::/20"),
            ("5f00::1", "5f00::/16"),
            ("fd00::1", "fc00::/7"),
            ("fe80::1", "fe80::/10"),
            ("fec0::1", "fec0::/10"),
            ("ff02::1", "ff00::/8"),
            ("::127.0.0.1", "127.0.0.0/8"),
            ("::ffff:127.0.0.1", "127.0.0.0/8"),
            ("::ffff:169.254.169.254", "169.254.0.0/16"),
            ("::ffff:0:10.0.0.1", "10.0.0.0/8"),
            ("64:ff9b::192.168.1.1", "192.168.0.0/16"),
            ("2002:7f00:1::", "127.0.0.0/8"),
            ("2002:a9fe:a9fe::1", "169.254.0.0/16"),
        ];
        for (address, network) in cases {
            check(address, Some(network));
        }
        let public = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.169.0.0",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860::1",
            "2600::1",
            "2a00::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ];
        for address in public {
            check(address, None);
        }
    }

    #[test]
    fn the_list_can_be_replaced() {
        let targets = Targets::new(vec!["1.1.1.0/24".parse().expect("a network")]);
        let refuses =
            |address: &str| targets.refuses(address.parse().expect("an address")).is_some();
        assert!(refuses("1.1.1.1") && refuses("::ffff:1.1.1.1"));
        assert!(!refuses("127.0.0.1") && !refuses("::1"));
        let none = Targets::new(Vec::new());
        assert_eq!(none.refuses(IpAddr::V4(Ipv4Addr::LOCALHOST)), None);
    }

    proptest! {
        /// No wrapping gets an address past the list, nor onto it.
        #[test]
        fn a_wrapped_address_is_judged_as_itself(bits in any::<u32>(), rest in any::<u64>()) {
            let targets = Targets::default();
            let inner = Ipv4Addr::from_bits(bits);
            let refused = targets.refuses(inner.into());
            let low = u128::from(bits);
            let wrapped = [
                (0xffff << 32) | low,
                (0xffff << 48) | low,
                (0x0064_ff9b << 96) | low,
                (0x2002 << 112) | (low << 80) | u128::from(rest),
            ];
            for bits in wrapped {
                prop_assert_eq!(targets.refuses(Ipv6Addr::from_bits(bits).into()), refused);
            }
        }
    }
}
