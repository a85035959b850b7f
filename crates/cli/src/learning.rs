//! Lengths of text that queries teach, for later estimates: a small file for each server in the user's cache directory.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use lakepilot_analysis::{FileLengthStore, LearningService, LearntLengths, LengthStore};
use lakepilot_query::QueryService;

/// What the rows of a command teach, or nothing when learning is off.
pub(crate) struct Learning {
    store: Option<FileLengthStore>,
    learner: OnceLock<Arc<LearningService>>,
}

impl Learning {
    /// Learning about the server of a URL, if it is on and there is a place for what is learnt.
    pub(crate) fn new(url: &str, is_on: bool) -> Self {
        Self {
            store: is_on
                .then(|| FileLengthStore::in_user_cache(server_name(url)))
                .flatten(),
            learner: OnceLock::new(),
        }
    }

    /// The same service, whose rows are learnt from.
    pub(crate) fn observe(&self, service: Arc<dyn QueryService>) -> Arc<dyn QueryService> {
        let Some(store) = &self.store else { return service };
        let learner = self
            .learner
            .get_or_init(|| Arc::new(LearningService::new(service, Arc::new(store.clone()))));
        Arc::clone(learner) as Arc<dyn QueryService>
    }

    /// What earlier commands learnt of the server.
    pub(crate) fn known(&self) -> Option<LearntLengths> {
        let loaded = self.store.as_ref()?.load();
        if let Some(note) = loaded.note {
            tracing::warn!("{note}");
        }
        Some(loaded.lengths)
    }

    /// Keeps what was learnt. Estimates are better for it and nothing depends on it, so that it cannot be kept is told in
    /// the log only.
    pub(crate) fn keep(&self) {
        if let Some(Err(error)) = self.learner.get().map(|learner| learner.save()) {
            tracing::warn!(%error, "text lengths are not kept");
        }
    }
}

/// The server as what is kept about it is named: an embedded lake is the same from every folder.
pub(crate) fn server_name(url: &str) -> String {
    let lake = url.strip_prefix("lake:").map(Path::new);
    match lake.and_then(|dir| dir.canonicalize().ok()) {
        Some(dir) => format!("lake:{}", dir.display()),
        None => url.to_owned(),
    }
}
