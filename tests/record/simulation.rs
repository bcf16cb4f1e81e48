//! A world of its own for the lock's protocol: time that runs ahead, groups on a server, runners whose requests
//! are delayed, lost and left over, and who freeze and die. All of it follows from a seed.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use fusionkeep::engine::lock::{Mark, Runtime};
use fusionkeep::engine::record::{Created, Group, GroupStore};
use fusionkeep::fusionauth::{Error, ErrorKind, Method};
use fusionkeep::model::Fields;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use uuid::Uuid;

/// A request takes no longer than this, or its runner gives up on it.
pub const REQUEST: Duration = Duration::from_secs(30);

/// SplitMix64: small, and the same everywhere.
pub struct Random(AtomicU64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(AtomicU64::new(seed))
    }

    pub fn next(&self) -> u64 {
        let state =
            self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn one_in(&self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

#[derive(Default)]
struct Time {
    now: Duration,
    /// By when, and by the order in which they went to sleep.
    sleepers: BTreeMap<(Duration, u64), Waker>,
    count: u64,
}

/// Virtual time and tasks.
#[derive(Clone, Default)]
pub struct World {
    time: Arc<Mutex<Time>>,
    spawned: Arc<Mutex<Vec<BoxFuture<'static, ()>>>>,
}

struct Sleep {
    time: Arc<Mutex<Time>>,
    until: Duration,
    place: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        let time = self.time.clone();
        let mut time = time.lock().unwrap();
        if let Some(place) = self.place.take() {
            time.sleepers.remove(&place);
        }
        if time.now >= until {
            return Poll::Ready(());
        }
        time.count += 1;
        let place = (until, time.count);
        time.sleepers.insert(place, context.waker().clone());
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.time.lock().unwrap().sleepers.remove(&place);
        }
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Runtime for World {
    fn now(&self) -> Mark {
        let now = self.elapsed();
        Mark::new(now, now)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Sleep { time: self.time.clone(), until: self.elapsed() + duration, place: None }.boxed()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.spawned.lock().unwrap().push(task);
    }
}

impl World {
    pub fn elapsed(&self) -> Duration {
        self.time.lock().unwrap().now
    }

    /// Milliseconds since the epoch, in this world.
    pub fn instant(&self) -> i64 {
        1_800_000_000_000 + self.elapsed().as_millis() as i64
    }

    /// Runs a future, and all that it spawns meanwhile, to its end.
    pub fn run<T: Send + 'static>(&self, main: impl Future<Output = T> + Send + 'static) -> T {
        let result = Arc::new(Mutex::new(None));
        let slot = result.clone();
        self.spawn(async move { *slot.lock().unwrap() = Some(main.await) }.boxed());
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        let mut context = Context::from_waker(&waker);
        let mut tasks = FuturesUnordered::new();
        loop {
            tasks.extend(self.spawned.lock().unwrap().drain(..));
            if let Some(value) = result.lock().unwrap().take() {
                return value;
            }
            flag.0.store(false, Ordering::SeqCst);
            match tasks.poll_next_unpin(&mut context) {
                Poll::Ready(Some(())) => continue,
                Poll::Ready(None) => {}
                Poll::Pending if flag.0.load(Ordering::SeqCst) => continue,
                Poll::Pending => {}
            }
            if self.spawned.lock().unwrap().is_empty() {
                self.advance();
            }
        }
    }

    /// Nothing can go on: on to the next instant at which something does.
    fn advance(&self) {
        let mut time = self.time.lock().unwrap();
        let ((until, _), waker) = time.sleepers.pop_first().expect("everything waits for nothing");
        time.now = time.now.max(until);
        drop(time);
        waker.wake();
    }
}

/// A server's groups, and what was done to them.
#[derive(Default)]
pub struct Server {
    pub groups: Mutex<BTreeMap<Uuid, Group>>,
    pub requests: AtomicU64,
}

impl Server {
    pub fn names(&self) -> Vec<String> {
        self.groups.lock().unwrap().values().map(|group| group.name.clone()).collect()
    }
}

/// What befalls one runner.
pub struct Fate {
    pub random: Random,
    /// Requests are late by up to this.
    pub latency: Duration,
    /// One request in so many is left over: it is carried out up to two minutes later, whoever still waits.
    pub left_over: u64,
    /// At one request in so many the runner freezes, before it is sent or while it is on its way.
    pub freezes: u64,
    /// No request begins, and no answer is taken, before this.
    frozen_until: Mutex<Duration>,
    /// The runner dies at its so-manyth request, and whether that one is still carried out.
    pub dies_at: Option<(u64, bool)>,
    begun: AtomicU64,
    dead: AtomicBool,
}

impl Fate {
    pub fn new(seed: u64) -> Self {
        Fate {
            random: Random::new(seed),
            latency: Duration::from_millis(200),
            left_over: 0,
            freezes: 0,
            frozen_until: Mutex::default(),
            dies_at: None,
            begun: AtomicU64::new(0),
            dead: AtomicBool::new(false),
        }
    }

    pub fn freeze(&self, world: &World, duration: Duration) {
        *self.frozen_until.lock().unwrap() = world.elapsed() + duration;
    }

    pub fn frozen(&self, world: &World) -> bool {
        *self.frozen_until.lock().unwrap() > world.elapsed()
    }

    /// Returns when the runner is not frozen; never when it is dead.
    pub async fn thaw(&self, world: &World) {
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        while self.frozen(world) {
            let until = *self.frozen_until.lock().unwrap();
            world.sleep(until - world.elapsed()).await;
        }
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }
}

/// A runner's way to the server.
#[derive(Clone)]
pub struct Wire {
    pub world: World,
    pub server: Arc<Server>,
    pub fate: Arc<Fate>,
}

fn no_answer() -> Error {
    let kind = ErrorKind::NoAnswer { timeout: true, detail: "simulated".to_owned() };
    Error::new(&Method::GET, "/api/group/{groupId}", kind)
}

impl Wire {
    fn freeze_sometimes(&self) {
        let fate = &self.fate;
        if fate.freezes > 0 && fate.random.one_in(fate.freezes) {
            fate.freeze(&self.world, fate.random.millis(1_000, 400_000));
        }
    }

    /// Sends a request: late, perhaps too late to be waited for, and carried out all the same.
    async fn request<T: Send + 'static>(
        &self,
        carry_out: impl FnOnce(&Server, i64) -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.freeze_sometimes();
        self.fate.thaw(&self.world).await;
        let number = self.fate.begun.fetch_add(1, Ordering::SeqCst) + 1;
        self.server.requests.fetch_add(1, Ordering::SeqCst);
        let death = self.fate.dies_at.filter(|(at, _)| *at == number);
        if let Some((_, carried_out)) = death {
            self.fate.dead.store(true, Ordering::SeqCst);
            if carried_out {
                carry_out(&self.server, self.world.instant());
            }
            return std::future::pending().await;
        }
        let random = &self.fate.random;
        let left_over = self.fate.left_over > 0 && random.one_in(self.fate.left_over);
        let there = if left_over { random.millis(1, 120_000) } else { random.millis(1, 200) };
        let back = random.millis(1, self.fate.latency.as_millis() as u64 + 2);
        let answer = Arc::new(Mutex::new(None));
        let (slot, world, server) = (answer.clone(), self.world.clone(), self.server.clone());
        self.world.spawn(
            async move {
                world.sleep(there).await;
                *slot.lock().unwrap() = Some(carry_out(&server, world.instant()));
            }
            .boxed(),
        );
        self.freeze_sometimes();
        self.world.sleep((there + back).min(REQUEST)).await;
        self.fate.thaw(&self.world).await;
        answer.lock().unwrap().take().ok_or_else(no_answer)
    }
}

/// `*` at the end only, which is all that the record asks for; in any case, as the real server may.
fn matches(pattern: &str, name: &str) -> bool {
    name.to_lowercase().contains(&pattern.trim_end_matches('*').to_lowercase())
}

impl GroupStore for Wire {
    fn search<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Group>, Error>> {
        let pattern = name.to_owned();
        self.request(move |server, _| {
            let groups = server.groups.lock().unwrap();
            groups.values().filter(|group| matches(&pattern, &group.name)).cloned().collect()
        })
        .boxed()
    }

    fn get(&self, id: Uuid) -> BoxFuture<'_, Result<Option<Group>, Error>> {
        self.request(move |server, _| server.groups.lock().unwrap().get(&id).cloned()).boxed()
    }

    fn create<'a>(&'a self, id: Uuid, name: &'a str, data: Fields) -> BoxFuture<'a, Result<Created, Error>> {
        let name = name.to_owned();
        self.request(move |server, now| {
            let mut groups = server.groups.lock().unwrap();
            if groups.contains_key(&id) || groups.values().any(|group| group.name == name) {
                return Created::Exists;
            }
            groups.insert(id, Group { id, name, data, last_update: now });
            Created::Created
        })
        .boxed()
    }

    fn replace<'a>(&'a self, id: Uuid, name: &'a str, data: Fields) -> BoxFuture<'a, Result<bool, Error>> {
        let name = name.to_owned();
        self.request(move |server, now| match server.groups.lock().unwrap().get_mut(&id) {
            Some(group) => {
                (group.name, group.data, group.last_update) = (name, data, now);
                true
            }
            None => false,
        })
        .boxed()
    }

    fn delete(&self, id: Uuid) -> BoxFuture<'_, Result<(), Error>> {
        self.request(move |server, _| drop(server.groups.lock().unwrap().remove(&id))).boxed()
    }

    fn server_now(&self) -> Option<i64> {
        // A Date has seconds only.
        Some(self.world.instant() / 1000 * 1000)
    }

    fn longest_request(&self) -> Duration {
        REQUEST
    }
}
