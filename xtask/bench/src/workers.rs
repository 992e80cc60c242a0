//! Threads pinned to cores, each with a runtime that lives as long as the thread.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use core_affinity::CoreId;
use tokio::runtime::{Builder, Runtime};

use crate::contestant::BoxError;

type Job = Box<dyn FnOnce(&Runtime) + Send>;

/// At most two, on the first two cores that this process may use. They are pinned because the scheduler likes to
/// put two busy threads that wake one another on one core, and then nothing contends.
pub(crate) struct Workers(Vec<Sender<Job>>);

impl Workers {
    pub(crate) fn start() -> Result<Self, BoxError> {
        let cores = core_affinity::get_core_ids().ok_or("the cores of this machine cannot be listed")?;
        let workers = cores.into_iter().take(2).map(start_on).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(workers))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Runs one job on each of the first `threads` workers and waits for all of them.
    pub(crate) fn run<T, J>(&self, threads: usize, job: impl Fn(usize) -> J) -> Result<Vec<T>, BoxError>
    where
        T: Send + 'static,
        J: FnOnce(&Runtime) -> T + Send + 'static,
    {
        let answers: Vec<_> = (0..threads).map(|index| self.submit(index, job(index))).collect();
        answers.into_iter().map(|answer| answer.recv().map_err(|_| "a worker died".into())).collect()
    }

    /// Runs one job on the first worker.
    pub(crate) fn run_first<T, J>(&self, job: J) -> Result<T, BoxError>
    where
        T: Send + 'static,
        J: FnOnce(&Runtime) -> T + Send + 'static,
    {
        self.submit(0, job).recv().map_err(|_| "a worker died".into())
    }

    fn submit<T, J>(&self, index: usize, job: J) -> Receiver<T>
    where
        T: Send + 'static,
        J: FnOnce(&Runtime) -> T + Send + 'static,
    {
        let (sender, answer) = channel();
        // A dead worker or waiter is noticed by whoever receives.
        let _ = self.0[index].send(Box::new(move |runtime| {
            let _ = sender.send(job(runtime));
        }));
        answer
    }
}

fn start_on(core: CoreId) -> Result<Sender<Job>, BoxError> {
    let (jobs, queue) = channel::<Job>();
    let (ready, started) = channel();
    thread::Builder::new().name(format!("core {}", core.id)).spawn(move || {
        let runtime = core_affinity::set_for_current(core)
            .then(|| Builder::new_current_thread().enable_time().build())
            .ok_or("the thread cannot be pinned to a core");
        match runtime {
            Ok(Ok(runtime)) => {
                let _ = ready.send(Ok(()));
                for job in queue {
                    job(&runtime);
                }
            }
            Ok(Err(e)) => drop(ready.send(Err(BoxError::from(e)))),
            Err(e) => drop(ready.send(Err(e.into()))),
        }
    })?;
    started.recv()??;
    Ok(jobs)
}
