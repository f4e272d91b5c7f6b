use std::future::pending;
use std::sync::atomic::AtomicUsize;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::advance;

use super::*;
use crate::routing::records::{Found, LookupFault};

const SPAN: Duration = Duration::from_secs(60);

fn found(text: &str) -> Outcome<String> {
    Ok(Found { records: vec![text.to_owned()], authentic: false, name: "a.test".into() })
}

fn counts(cache: &Cache<String>) -> (u64, u64) {
    (cache.hits(), cache.misses())
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_remembered_for_its_time() {
    let cache = Cache::new();
    for (round, outcome) in [found("a"), Err(LookupFault::NoSuchDomain)].into_iter().enumerate() {
        let name = format!("{round}.test");
        let asked = cache.get(&name, async { (outcome.clone(), SPAN) }).await;
        assert_eq!(asked, outcome);
        advance(SPAN - Duration::from_millis(1)).await;
        let again = cache.get(&name, async { unreachable!("it is remembered") }).await;
        assert_eq!(again, outcome);
        advance(Duration::from_millis(1)).await;
        let anew = cache.get(&name, async { (found("b"), SPAN) }).await;
        assert_eq!(anew, found("b"));
    }
    assert_eq!(counts(&cache), (2, 4));
}

#[tokio::test]
async fn all_who_ask_at_once_share_one_question() {
    let cache = Arc::new(Cache::new());
    let (asked, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (cache, asked, go) = (Arc::clone(&cache), Arc::clone(&asked), Arc::clone(&go));
            let ask = async move {
                asked.fetch_add(1, Relaxed);
                go.notified().await;
                (found("a"), SPAN)
            };
            tokio::spawn(async move { cache.get("d.test", ask).await })
        })
        .collect();
    while asked.load(Relaxed) == 0 {
        yield_now().await;
    }
    go.notify_waiters();
    go.notify_one();
    for task in tasks {
        assert_eq!(task.await.expect("an end"), found("a"));
    }
    assert_eq!(asked.load(Relaxed), 1);
    assert_eq!(counts(&cache), (49, 1));
}

#[tokio::test]
async fn one_who_asked_and_went_away_leaves_nobody_waiting() {
    let cache = Arc::new(Cache::new());
    let first = {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move { cache.get("d.test", pending()).await })
    };
    yield_now().await;
    let second = {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move { cache.get("d.test", async { (found("b"), SPAN) }).await })
    };
    yield_now().await;
    first.abort();
    assert_eq!(second.await.expect("an end"), found("b"));
    assert_eq!(counts(&cache), (0, 1));
}

#[tokio::test]
async fn memory_is_bounded() {
    let cache = Cache::of(100_000);
    for index in 0..200 {
        let text = "x".repeat(1000);
        cache.get(&format!("{index}.test"), async move { (found(&text), SPAN) }).await.expect("a");
    }
    cache.slots.run_pending_tasks();
    assert!(cache.slots.weighted_size() <= 100_000, "{}", cache.slots.weighted_size());
    // By what is in them: some 1300 octets each.
    assert!((50..100).contains(&cache.slots.entry_count()), "{}", cache.slots.entry_count());
}
