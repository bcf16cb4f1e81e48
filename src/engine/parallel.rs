//! Pure work on many values at once, on the cores that there are. Nothing here waits for anything but the work.

use std::sync::OnceLock;
use std::thread;

/// Fewer values than this are not worth a thread.
const SHARE: usize = 64;

/// What `work` makes of each of `items`, in their order. Each is freed as soon as it is done, so that of many values only
/// one form is held at a time.
pub fn in_parallel<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = cores().min(items.len() / SHARE);
    if threads < 2 {
        return items.into_iter().map(work).collect();
    }
    let share = items.len().div_ceil(threads);
    let mut results = Vec::with_capacity(items.len());
    let mut rest = items.into_iter();
    let work = &work;
    thread::scope(|scope| {
        let begin = |part: Vec<T>| scope.spawn(move || part.into_iter().map(work).collect::<Vec<R>>());
        let begun: Vec<_> = (0..threads).map(|_| begin(rest.by_ref().take(share).collect())).collect();
        for part in begun {
            results.extend(part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    results
}

/// Both results, worked out beside each other.
pub fn both<A, B: Send>(one: impl FnOnce() -> A, other: impl FnOnce() -> B + Send) -> (A, B) {
    thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        (one, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, |count| count.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays() {
        for count in [0, 1, SHARE, 2 * SHARE, 1_001] {
            let items: Vec<usize> = (0..count).collect();
            assert_eq!(
                in_parallel(items.clone(), |item| item * 2),
                items.iter().map(|item| item * 2).collect::<Vec<_>>()
            );
        }
    }
}
