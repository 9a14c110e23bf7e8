//! Order of the images in a pane, and the image that carries the labels.
//!
//! The shader draws a base image, one image over it, and labels on the grid of the base. Masks have the grid of the first
//! image, so an image on another grid is drawn over it, or over an empty base.

use engine::volume::Relation;

use super::case_view::{CaseView, PaneMasks};
use crate::state::{ImageLayer, PaneId};

/// An image of a pane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImagePass {
    /// Index of the image in the case.
    pub image: usize,
    /// Opacity, 0 to 1.
    pub opacity: f64,
    /// Transparent at and below the lower end of the window.
    pub transparent_low: bool,
    /// Uses the colour map of the second image.
    pub second: bool,
}

/// The images of a pane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stack {
    /// The base, on the grid of the labels if there are any.
    pub base: Option<ImagePass>,
    /// The image over the base.
    pub over: Option<ImagePass>,
    /// False if two images are drawn and neither has the grid of the labels.
    pub labels: bool,
}

/// Input of [`stack`].
#[derive(Clone, Copy, Debug)]
pub struct StackInput {
    /// Index of the image, and whether it has the grid of the labels.
    pub first: (usize, bool),
    /// The same for the second image, with its opacity.
    pub second: Option<(usize, bool, f64)>,
    /// Whether there are labels.
    pub labels: bool,
}

/// Orders the images of a pane.
pub fn stack(input: StackInput) -> Stack {
    let (image, fits) = input.first;
    let first = ImagePass { image, opacity: 1.0, transparent_low: false, second: false };
    let second = input.second.map(|(image, _, opacity)| ImagePass {
        image,
        opacity,
        // As in a heat map, low values of the second image show the first one.
        transparent_low: true,
        second: true,
    });
    if !input.labels || fits {
        return Stack { base: Some(first), over: second, labels: true };
    }
    match (input.second, second) {
        (None, _) => Stack { base: None, over: Some(first), labels: true },
        (Some((_, true, opacity)), Some(second)) => {
            // The same blend in reverse order: the second image below, the first above with the complementary opacity.
            let below = ImagePass { opacity: 1.0, transparent_low: false, ..second };
            Stack { base: Some(below), over: Some(ImagePass { opacity: 1.0 - opacity, ..first }), labels: true }
        }
        _ => Stack { base: Some(first), over: second, labels: false },
    }
}

impl CaseView<'_> {
    /// Images and labels of a pane.
    pub fn stack_input(&self, pane: PaneId) -> StackInput {
        let base = &self.document.base().volume.grid;
        let fits = |image: usize| image == 0 || self.layer(image).volume.grid.relation(base) == Relation::Same;
        let image = self.image(pane);
        let second = self.second(pane).map(|i| (i, fits(i), f64::from(self.state.session.view.fused_opacity)));
        StackInput { first: (image, fits(image)), second, labels: !matches!(self.masks, PaneMasks::None) }
    }

    /// The fused image of a pane. Linked panes have none.
    pub fn second(&self, pane: PaneId) -> Option<usize> {
        let linked = matches!(pane, PaneId::Linked(_));
        let fused = self.state.session.view.fused.filter(|&i| !linked && i != self.image(pane))?;
        let layer: &ImageLayer = self.document.images.get(fused)?;
        (!pane.is_projection() || layer.projection.is_some()).then_some(fused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(image: usize, opacity: f64, second: bool) -> ImagePass {
        ImagePass { image, opacity, transparent_low: second, second }
    }

    #[test]
    fn images_on_the_grid_of_the_labels_are_stacked_in_order() {
        let found = stack(StackInput { first: (0, true), second: Some((1, false, 0.4)), labels: true });
        assert_eq!(found, Stack { base: Some(drawn(0, 1.0, false)), over: Some(drawn(1, 0.4, true)), labels: true });
    }

    #[test]
    fn an_image_on_another_grid_lies_over_an_empty_base_that_carries_the_labels() {
        let found = stack(StackInput { first: (1, false), second: None, labels: true });
        assert_eq!(found, Stack { base: None, over: Some(drawn(1, 1.0, false)), labels: true });
        let found = stack(StackInput { first: (1, false), second: None, labels: false });
        assert_eq!(found, Stack { base: Some(drawn(1, 1.0, false)), over: None, labels: true });
    }

    #[test]
    fn the_second_image_goes_below_where_only_it_can_carry_the_labels() {
        let found = stack(StackInput { first: (1, false), second: Some((0, true, 0.25)), labels: true });
        let below = ImagePass { transparent_low: false, ..drawn(0, 1.0, true) };
        assert_eq!(found, Stack { base: Some(below), over: Some(drawn(1, 0.75, false)), labels: true });
    }

    #[test]
    fn labels_are_left_out_if_no_image_has_their_grid() {
        let found = stack(StackInput { first: (1, false), second: Some((2, false, 0.5)), labels: true });
        assert!(!found.labels);
        assert_eq!(found.base, Some(drawn(1, 1.0, false)));
    }
}
