//! The vector instructions in use.

use std::sync::OnceLock;

use lanes::Cpu;

use crate::{Error, Result};

/// Names the instructions to use, for comparisons and tests: `avx512`, `avx2` or `portable`.
const VARIABLE: &str = "AMLP_SIMD";

/// The fastest instructions of the processor, or those that `AMLP_SIMD` names. `avx512`, `avx2` or `portable`.
///
/// # Errors
/// A name of none, or of instructions that the processor lacks.
pub fn instructions() -> Result<&'static str> {
    match std::env::var(VARIABLE) {
        Err(_) => Ok(Cpu::detect().name()),
        Ok(name) => named(&name).map(Cpu::name),
    }
}

fn named(name: &str) -> Result<Cpu> {
    let all = Cpu::all();
    let chosen = all.iter().find(|cpu| cpu.name() == name).copied();
    chosen.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|cpu| cpu.name()).collect();
        Error::config(VARIABLE, name, format!("this processor has {}", names.join(", ")))
    })
}

/// The instruction set of every kernel. From the first kernel on, the memory of a layer is kept for the next. Opening a device
/// calls [`instructions`], which reports an invalid `AMLP_SIMD`; here an invalid value selects the fastest set.
pub(crate) fn cpu() -> Cpu {
    static CPU: OnceLock<Cpu> = OnceLock::new();
    *CPU.get_or_init(|| {
        lanes::keep_freed_memory();
        std::env::var(VARIABLE).ok().and_then(|name| named(&name).ok()).unwrap_or_else(Cpu::detect)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_chosen_by_name_and_a_wrong_name_lists_the_available_ones() {
        for cpu in Cpu::all() {
            assert_eq!(named(cpu.name()).unwrap(), cpu);
        }
        let message = named("sse9").unwrap_err().to_string();
        assert!(message.contains("AMLP_SIMD") && message.contains("portable"), "{message}");
    }
}
