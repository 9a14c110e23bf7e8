//! Finds the devices that networks can run on.

use engine::device::DeviceInfo;

use super::{Failure, Job, JobHandle, Jobs, Spec};
use crate::state::{Slot, State};

/// Lists the devices for networks, the preferred one first.
pub struct ProbeDevices;

impl Job for ProbeDevices {
    type Output = Vec<DeviceInfo>;

    fn spec(&self) -> Spec {
        Spec::new(Slot::exclusive("devices"), "Detecting devices").quiet()
    }

    fn run(&self, _: &JobHandle) -> Result<Self::Output, Failure> {
        Ok(engine::device::probe().devices)
    }

    fn apply(self, result: Result<Self::Output, Failure>, state: &mut State, _: &mut Jobs) {
        match result {
            Ok(devices) => state.cache.devices = devices,
            Err(failure) => failure.report("Detecting devices", state),
        }
    }
}
