//! Routes, read again when the configuration changes: the one part of it that needs no restart.

use super::serve::LOGGED_MAX;
use super::{build, trust};
use crate::config::{self, Settings};
use crate::failure::Failure;
use crate::proxy::route::Routes;

/// The routes of a configuration file, and what it said last.
pub(super) struct Ways {
    before: Settings,
    routes: Routes,
    /// Whether the program began with a route that asks for policies.
    has_policies: bool,
    /// Why the name servers' word on what is signed was not taken when the program began.
    distrust: Option<String>,
}

impl Ways {
    pub(super) fn new(before: Settings, routes: Routes) -> Self {
        let has_policies = asks_for_policies(&before);
        let distrust = trust::distrust(&before.dns);
        Self { before, routes, has_policies, distrust }
    }

    /// Reads the file again; false when it has a fault, and everything stays as it was.
    pub(super) fn reload(&mut self) -> bool {
        let file = self.before.file.display().to_string();
        let settings = match config::load(&self.before.file) {
            Ok(settings) => settings,
            Err(faults) => {
                for fault in faults.iter().take(LOGGED_MAX) {
                    tracing::error!(
                        event = "reload",
                        result = "kept",
                        file = %fault.file.display(),
                        line = fault.line,
                        key = fault.key,
                        value = fault.value,
                        error = fault.why,
                        faults = faults.len(),
                    );
                }
                return false;
            }
        };
        let same_ways = settings.routes == self.before.routes
            && settings.downstream.way == self.before.downstream.way;
        if !same_ways && let Err(fault) = self.swap(&settings) {
            tracing::error!(event = "reload", result = "kept", file, error = %fault);
            return false;
        }
        self.before.routes.clone_from(&settings.routes);
        self.before.downstream.way = settings.downstream.way.clone();
        if self.before != settings {
            let error = "what is not about routes holds from the next start on";
            tracing::warn!(event = "reload", result = "restart_needed", file, error);
        }
        self.before = settings;
        true
    }

    fn swap(&self, settings: &Settings) -> Result<(), Failure> {
        if !self.has_policies && asks_for_policies(settings) {
            let why = "policies of MTA-STS are asked for from the next start on; restart, or say mta_sts = false";
            return Err(Failure::Config(why.to_owned()));
        }
        let (listed, rest) = build::ways(settings)?;
        let count = listed.len();
        self.routes.replace(listed, rest);
        if let Some(why) = &self.distrust
            && trust::dane(settings) > trust::dane(&self.before)
        {
            trust::tell_without_dane(settings, why);
        }
        tracing::info!(event = "reload", result = "swapped", routes = count);
        Ok(())
    }
}

fn asks_for_policies(settings: &Settings) -> bool {
    let mut ways = settings.routes.iter().chain([&settings.downstream.way]);
    ways.any(build::asks_for_policies)
}
