//! The layers of a pane, as constants of its pipeline.

use crate::{Kind, LabelMode, Layers, Slice};

/// The layers of a pane, each a pipeline constant (`override` in WGSL). A disabled layer is not compiled, which saves time
/// in particular on software adapters, where it would be computed and discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools, reason = "each is a separate constant of the shader")]
pub struct Parts {
    /// A fused image.
    pub fused: bool,
    /// Labels, or their comparison with the reference.
    pub labels: bool,
    /// The comparison instead of labels.
    pub comparison: bool,
    /// The patch grid.
    pub patches: bool,
}

impl Parts {
    /// The layers that the parameters of a pane enable.
    pub fn of(slice: &Slice) -> Self {
        let labels = slice.label_mode != LabelMode::Hidden as u32 && slice.layers != Layers::None as u32;
        Self {
            fused: slice.fused.kind != Kind::None as u32,
            labels,
            comparison: labels && slice.comparing != 0,
            patches: slice.patches.show != 0,
        }
    }

    /// Names and values of the pipeline constants.
    pub fn constants(self) -> [(&'static str, f64); 4] {
        let value = |part: bool| f64::from(u8::from(part));
        [
            ("FUSED", value(self.fused)),
            ("LABELS", value(self.labels)),
            ("COMPARISON", value(self.comparison)),
            ("PATCHES", value(self.patches)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, PatchShow, Patches};

    #[test]
    fn a_pane_enables_the_layers_it_draws() {
        let none = Parts { fused: false, labels: false, comparison: false, patches: false };
        assert_eq!(Parts::of(&Slice::default()), none);
        let labels = Slice { layers: Layers::Both as u32, ..Slice::default() };
        assert_eq!(Parts::of(&labels), Parts { labels: true, ..none });
        let hidden = Slice { label_mode: LabelMode::Hidden as u32, comparing: 1, ..labels };
        assert_eq!(Parts::of(&hidden), none);
        let comparing = Slice { comparing: 1, ..labels };
        assert_eq!(Parts::of(&comparing), Parts { labels: true, comparison: true, ..none });
        let fused = Slice { fused: Image { kind: Kind::Float as u32, ..Image::default() }, ..Slice::default() };
        assert_eq!(Parts::of(&fused), Parts { fused: true, ..none });
        let patches = Patches { show: PatchShow::GRID.bits(), ..Patches::default() };
        assert_eq!(Parts::of(&Slice { patches, ..Slice::default() }), Parts { patches: true, ..none });
    }
}
