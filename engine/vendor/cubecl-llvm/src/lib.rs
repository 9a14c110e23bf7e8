//! A stand-in for `cubecl-llvm`, without LLVM.
//!
//! # Why it exists
//! `cubecl-cuda` always links two compilers: one emits CUDA C++ for NVRTC, the other PTX through LLVM. Its feature `cpp` only
//! selects which one runs. The LLVM compiler comes from `cubecl-llvm`, whose build script downloads half a gigabyte of
//! prebuilt LLVM: builds without network fail, and all others pay for a compiler that never runs. The engine's feature
//! `cuda` enables `cpp`, so the workspace replaces the LLVM crate by this one.
//!
//! # Guarantees
//! - It defines the names that `cubecl-cuda` 0.11.3 uses, and nothing else.
//! - It never compiles a kernel: [`PlironCompiler::compile`] returns a [`CompilationError::Generic`] that explains how to fix
//!   the build, and a [`NvptxModule`] cannot be constructed, because one of its fields is uninhabited.
//!
//! Both versions are pinned with `=`. When `cubecl-cuda` is updated, compare this crate with the new `cubecl-llvm`, or
//! remove it if LLVM has become optional.

use std::convert::Infallible;
use std::ffi::c_char;
use std::fmt;

use cubecl_core::ir::nvidia::SmArch;
use cubecl_core::prelude::KernelDefinition;
use cubecl_environment::backtrace::BackTrace;
use cubecl_runtime::compiler::CompilationError;
use cubecl_runtime::kernel::BufferIOAttr;

/// The message of every compilation error.
pub const REASON: &str = "this program was built without LLVM. CUDA kernels need the C++ compiler of cubecl-cuda \
                          (its feature `cpp`, which the engine's feature `cuda` enables)";

/// Targets of the real crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlvmTarget {
    /// The host processor.
    #[default]
    Cpu,
    /// NVIDIA's virtual instruction set.
    Nvptx,
}

/// Stand-in for the compiler.
#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    /// Code generation target; unused.
    pub target: LlvmTarget,
}

impl PlironCompiler {
    /// Always fails.
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

    /// The kernel language of the real crate, used in cache keys.
    pub fn lang_tag(&self) -> &'static str {
        "ll"
    }
}

/// Compilation settings; unused.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// Architecture of an AMD device; always `None` from `cubecl-cuda`.
    pub arch: Option<Infallible>,
    /// Architecture of an NVIDIA device.
    pub sm_arch: Option<SmArch>,
    /// PTX version to emit.
    pub ptx_version: Option<nvptx::ptx_version::PtxVersion>,
    /// Whether launch parameters are in the kernel's parameter block.
    pub grid_constants: bool,
}

/// The result of a compilation.
#[derive(Clone, Debug)]
pub enum PlironArtifact {
    /// PTX.
    NvptxCode(NvptxModule),
    /// Code for the host. Cannot be constructed.
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

/// NVIDIA target of the real crate.
pub mod nvptx {
    /// PTX versions.
    pub mod ptx_version {
        use super::super::{Infallible, fmt};

        /// A PTX version. No value of this type exists.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct PtxVersion(Infallible);

        impl PtxVersion {
            /// The newest version a CUDA driver supports. `None`, because no PTX is emitted.
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

/// Items shared by the real crate's targets.
pub mod shared {
    /// Features supported by LLVM.
    pub mod lowered_features {
        use cubecl_core::ir::DeviceProperties;

        /// A device family.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GpuTarget {
            /// NVIDIA.
            Nvptx,
        }

        /// Does nothing. In the real crate it restricts a device's features to those LLVM supports. `cubecl-cuda` calls it
        /// only when LLVM is its compiler, and then every compilation fails with [`REASON`](crate::REASON).
        pub fn restrict_features(_properties: &mut DeviceProperties, _target: GpuTarget) {}
    }
}
