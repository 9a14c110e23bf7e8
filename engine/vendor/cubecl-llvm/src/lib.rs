//! A stand-in for `cubecl-llvm`, without LLVM.
//!
//! # Why it exists
//! `cubecl-cuda` always links two compilers: one writes CUDA C++ for NVRTC, the other lowers to PTX through LLVM. Its
//! feature `cpp` only chooses which of them runs. The second comes from `cubecl-llvm`, whose build script downloads a
//! prebuilt LLVM of half a gigabyte from a release page: a build without network fails, and every other build pays for
//! a compiler that never runs. The engine's feature `cuda` switches `cpp` on, so the workspace patches the LLVM crate
//! with this one.
//!
//! # What it promises
//! - It has the names that `cubecl-cuda` 0.11.3 refers to, and nothing else.
//! - A kernel is never compiled here: [`PlironCompiler::compile`] returns [`CompilationError::Generic`] that says how
//!   the build must be put right, and a [`NvptxModule`] cannot be made, because one of its fields has no value.
//!
//! Both versions are pinned with `=`: when `cubecl-cuda` moves, this crate is to be compared with the new one, or
//! dropped if LLVM has become optional.

use std::convert::Infallible;
use std::ffi::c_char;
use std::fmt;

use cubecl_core::ir::nvidia::SmArch;
use cubecl_core::prelude::KernelDefinition;
use cubecl_environment::backtrace::BackTrace;
use cubecl_runtime::compiler::CompilationError;
use cubecl_runtime::kernel::BufferIOAttr;

/// What every attempt to compile answers.
pub const REASON: &str = "this program was built without LLVM: CUDA kernels need the C++ compiler of cubecl-cuda \
                          (its feature `cpp`, which the engine's feature `cuda` switches on)";

/// The machines that the real crate generates code for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlvmTarget {
    /// The host's processor.
    #[default]
    Cpu,
    /// NVIDIA's virtual instruction set.
    Nvptx,
}

/// The compiler that is not there.
#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    /// The machine to generate code for; unused.
    pub target: LlvmTarget,
}

impl PlironCompiler {
    /// Compiles nothing.
    ///
    /// # Errors
    /// Always: [`CompilationError::Generic`] with [`REASON`].
    pub fn compile(
        &mut self,
        _kernel: KernelDefinition,
        _options: &PlironOptions,
    ) -> Result<PlironArtifact, CompilationError> {
        Err(CompilationError::Generic { reason: REASON.into(), backtrace: BackTrace::capture() })
    }

    /// The language in which the real crate writes kernels, used in the keys of caches.
    pub fn lang_tag(&self) -> &'static str {
        "ll"
    }
}

/// Settings of a compilation; accepted and unused.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// Architecture of an AMD device; always `None` from `cubecl-cuda`.
    pub arch: Option<Infallible>,
    /// Architecture of an NVIDIA device.
    pub sm_arch: Option<SmArch>,
    /// PTX version to emit.
    pub ptx_version: Option<nvptx::ptx_version::PtxVersion>,
    /// Whether launch parameters lie in the parameter block of the kernel.
    pub grid_constants: bool,
}

/// The result of a compilation.
#[derive(Clone, Debug)]
pub enum PlironArtifact {
    /// PTX.
    NvptxCode(NvptxModule),
    /// Code for the host; as impossible as the other here.
    Jit(Infallible),
}

/// A compiled kernel. No value of this type exists.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// PTX, ended by a NUL.
    pub ptx: Vec<c_char>,
    /// Symbol of the kernel's entry.
    pub entrypoint: String,
    /// Intermediate form, for logs.
    pub ir: String,
    /// Shared memory of a launch, in bytes.
    pub shared_memory_size: usize,
    /// How each buffer is accessed, in binding order.
    pub io: Vec<BufferIOAttr>,
    /// Makes the type uninhabited.
    pub never: Infallible,
}

/// What the real crate keeps about NVIDIA's target.
pub mod nvptx {
    /// Versions of PTX.
    pub mod ptx_version {
        use super::super::{Infallible, fmt};

        /// A PTX version. No value of this type exists.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct PtxVersion(Infallible);

        impl PtxVersion {
            /// The newest version that a CUDA driver loads: none, since no PTX is emitted here.
            pub fn for_driver(_driver: i32) -> Option<Self> {
                None
            }
        }

        impl fmt::Display for PtxVersion {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {}
            }
        }
    }
}

/// What the real crate's targets share.
pub mod shared {
    /// The features that LLVM lowers.
    pub mod lowered_features {
        use cubecl_core::ir::DeviceProperties;

        /// A device family.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GpuTarget {
            /// NVIDIA.
            Nvptx,
        }

        /// Narrows a device's features to those that can be compiled here. `cubecl-cuda` asks only when LLVM is its
        /// compiler, and then every compilation fails with [`REASON`](crate::REASON), so they are left as they are.
        pub fn restrict_features(_properties: &mut DeviceProperties, _target: GpuTarget) {}
    }
}
