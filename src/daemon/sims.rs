//! The simulated devices that run, by endpoint.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    config::{Config, Endpoint, SimTarget, Target},
    target::sim::{self, Sim},
};

/// Running simulated devices. They outlive a reload that keeps them, so that sessions do too.
#[derive(Debug, Default)]
pub(super) struct Sims(BTreeMap<String, (SimTarget, Sim)>);

impl Sims {
    /// The configuration with the real address in place of every simulated device, which runs from
    /// now on. One that cannot be started stays as it is: opening it says why nothing is there.
    pub(super) async fn realise(&mut self, written: &Config) -> Config {
        let mut before = std::mem::take(&mut self.0);
        let mut config = written.clone();
        for (name, endpoint) in &mut config.endpoints {
            let Target::Sim(wanted) = &endpoint.target else { continue };
            let running = before.remove(name).filter(|(device, _)| device == wanted);
            let running = match running {
                Some((_, sim)) => Ok(sim),
                None => sim::start(wanted).await,
            };
            match running {
                Ok(sim) => {
                    let wanted = wanted.clone();
                    let target = sim.target.clone();
                    *endpoint = Arc::new(Endpoint { target, ..(**endpoint).clone() });
                    self.0.insert(name.clone(), (wanted, sim));
                }
                Err(error) => {
                    tracing::error!(endpoint = name, %error, "the simulated device cannot be started");
                }
            }
        }
        config
    }
}
