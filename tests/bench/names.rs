//! A name server by rule: `dN.test` has the mail host `mxK.test` with K = N modulo the number of hosts, which is 127.0.1.(K + 1).
//! Nothing else exists.

use std::net::{Ipv4Addr, SocketAddr};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, MX, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

/// Seconds that an answer holds.
const LIFETIME: u32 = 3600;

/// The address of the host of this number, of 250 at the most.
pub fn host(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, u8::try_from(number + 1).expect("few hosts"))
}

/// Where the server listens, until the runtime ends.
pub async fn server(hosts: usize) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let question = Message::from_vec(buffer.get(..length).unwrap_or_default());
            let Some(answer) = question.ok().and_then(|question| answer(&question, hosts)) else {
                continue;
            };
            let _ = socket.send_to(&answer, peer).await;
        }
    });
    address
}

fn answer(question: &Message, hosts: usize) -> Option<Vec<u8>> {
    let query = question.queries.first()?;
    let mut response = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    response.queries = question.queries.clone();
    response.metadata.recursion_desired = true;
    response.metadata.recursion_available = true;
    response.edns = question.edns.is_some().then(Edns::new);
    let name = query.name().to_ascii().to_ascii_lowercase();
    let number = |start: &str| name.strip_prefix(start)?.strip_suffix(".test.")?.parse().ok();
    let (domain, mail_host): (Option<usize>, Option<usize>) = (number("d"), number("mx"));
    let data = match (domain, mail_host, query.query_type()) {
        (Some(domain), _, RecordType::MX) => {
            let host = format!("mx{}.test.", domain % hosts);
            Some(RData::MX(MX::new(10, name_of(&host))))
        }
        (_, Some(number), RecordType::A) => Some(RData::A(A(host(number)))),
        _ => None,
    };
    match data {
        Some(data) => {
            let record = Record::from_rdata(query.name().clone(), LIFETIME, data);
            response.answers.push(record);
        }
        None => {
            if domain.or(mail_host).is_none() {
                response.metadata.response_code = ResponseCode::NXDomain;
            }
            let soa = SOA::new(name_of("ns.test."), name_of("root.test."), 1, 1, 1, 1, LIFETIME);
            let record = Record::from_rdata(name_of("test."), LIFETIME, RData::SOA(soa));
            response.authorities.push(record);
        }
    }
    response.to_vec().ok()
}

fn name_of(text: &str) -> Name {
    text.parse().expect("a name")
}
