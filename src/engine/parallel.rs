//! Pure work on many values at once, on the cores that there are. Nothing here waits for anything but the work.

use std::sync::OnceLock;
use std::thread;

/// Fewer values than this are not worth a thread.
const SHARE: usize = 64;

/// What `work` makes of each of `items`, in their order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = cores().min(items.len() / SHARE);
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let work = &work;
    let parts = thread::scope(|scope| {
        let begin = |part| scope.spawn(move || Vec::from_iter(<[T]>::iter(part).map(work)));
        let begun: Vec<_> = items.chunks(items.len().div_ceil(threads)).map(begin).collect();
        let end = |part: thread::ScopedJoinHandle<'_, Vec<R>>| {
            part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        begun.into_iter().map(end).collect::<Vec<_>>()
    });
    parts.into_iter().flatten().collect()
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
                in_parallel(&items, |item| item * 2),
                items.iter().map(|item| item * 2).collect::<Vec<_>>()
            );
        }
    }
}
