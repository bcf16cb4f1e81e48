//! What a process costs: time, processor time, peak memory. From /proc, without a dependency.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One whole process.
pub struct Cost {
    pub time: Duration,
    /// User and system time of all its threads, to a hundredth of a second.
    pub processor: Duration,
    /// Peak resident memory in MiB.
    pub peak: f64,
    pub success: bool,
    pub stderr: String,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Cost {
    let start = Instant::now();
    // A file, not a pipe: nobody reads while it runs.
    let mut stderr = tempfile::tempfile().unwrap();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr.try_clone().unwrap())
        .spawn()
        .unwrap();
    let (processor, peak) = watch(&child);
    let status = child.wait().unwrap();
    let time = start.elapsed();
    let mut text = String::new();
    std::io::Seek::rewind(&mut stderr).unwrap();
    std::io::Read::read_to_string(&mut stderr, &mut text).unwrap();
    Cost { time, processor, peak, success: status.success(), stderr: text }
}

/// Watches a process until it has ended and is not waited for yet: then its processor time is complete.
fn watch(child: &Child) -> (Duration, f64) {
    let mut peak = 0.0;
    loop {
        peak = memory(child.id(), "VmHWM:").unwrap_or(peak);
        let (state, processor) = stat(&format!("/proc/{}/stat", child.id()));
        if state == "Z" {
            return (processor, peak);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A line of a process' memory status in MiB.
pub fn memory(process: u32, name: &str) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// The processor time of a process so far.
pub fn processor_time(process: u32) -> Duration {
    stat(&format!("/proc/{process}/stat")).1
}

fn stat(path: &str) -> (String, Duration) {
    let text = std::fs::read_to_string(path).unwrap();
    // The name before may hold anything, a parenthesis ends it. Then come the state and, as 12th and 13th, user and
    // system time in ticks of 10 ms (proc(5)).
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<u64>().unwrap();
    (fields[0].to_owned(), Duration::from_millis(10 * (ticks(11) + ticks(12))))
}
