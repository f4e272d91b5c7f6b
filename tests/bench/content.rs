//! Content between 354 and its end: how fast it is found clean and passed on.

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group};
use rcptgate::smtp::data::{DataDecoder, Progress};

criterion_group!(benches, transfer);

/// What one read of the proxy brings.
const PIECE: usize = 32 * 1024;
const MESSAGE: usize = 1 << 20;

fn transfer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("content");
    group.throughput(Throughput::Bytes(MESSAGE as u64));
    for (name, line) in [("lines_of_76", 76), ("lines_of_998", 998)] {
        let content = message(line);
        group.bench_function(name, |bencher| {
            let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
            bencher.iter(|| pass(&content, &mut input, &mut output));
        });
    }
    group.finish();
}

fn message(line: usize) -> Vec<u8> {
    let line = [vec![b'x'; line], b"\r\n".to_vec()].concat();
    let mut content: Vec<u8> = line.iter().copied().cycle().take(MESSAGE).collect();
    content.extend_from_slice(b"\r\n.\r\n");
    content
}

fn pass(content: &[u8], input: &mut BytesMut, output: &mut BytesMut) {
    let mut decoder = DataDecoder::new(64 * 1024);
    let mut last = Progress::More;
    for piece in content.chunks(PIECE) {
        input.extend_from_slice(piece);
        last = decoder.transfer(input, output).expect("clean content");
        output.clear();
    }
    assert_eq!(last, Progress::End);
}
