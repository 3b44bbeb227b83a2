//! The running simulated devices, by endpoint.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    config::{Config, Endpoint, Plan, SimAction, Target},
    target::sim::{self, Sim},
};

/// Running simulated devices. They outlive a reload that keeps them, so that sessions do too.
#[derive(Debug, Default)]
pub(super) struct Sims {
    running: BTreeMap<String, Sim>,
    /// Endpoints whose device could not be started.
    failed: Vec<String>,
}

impl Sims {
    /// Whether an endpoint's device could not be started.
    pub(super) fn has_failed(&self, endpoint: &str) -> bool {
        self.failed.iter().any(|name| name == endpoint)
    }

    /// Carries out what a plan says about them, and returns the configuration with the real address
    /// in place of every simulated device. One that cannot be started stays as it is: opening it
    /// says why nothing is there.
    pub(super) async fn apply(&mut self, plan: &Plan, written: &Config) -> Config {
        let mut before = std::mem::take(self);
        let mut config = written.clone();
        for (name, action) in &plan.sims {
            let Some(endpoint) = config.endpoints.get_mut(name) else { continue };
            let Target::Sim(wanted) = &endpoint.target else { continue };
            let kept = match action {
                SimAction::Keep => before.running.remove(name),
                SimAction::Start => None,
            };
            let running = match kept {
                Some(sim) => Ok(sim),
                None => sim::start(wanted).await,
            };
            match running {
                Ok(sim) => {
                    let target = sim.target.clone();
                    *endpoint = Arc::new(Endpoint { target, ..(**endpoint).clone() });
                    self.running.insert(name.clone(), sim);
                }
                Err(error) => {
                    tracing::error!(endpoint = name, %error, "the simulated device cannot be started");
                    self.failed.push(name.clone());
                }
            }
        }
        config
    }
}
