//! The small traits through which time, randomness, disk and blocking work come in, and their real implementations.
//!
//! Everything else in Drover asks a [`World`] instead of the operating system, so that a simulation can put its
//! own clock, seed and disk in place of these. Absent on purpose: sleeping (that is `tokio::time`, whose clock a
//! simulation pauses), the network (`client::Dial`) and processes (`spawn`).

mod blocking;
mod clock;
mod disk;
mod entropy;

use std::sync::Arc;

pub use blocking::{Blocking, BlockingThreads, Unfinished, Work};
pub use clock::{Clock, SystemClock};
pub use disk::{Append, Disk, Entry, RealDisk};
pub use entropy::{Entropy, SystemEntropy, token256, unit, uuid_v4, uuid_v7};

/// The clock, the source of randomness and the place for blocking work that a part of the program was given. Cheap to
/// clone.
#[derive(Clone)]
pub struct World {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub entropy: Arc<dyn Entropy>,
    /// Where work goes that blocks.
    pub blocking: Arc<dyn Blocking>,
}

impl World {
    /// The real clock, the kernel's randomness, and the runtime's threads.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            blocking: Arc::new(BlockingThreads),
        }
    }

    /// Does work that blocks where it holds up nobody, and waits for what comes of it. The work goes on if nobody waits.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unfinished> {
        blocking::wait_for(&*self.blocking, work).await
    }

    /// A time-ordered UUID for something that begins now.
    pub fn uuid_v7(&self) -> uuid::Uuid {
        uuid_v7(&*self.entropy, self.clock.now())
    }

    /// A random UUID.
    pub fn uuid_v4(&self) -> uuid::Uuid {
        uuid_v4(&*self.entropy)
    }

    /// 256 random bits as text, for a credential.
    pub fn token256(&self) -> String {
        token256(&*self.entropy)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::system()
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.clock.now()).finish_non_exhaustive()
    }
}
