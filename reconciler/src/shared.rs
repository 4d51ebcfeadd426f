//! What all controllers share.

use std::sync::Arc;

use drover_types::Kind;
use drover_types::kinds::Node;
use drover_world::World;

use crate::api::Api;
use crate::error::Error;
use crate::events::Recorder;
use crate::options::Options;
use crate::queues::Queues;
use crate::stats::Stats;
use crate::view::{Index, View};

/// The server, its local copy, the queues, and the world outside.
pub(crate) struct Shared {
    pub(crate) api: Api,
    pub(crate) world: World,
    pub(crate) options: Options,
    pub(crate) view: View,
    pub(crate) index: Arc<Index>,
    pub(crate) queues: Arc<Queues>,
    pub(crate) recorder: Recorder,
    pub(crate) stats: Arc<Stats>,
}

impl Shared {
    /// A Node as the server has it now: what ends something for good must not rest on a copy that is late.
    pub(crate) async fn fresh_node(&self, name: &str) -> Result<Option<Node>, Error> {
        let key = drover_client::Key { namespace: String::new(), name: name.to_owned() };
        Ok(self.api.get(Kind::Node, &key).await?)
    }
}
