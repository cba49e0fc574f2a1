//! What is on the screen, and what news do to it.

use std::sync::Arc;

use super::Scene;
use super::story::{Filter, Story};
use crate::render::text::fit;
use crate::view::{Event, Finding, Pod};

/// The longest notice, in columns.
const NOTICE: usize = 400;

/// What the keys go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Focus {
    /// The pods on the left.
    #[default]
    Pods,
    /// The events, or what is open in their place.
    Right,
}

/// What lies above the panes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Over {
    #[default]
    Nothing,
    /// What the keys do.
    Help,
    /// Which types of events are shown; the place is that of the mark.
    Types(usize),
    /// The text that events are chosen by is being typed.
    Typing,
}

/// A pod of which everything is shown.
#[derive(Clone, Debug)]
pub(super) struct Detail {
    pub(super) pod: Arc<Pod>,
    pub(super) findings: Vec<Finding>,
    /// Whether it is not there any more.
    pub(super) gone: bool,
}

/// All that is shown, and all that a key does to it.
#[derive(Debug)]
pub struct App {
    /// Whether to use colours.
    pub(super) colour: bool,
    /// Whether pods are listed that are left out otherwise.
    pub(super) all: bool,
    pub(super) scene: Scene,
    /// What came while the picture was held.
    pending: Option<Scene>,
    pub(super) story: Story,
    pub(super) filter: Filter,
    pub(super) focus: Focus,
    pub(super) over: Over,
    pub(super) detail: Option<Detail>,
    /// The number of the last event at the time when the picture was held.
    pub(super) held: Option<u64>,
    /// Whether long lines go on below.
    pub(super) wrap: bool,
    /// Why the node could not be looked at, or what the log says.
    pub(super) notice: Option<String>,
    /// Whether the notice is of a failure, which the next look takes back.
    failed: bool,
    /// The pod that is marked.
    selected: Option<String>,
    /// Its place in the list, for when it is gone.
    place: usize,
    /// The first line of the list of pods that is on the screen.
    pub(super) top: usize,
    /// The number of the event at the bottom; none follows the newest.
    pub(super) bottom: Option<u64>,
    /// The first line that is shown of what is open: a pod's detail, the help.
    pub(super) scrolled: usize,
    /// How far a page goes, as the last picture was.
    pub(super) page: usize,
}

impl App {
    /// An empty picture. `all` lists pods that are left out otherwise.
    #[must_use]
    pub fn new(node: &str, all: bool, colour: bool) -> Self {
        Self {
            colour,
            all,
            scene: Scene { node: node.to_owned(), ..Scene::default() },
            pending: None,
            story: Story::default(),
            filter: Filter::default(),
            focus: Focus::Pods,
            over: Over::Nothing,
            detail: None,
            held: None,
            wrap: true,
            notice: None,
            failed: false,
            selected: None,
            place: 0,
            top: 0,
            bottom: None,
            scrolled: 0,
            page: 1,
        }
    }

    /// Shows how the node is now; later, while the picture is held.
    pub fn update(&mut self, scene: Scene) {
        if self.failed {
            (self.notice, self.failed) = (None, false);
        }
        if self.held.is_some() {
            self.pending = Some(scene);
            return;
        }
        self.scene = scene;
        self.settle();
    }

    /// Adds what happened.
    pub fn tell(&mut self, events: &[Event]) {
        for event in events {
            self.story.add(event);
        }
    }

    /// Says that the node could not be looked at.
    pub fn fail(&mut self, why: &str) {
        (self.notice, self.failed) = (Some(fit(why, NOTICE)), true);
    }

    /// Shows a line of the log.
    pub fn log(&mut self, line: &str) {
        (self.notice, self.failed) = (Some(fit(line, NOTICE)), false);
    }

    /// The pods that are listed.
    pub(super) fn listed(&self) -> Vec<&Arc<Pod>> {
        let listed = |pod: &&Arc<Pod>| self.all || !(pod.is_over() || pod.is_single_process());
        self.scene.pods.iter().filter(listed).collect()
    }

    /// The place of the marked pod in the list.
    pub(super) const fn place(&self) -> usize {
        self.place
    }

    /// The marked pod.
    pub(super) fn marked(&self) -> Option<&Arc<Pod>> {
        self.listed().get(self.place).copied()
    }

    /// Marks the pod at a place, or the last one.
    pub(super) fn mark(&mut self, place: usize) {
        let listed = self.listed();
        let place = place.min(listed.len().saturating_sub(1));
        let selected = listed.get(place).map(|pod| pod.id.clone());
        (self.place, self.selected) = (place, selected);
        if self.detail.is_some() {
            self.open();
        }
    }

    /// Shows everything of the marked pod.
    pub(super) fn open(&mut self) {
        let Some(pod) = self.marked().cloned() else { return };
        if self.detail.as_ref().is_none_or(|detail| detail.pod.id != pod.id) {
            self.scrolled = 0;
        }
        let findings = self.findings(&pod);
        self.detail = Some(Detail { pod, findings, gone: false });
    }

    fn findings(&self, pod: &Pod) -> Vec<Finding> {
        let its = |finding: &&Finding| finding.subject.pod.as_ref() == Some(&pod.id);
        self.scene.findings.iter().filter(its).cloned().collect()
    }

    /// Finds the marked pod and the open one in a new picture.
    pub(super) fn settle(&mut self) {
        let place = self.selected.as_ref().and_then(|id| self.listed().iter().position(|pod| pod.id == *id));
        let detail = self.detail.take();
        self.mark(place.unwrap_or(self.place));
        self.detail = detail.map(|detail| match self.scene.pods.iter().find(|pod| pod.id == detail.pod.id) {
            Some(pod) => Detail { pod: Arc::clone(pod), findings: self.findings(pod), gone: false },
            None => Detail { gone: true, ..detail },
        });
    }

    /// Holds the picture, or lets it go on.
    pub(super) fn hold_or_go_on(&mut self) {
        if self.held.take().is_none() {
            self.held = Some(self.story.count());
        } else if let Some(scene) = self.pending.take() {
            self.scene = scene;
            self.settle();
        }
    }

    /// How many events came since the picture is held.
    pub(super) fn waiting(&self) -> u64 {
        self.held.map_or(0, |held| self.story.count() - held)
    }
}
