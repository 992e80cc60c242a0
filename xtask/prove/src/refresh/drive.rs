//! One load: connections are made, their tokens expire, processes are killed, and at the end each connection is called.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use integrations_core::{Caller, ErrorKind};
use tokio::task::JoinSet;

use super::child::Tally;
use super::fleet::{Event, Fleet};
use super::issuer::{Group, Issuer, Moment, PARENT};
use super::load::{EXPIRY, EXPIRY_FOR_KILL, KILL_PAUSE_MS, KILL_WAITS, Load, hot};
use super::service::Service;
use super::world::{Call, Design, Place, Sessions, State, Way};

/// After the last expiry, connections are refreshed within this time: leases of killed processes run out.
const SETTLE: Duration = Duration::from_secs(30);
/// A last call is repeated until it says whether the connection can be used, for this long.
const LAST_CALL: Duration = Duration::from_secs(30);
/// Calls of each connection that has ended, to count what they cost.
const CALLS_OF_THE_ENDED: usize = 2;

/// How many there were of each.
pub(super) type Kills = BTreeMap<(Moment, Group), usize>;

/// What came of a load.
pub(super) struct Driven {
    pub(super) design: Design,
    /// The issuer's books.
    pub(super) service: Service,
    pub(super) kills: Kills,
    pub(super) calls: Tally,
    /// How the last call of each connection ended.
    pub(super) last: Vec<Last>,
    /// Requests for tokens that calls of ended connections cost, after the first.
    pub(super) asked_for_the_ended: u64,
    pub(super) took: Duration,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Usable,
    /// It says that the user has to connect again; and what its state says.
    Ended(State),
    /// It says nothing that helps.
    Unclear(ErrorKind),
}

/// Runs the load of this design on this store.
pub(super) fn drive(design: Design, store: String, run: String, seed: u64) -> Result<Driven, String> {
    let started = Instant::now();
    let load = Load::of(design);
    let (tell, told) = channel();
    let service = Service::start(load.groups(), tell.clone()).map_err(|e| e.to_string())?;
    let place = Place { design, store, run, issuer: service.addr, process: PARENT };
    let runtime = super::runtime();
    let sessions = runtime.block_on(connect(&place, load.groups().len())).map_err(|e| format!("{e:?}"))?;
    let fleet = Fleet::start(place.clone(), load.processes, tell)?;
    let rng = fastrand::Rng::with_seed(seed);
    let mut driver = Driver::new(load, &service, fleet, told, rng);
    driver.run()?;
    driver.settle(if design == Design::Naive { SETTLE / 10 } else { SETTLE })?;
    let (kills, calls) = driver.end()?;
    let ended = runtime.block_on(last_calls(&sessions, &service)).map_err(|e| format!("{e:?}"))?;
    let took = started.elapsed();
    Ok(Driven { design, service, kills, calls, last: ended.0, asked_for_the_ended: ended.1, took })
}

/// Gives each connection its first tokens.
async fn connect(place: &Place, families: usize) -> integrations_core::Result<Ready> {
    let way = Way::new(place.process)?;
    let sessions = place.open(&way).await?;
    for family in 0..families {
        sessions.connect(family, Issuer::first(family)).await?;
    }
    let callers = place.callers(&*sessions, &way, families)?;
    Ok(Ready { sessions, callers })
}

struct Ready {
    sessions: Arc<dyn Sessions>,
    callers: Vec<Caller>,
}

struct Driver<'d> {
    load: &'static Load,
    service: &'d Service,
    fleet: Fleet,
    told: Receiver<Event>,
    rng: fastrand::Rng,
    /// Still to be done.
    plan: Vec<(Moment, Group)>,
    armed: bool,
    next_kill: Instant,
    next_expiry: Instant,
    kills: Kills,
    calls: Tally,
}

impl<'d> Driver<'d> {
    fn new(
        load: &'static Load,
        service: &'d Service,
        fleet: Fleet,
        told: Receiver<Event>,
        mut rng: fastrand::Rng,
    ) -> Self {
        let (plan, now) = (load.kills(&mut rng), Instant::now());
        let (kills, calls) = (BTreeMap::new(), Tally::new());
        Self {
            load,
            service,
            fleet,
            told,
            rng,
            plan,
            armed: false,
            next_kill: now,
            next_expiry: now,
            kills,
            calls,
        }
    }

    /// Until there were enough expiries and kills, or nothing is left to be lost, or it takes too long.
    fn run(&mut self) -> Result<(), String> {
        let end = Instant::now() + self.load.limit;
        while !self.done() && Instant::now() < end {
            if Instant::now() >= self.next_expiry {
                let pause = self.expire();
                self.next_expiry = Instant::now() + pause;
            }
            if !self.armed && Instant::now() >= self.next_kill {
                self.prepare_kill()?;
            }
            self.listen(EXPIRY)?;
        }
        Ok(())
    }

    fn done(&self) -> bool {
        let books = self.service.books();
        let expiries: u64 = books.families.iter().map(|family| family.expiries).sum();
        let nothing_left = books.families.iter().all(|family| !family.alive);
        nothing_left || (self.plan.is_empty() && expiries >= self.load.expiries)
    }

    /// Some connection's, or one of the group that the next kill waits for. Gives the time to the next.
    fn expire(&mut self) -> Duration {
        let mut books = self.service.books();
        let families = books.families.len();
        let awaited = self.plan.last().filter(|_| Instant::now() > self.next_kill + KILL_WAITS);
        let first = if self.rng.bool() { hot(families) } else { self.rng.usize(..families) };
        let fits =
            |books: &Issuer, family: usize| awaited.is_none_or(|kill| books.families[family].group == kill.1);
        let mut others = (0..families).map(|next| (first + next) % families);
        others.any(|family| fits(&books, family) && books.expire(family));
        if awaited.is_some() { EXPIRY_FOR_KILL } else { EXPIRY }
    }

    fn prepare_kill(&mut self) -> Result<(), String> {
        match self.plan.last() {
            Some((Moment::Idle, _)) => {
                let process = self.fleet.any(&mut self.rng).ok_or("there is no process")?;
                if self.service.books().doom(process) {
                    self.kill(process, Moment::Idle)?;
                }
            }
            Some((moment, group)) => {
                self.service.books().arm(*moment, *group);
                self.armed = true;
            }
            None => {}
        }
        Ok(())
    }

    /// Kills it, as is next in the plan.
    fn kill(&mut self, process: u32, moment: Moment) -> Result<(), String> {
        let planned = self.plan.pop().filter(|next| next.0 == moment);
        let planned = planned.ok_or_else(|| format!("a process stands still ({})", moment.name()))?;
        self.fleet.replace(process)?;
        *self.kills.entry(planned).or_default() += 1;
        self.armed = false;
        self.next_kill = Instant::now() + Duration::from_millis(self.rng.u64(..=KILL_PAUSE_MS));
        Ok(())
    }

    fn listen(&mut self, time: Duration) -> Result<(), String> {
        match self.told.recv_timeout(time) {
            Ok(Event::Standing(process, moment)) => self.kill(process, moment),
            Ok(Event::Kept(process, family)) => {
                self.service.books().kept(process, family);
                Ok(())
            }
            Ok(Event::Calls(calls)) => {
                add(&mut self.calls, calls);
                Ok(())
            }
            Ok(Event::Gone(process)) if self.fleet.has(process) => {
                Err(format!("process {process} ended early"))
            }
            Ok(Event::Gone(_)) | Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err("nobody says anything any more".to_owned()),
        }
    }

    /// Waits until no exchange is due or under way, so that the end of the processes cuts none.
    fn settle(&mut self, time: Duration) -> Result<(), String> {
        let end = Instant::now() + time;
        self.service.books().disarm();
        while !self.service.books().settled() && Instant::now() < end {
            self.listen(EXPIRY)?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<(Kills, Tally), String> {
        self.fleet.end()?;
        while let Ok(event) = self.told.try_recv() {
            if let Event::Calls(calls) = event {
                add(&mut self.calls, calls);
            }
        }
        Ok((self.kills, self.calls))
    }
}

fn add(all: &mut Tally, calls: Tally) {
    for (group, words) in calls {
        let group = all.entry(group).or_default();
        for (word, count) in words {
            *group.entry(word).or_default() += count;
        }
    }
}

/// Calls each connection a last time, after its access token has expired; and those that have ended some more.
async fn last_calls(ready: &Ready, service: &Service) -> integrations_core::Result<(Vec<Last>, u64)> {
    let everybody = 0..ready.callers.len();
    service.books().expire_all();
    let mut last = side_by_side(ready, everybody, last_call).await;
    let before = service.books().asked;
    let ended: Vec<_> =
        last.iter().filter(|(_, last)| matches!(last, Last::Ended(_))).map(|(family, _)| *family).collect();
    side_by_side(ready, ended.iter().copied(), call_some_more).await;
    let asked = service.books().asked - before;
    for family in ended {
        last.insert(family, Last::Ended(ready.sessions.state(family).await?));
    }
    for family in 0..ready.callers.len() {
        ready.sessions.forget(family).await?;
    }
    Ok((last.into_values().collect(), asked))
}

/// The same with each of these connections.
async fn side_by_side<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    ready: &Ready,
    families: impl Iterator<Item = usize>,
    work: fn(Caller) -> F,
) -> BTreeMap<usize, T> {
    let mut tasks = JoinSet::new();
    for family in families {
        let work = work(ready.callers[family].clone());
        tasks.spawn(async move { (family, work.await) });
    }
    tasks.join_all().await.into_iter().collect()
}

async fn call_some_more(caller: Caller) {
    for _ in 0..CALLS_OF_THE_ENDED {
        let _refused = caller.call(&Call).await;
    }
}

async fn last_call(caller: Caller) -> Last {
    let end = tokio::time::Instant::now() + LAST_CALL;
    loop {
        match caller.call(&Call).await {
            Ok(()) => return Last::Usable,
            Err(e) if e.kind() == ErrorKind::ReauthRequired => return Last::Ended(State::Usable),
            Err(e) if tokio::time::Instant::now() > end => return Last::Unclear(e.kind()),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}
